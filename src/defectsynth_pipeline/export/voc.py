"""Pascal VOC: boxes as XML, classes and instances as palette PNGs, lists of the images."""

from __future__ import annotations

import io
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
from PIL import Image

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.export.outlines import box
from defectsynth_pipeline.export.selection import Exported, Selection, instances
from defectsynth_pipeline.options import ExportOptions

_MOST = 254  # 0 is the background and 255 means "not judged"
_FOLDERS = ("JPEGImages", "Annotations", "SegmentationClass", "SegmentationObject")


def write_voc(selection: Selection, folder: Path, options: ExportOptions) -> list[str]:
    """Write the tree of VOC2012; see `writing.Writer`.

    Raises:
        InputError: There are more types than a palette has colours.
    """
    if len(selection.labels) > _MOST:
        raise InputError(
            "a palette has too few colours for all defect types",
            value=f"{len(selection.labels)} types, at most {_MOST}",
            remedy="use another format",
        )
    for name in (*_FOLDERS, "ImageSets/Main", "ImageSets/Segmentation"):
        (folder / name).mkdir(parents=True)
    crowded = 0
    for image in selection:
        (folder / "JPEGImages" / f"{image.name}.png").write_bytes(image.png())
        mask = image.mask()
        parts = instances(mask, options.instances)
        crowded += len(parts) > _MOST
        number = selection.labels.index(image.label) + 1 if image.label else 0
        classes, objects = np.zeros((2, *mask.shape), dtype=np.uint8)
        classes[mask] = number
        for place, part in enumerate(parts, start=1):
            objects[part] = min(place, _MOST)
        for name, values in (("SegmentationClass", classes), ("SegmentationObject", objects)):
            (folder / name / f"{image.name}.png").write_bytes(_palette_png(values))
        Xml.ElementTree(_annotation(image, mask, parts)).write(
            folder / "Annotations" / f"{image.name}.xml", encoding="utf-8"
        )
    listed = "".join(f"{image.name}\n" for image in selection)
    for name in ("Main", "Segmentation"):
        (folder / "ImageSets" / name / "train.txt").write_text(listed, encoding="utf-8")
    colours = _colours()
    lines = [
        f"{name}:{','.join(map(str, colours[number]))}::"
        for number, name in enumerate(["background", *selection.labels])
    ]
    (folder / "labelmap.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    notes = ["`JPEGImages/` holds PNGs: JPEG would change the pixels of the defects."]
    if crowded:
        notes.append(
            f"{crowded} images have more than {_MOST} parts: the rest share the last number in "
            "`SegmentationObject/`."
        )
    return notes


def _annotation(image: Exported, mask: np.ndarray, parts: list[np.ndarray]) -> Xml.Element:
    root = Xml.Element("annotation")
    source = Xml.Element("source")
    _add(root, folder="JPEGImages", filename=f"{image.name}.png")
    _add(source, database="defectsynth_pipeline", annotation=image.origin, image=image.licence)
    root.append(source)
    colours = Image.open(io.BytesIO(image.png())).getbands()
    size = Xml.SubElement(root, "size")
    _add(size, width=mask.shape[1], height=mask.shape[0], depth=len(colours))
    _add(root, segmented=1)
    for part in parts:
        x, y, width, height = box(part)
        thing = Xml.SubElement(root, "object")
        _add(thing, name=image.label, pose="Unspecified", truncated=0, difficult=0)
        # VOC counts pixels from 1, and the last belongs to the box.
        edges = {"xmin": x + 1, "ymin": y + 1, "xmax": x + width, "ymax": y + height}
        _add(Xml.SubElement(thing, "bndbox"), **edges)
    return root


def _add(parent: Xml.Element, **values: object) -> None:
    for name, value in values.items():
        Xml.SubElement(parent, name).text = str(value)


def _palette_png(values: np.ndarray) -> bytes:
    image = Image.fromarray(values, mode="P")
    image.putpalette(_colours().ravel().tolist())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def _colours() -> np.ndarray:
    """VOC's own palette, uint8 (256, 3): the bits of a number, dealt out to red, green and blue."""
    numbers = np.arange(256)
    colours = np.zeros((256, 3), dtype=np.uint8)
    for level in range(8):
        for channel in range(3):
            bit = (numbers >> (3 * level + channel)) & 1
            colours[:, channel] |= (bit << (7 - level)).astype(np.uint8)
    return colours
