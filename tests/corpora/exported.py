"""Little folders of images with the export of a labelling tool, one writer per format."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import yaml
from PIL import Image
from pycocotools import mask as coco_mask

from categories import save

from .builders import SIZE, texture

SHAPE = (SIZE, SIZE + 8)
Defects = dict[str, list[tuple[str, np.ndarray]]]  # of a file's stem: label and mask


def box_mask(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def six_defects() -> Defects:
    """Two types of three images each, the second instance of a type far from the first."""
    found: Defects = {}
    for number in range(3):
        far = box_mask(30 + number, 30, 6, 9)
        found[f"d{number}"] = [("dent", box_mask(4 + number, 5, 9, 12)), ("dent", far)]
        found[f"s{number}"] = [("scratch", box_mask(20, 8 + number, 3, 30))]
    return found


def write_images(
    folder: Path, defects: Defects, good: int = 4, place: str = "images", seed: int = 0
) -> list[str]:
    """The photographs; names of the good ones, relative to the folder."""
    for number, (stem, drawn) in enumerate(defects.items()):
        image = texture(seed + number, shape=(*SHAPE, 3))
        for _, mask in drawn:
            image[mask] //= 3
        save(folder / place / f"{stem}.png", image)
    names = [f"{place}/good{number}.png" for number in range(good)]
    for number, name in enumerate(names):
        save(folder / name, texture(seed + 100 + number, shape=(*SHAPE, 3)))
    return names


def outline(mask: np.ndarray) -> tuple[int, int, int, int]:
    """First and last row and column of a rectangle."""
    rows, columns = np.nonzero(mask)
    return int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max())


def corners(mask: np.ndarray, last: int) -> list[list[float]]:
    """Its corners as x, y: the pixels' own (last 0), or where they end (1)."""
    top, bottom, left, right = outline(mask)
    right, bottom = right + last, bottom + last
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def coco(folder: Path, defects: Defects, good: list[str], drawn: str = "rle") -> Path:
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    types = sorted({label for regions in defects.values() for label, _ in regions})
    for stem, regions in defects.items():
        images.append({"id": len(images) + 1, "file_name": f"{stem}.png"})
        for label, mask in regions:
            about = {"image_id": len(images), "category_id": types.index(label) + 1, "iscrowd": 0}
            about["id"] = len(annotations) + 1
            annotations.append(about | coco_region(mask, drawn))
    images += [{"id": 100 + n, "file_name": Path(name).name} for n, name in enumerate(good)]
    images = [{**image, "width": SHAPE[1], "height": SHAPE[0]} for image in images]
    categories = [{"id": n, "name": name} for n, name in enumerate(types, start=1)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return write_json(folder / "annotations.json", content)


def coco_region(mask: np.ndarray, drawn: str) -> dict[str, Any]:
    if drawn == "polygon":
        return {"segmentation": [[float(v) for point in corners(mask, 1) for v in point]]}
    packed = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    if drawn == "box":
        return {"bbox": coco_mask.toBbox(packed).tolist(), "segmentation": []}
    if drawn == "raw":
        flat = mask.T.ravel()
        edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [False]])))
        counts = np.diff([0, *edges, flat.size]).tolist()
        return {"segmentation": {"size": list(SHAPE), "counts": counts}, "iscrowd": 1}
    return {"segmentation": {"size": list(SHAPE), "counts": packed["counts"].decode()}}


def labelme(folder: Path, defects: Defects, good: list[str], drawn: str = "mask") -> Path:
    def shape(label: str, mask: np.ndarray) -> dict[str, Any]:
        top, bottom, left, right = outline(mask)
        if drawn == "polygon":
            return {"label": label, "shape_type": "polygon", "points": corners(mask, 0)}
        if drawn == "rectangle":
            points = [[right, bottom], [left, top]]
            return {"label": label, "shape_type": "rectangle", "points": points}
        buffer = io.BytesIO()
        Image.fromarray(mask[top : bottom + 1, left : right + 1]).save(buffer, format="PNG")
        picture = base64.b64encode(buffer.getvalue()).decode()
        points = [[left, top], [right, bottom]]
        return {"label": label, "shape_type": "mask", "points": points, "mask": picture}

    content = {"version": "6.3.1", "flags": {}, "imageHeight": SHAPE[0], "imageWidth": SHAPE[1]}
    drawings = {f"images/{stem}.png": regions for stem, regions in defects.items()}
    for name, regions in {**drawings, **dict.fromkeys(good, ())}.items():
        shapes = [shape(*region) for region in regions]
        told = {**content, "imagePath": f"C:\\shots\\{Path(name).name}", "shapes": shapes}
        write_json((folder / name).with_suffix(".json"), told)
    return folder / "images" / f"{next(iter(defects))}.json"


