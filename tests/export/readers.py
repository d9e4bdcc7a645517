"""Exports read back by the libraries they are made for: image name -> label -> mask.

Nothing here knows how the exports are written, nor imports the package.
"""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
from PIL import Image

Found = dict[str, dict[str, np.ndarray]]


def by_pycocotools(folder: Path) -> Found:
    from pycocotools.coco import COCO

    coco, found = COCO(str(folder / "annotations.json")), defaultdict(dict)
    for image in coco.loadImgs(coco.getImgIds()):
        name = Path(image["file_name"]).stem
        shape = Image.open(folder / "images" / image["file_name"]).size[::-1]
        assert shape == (image["height"], image["width"])
        found[name] = {}
        for one in coco.loadAnns(coco.getAnnIds(image["id"])):
            (category,) = coco.loadCats(one["category_id"])
            mask = coco.annToMask(one).astype(bool)
            assert (one["area"], one["bbox"]) == (mask.sum(), box(mask)) or "counts" not in str(one)
            _add(found[name], category["name"], mask)
    return found


def by_supervision_coco(folder: Path) -> Found:
    import supervision as sv

    told = sv.DetectionDataset.from_coco(
        str(folder / "images"), str(folder / "annotations.json"), force_masks=True
    )
    return _of_supervision(told)


def by_supervision_yolo(folder: Path) -> Found:
    import supervision as sv

    told = sv.DetectionDataset.from_yolo(
        str(folder / "images" / "train"),
        str(folder / "labels" / "train"),
        str(folder / "data.yaml"),
        force_masks=True,
    )
    return _of_supervision(told)


def by_palette(folder: Path) -> Found:
    """VOC's class pictures as Pillow shows them, by the names of the label map."""
    rows = (folder / "labelmap.txt").read_text("utf-8").splitlines()
    names = [row.rsplit(":", 3)[0] for row in rows]
    found = {}
    for name in (folder / "ImageSets" / "Segmentation" / "train.txt").read_text().split():
        picture = Image.open(folder / "SegmentationClass" / f"{name}.png")
        assert picture.mode == "P"
        values = np.asarray(picture)
        numbers = set(np.unique(values)) - {0}
        found[name] = {names[number]: values == number for number in numbers}
    return found


def boxes_by_supervision_voc(folder: Path) -> dict[str, list[tuple[str, list[float]]]]:
    import supervision as sv

    told = sv.DetectionDataset.from_pascal_voc(
        str(folder / "JPEGImages"), str(folder / "Annotations")
    )
    found = {}
    for path, _, detections in told:
        labels = [told.classes[number] for number in detections.class_id]
        found[Path(path).stem] = list(zip(labels, detections.xyxy.tolist(), strict=True))
    return found


def by_datasets(folder: Path, cache: Path) -> Found:
    from datasets import load_dataset

    told = load_dataset("imagefolder", data_dir=str(folder), split="train", cache_dir=str(cache))
    found = {}
    for row in told:
        mask = np.asarray(row["mask"]) > 0
        assert mask.shape == row["image"].size[::-1]
        found[row["image_id"]] = {row["defect_type"]: mask} if mask.any() else {}
    return found


def by_label_studio(folder: Path) -> Found:
    """Brush strokes decoded by Label Studio's own converter, or that of its SDK."""
    try:
        from label_studio_converter.brush import decode_rle
    except ImportError:
        from label_studio_sdk.converter.brush import decode_rle
    found = {}
    for task in json.loads((folder / "tasks.json").read_text("utf-8")):
        file = folder / task["data"]["image"].partition("?d=")[2]
        (prediction,) = task["predictions"]
        labels: dict[str, np.ndarray] = {}
        for one in prediction["result"]:
            shape = one["original_height"], one["original_width"]
            assert Image.open(file).size[::-1] == shape
            values = np.asarray(decode_rle(one["value"]["rle"])).reshape(*shape, 4)
            (label,) = one["value"]["brushlabels"]
            _add(labels, label, values[..., 3] > 0)
        found[file.stem] = labels
    return found


def by_datumaro(folder: Path, layout: str = "cvat") -> Found:
    from datumaro import Dataset

    told, found = Dataset.import_from(str(folder), layout), {}
    names = told.categories()[next(iter(told.categories()))]
    for item in told:
        labels: dict[str, np.ndarray] = {}
        for one in item.annotations:
            if hasattr(one, "image"):
                _add(labels, names[one.label].name, np.asarray(one.image).astype(bool))
        found[Path(item.id).name] = labels
    return found


def by_cvat_rules(folder: Path) -> Found:
    """CVAT's masks as its documentation tells them: runs row by row within the box."""
    found = {}
    for image in Xml.parse(folder / "annotations.xml").getroot().iter("image"):
        shape = int(image.get("height")), int(image.get("width"))
        assert Image.open(folder / "images" / image.get("name")).size[::-1] == shape
        labels: dict[str, np.ndarray] = {}
        for one in image.iter("mask"):
            left, top, width, height = (int(one.get(n)) for n in ("left", "top", "width", "height"))
            runs = [int(run) for run in one.get("rle").split(",")]
            values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
            mask = np.zeros(shape, dtype=bool)
            mask[top : top + height, left : left + width] = values.reshape(height, width)
            _add(labels, one.get("label"), mask)
        found[Path(image.get("name")).stem] = labels
    return found


def by_anomalib_rules(folder: Path) -> Found:
    """MVTec's tree as anomalib reads it: sorted masks of a type belong to its sorted images."""
    found = {}
    for category in sorted(path for path in folder.iterdir() if path.is_dir()):
        images = sorted(p for p in category.glob("test/*/*.png") if p.parent.name != "good")
        masks = sorted(category.glob("ground_truth/*/*.png"))
        for image, mask in zip(images, masks, strict=True):
            assert image.stem in mask.stem
            found[image.stem] = {image.parent.name: np.asarray(Image.open(mask)) > 0}
        found |= {path.stem: {} for path in category.glob("train/good/*.png")}
    return found


def box(mask: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(mask)
    return [int(v) for v in (xs.min(), ys.min(), np.ptp(xs) + 1, np.ptp(ys) + 1)]


def _add(labels: dict[str, np.ndarray], name: str, mask: np.ndarray) -> None:
    labels[name] = labels[name] | mask if name in labels else mask


def _of_supervision(told) -> Found:
    found = {}
    for path, image, detections in told:
        labels: dict[str, np.ndarray] = {}
        masks = () if detections.mask is None else detections.mask
        for number, mask in zip(detections.class_id, masks, strict=len(masks) > 0):
            assert mask.shape == image.shape[:2]
            _add(labels, told.classes[number], mask.astype(bool))
        found[Path(path).stem] = labels
    return found