def cvat(folder: Path, defects: Defects, good: list[str], drawn: str = "mask") -> Path:
    def shape(label: str, mask: np.ndarray) -> str:
        top, bottom, left, right = outline(mask)
        if drawn == "polygon":
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in corners(mask, 1))
            return f'<polygon label={quoteattr(label)} points="{points}" z_order="0"></polygon>'
        if drawn == "box":
            ends = f'xtl="{left}" ytl="{top}" xbr="{right + 1}" ybr="{bottom + 1}"'
            return f"<box label={quoteattr(label)} {ends}></box>"
        if drawn == "polyline":
            middle = (top + bottom) / 2
            points = f"{left},{middle};{right},{middle}"
            return f'<polyline label={quoteattr(label)} points="{points}"></polyline>'
        height, width = bottom - top + 1, right - left + 1
        box = f'left="{left}" top="{top}" width="{width}" height="{height}"'
        return f'<mask label={quoteattr(label)} rle="0, {height * width}" {box}></mask>'

    drawings = {f"{stem}.png": regions for stem, regions in defects.items()}
    size, lines = f'width="{SHAPE[1]}" height="{SHAPE[0]}"', ["<version>1.1</version>"]
    for name, regions in {**drawings, **dict.fromkeys((Path(n).name for n in good), ())}.items():
        shapes = "".join(shape(*region) for region in regions)
        lines.append(f'<image id="0" name={quoteattr(name)} {size}>{shapes}</image>')
    path = folder / "annotations.xml"
    path.write_text(f"<?xml version='1.0'?><annotations>{''.join(lines)}</annotations>")
    return path


def label_studio(folder: Path, defects: Defects, good: list[str], drawn: str = "brush") -> Path:
    def value(label: str, mask: np.ndarray) -> tuple[str, dict[str, Any]]:
        top, bottom, left, right = outline(mask)
        height, width = SHAPE
        if drawn == "polygon":
            points = [[100 * x / width, 100 * y / height] for x, y in corners(mask, 1)]
            return "polygonlabels", {"points": points, "polygonlabels": [label]}
        if drawn == "rectangle":
            place = {"x": 100 * left / width, "y": 100 * top / height, "rotation": 0}
            place["width"] = 100 * (right + 1 - left) / width
            place["height"] = 100 * (bottom + 1 - top) / height
            return "rectanglelabels", {**place, "rectanglelabels": [label]}
        return "brushlabels", {"format": "rle", "rle": packed(mask), "brushlabels": [label]}

    tasks = []
    drawings = {f"{stem}.png": regions for stem, regions in defects.items()}
    for name, regions in {**drawings, **dict.fromkeys((Path(n).name for n in good), ())}.items():
        result = []
        for number, region in enumerate(regions):
            kind, told = value(*region)
            size = {"original_width": SHAPE[1], "original_height": SHAPE[0]}
            result.append({"id": f"r{number}", "type": kind, "value": told, **size})
        data = {"image": f"/data/upload/7/0a1b2c3d-{name}"}
        skipped = {"was_cancelled": True, "result": [{"nonsense": 1}]}
        done = {"was_cancelled": False, "result": result}
        tasks.append({"id": len(tasks), "data": data, "annotations": [skipped, done]})
    return write_json(folder / "project-7-at-2024.json", tasks)


def packed(mask: np.ndarray) -> list[int]:
    """A brush as Label Studio packs it: words of 8 bits, runs of at most 16 bits."""
    alpha = np.repeat(mask[..., None], 4, -1).ravel().astype(np.uint8) * 255
    bits = [f"{alpha.size:032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in (3, 4, 8, 16))]
    edges = [0, *(np.flatnonzero(np.diff(alpha)) + 1), alpha.size]
    for start, end in pairwise(edges):
        if end - start == 5:  # some as single values
            bits += ["0", "01", f"{4:04b}", f"{alpha[start]:08b}" * 5]
            continue
        bits += ["1", "11", f"{end - start - 1:016b}", f"{alpha[start]:08b}"]
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]


def yolo(folder: Path, defects: Defects, good: list[str], drawn: str = "polygon") -> Path:
    types = sorted({label for regions in defects.values() for label, _ in regions})
    sides = np.array(SHAPE[::-1])
    (folder / "labels").mkdir(parents=True, exist_ok=True)
    for stem, regions in defects.items():
        lines = []
        for label, mask in regions:
            points = np.array(corners(mask, 1 if drawn == "box" else 0)) / sides
            values = points.ravel()
            if drawn == "box":
                low, high = points.min(0), points.max(0)
                values = np.concatenate([(low + high) / 2, high - low])
            lines.append(" ".join(map(str, [types.index(label), *values])))
        (folder / "labels" / f"{stem}.txt").write_text("\n".join(lines) + "\n")
    (folder / "labels" / f"{Path(good[0]).stem}.txt").write_text("")  # the others have none
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump({"train": "images", "names": dict(enumerate(types))}))
    return path


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


WRITERS: dict[str, tuple[Callable[..., Path], str]] = {
    "coco-rle": (coco, "rle"),
    "coco-raw": (coco, "raw"),
    "coco-polygon": (coco, "polygon"),
    "labelme-mask": (labelme, "mask"),
    "labelme-polygon": (labelme, "polygon"),
    "cvat-mask": (cvat, "mask"),
    "cvat-polygon": (cvat, "polygon"),
    "labelstudio-brush": (label_studio, "brush"),
    "labelstudio-polygon": (label_studio, "polygon"),
    "yolo-polygon": (yolo, "polygon"),
}
BOXES: dict[str, tuple[Callable[..., Path], str]] = {
    "coco": (coco, "box"),
    "labelme": (labelme, "rectangle"),
    "cvat": (cvat, "box"),
    "labelstudio": (label_studio, "rectangle"),
    "yolo": (yolo, "box"),
}
