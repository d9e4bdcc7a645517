"""CVAT for images 1.1: one XML file with the shapes of every image of a task."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from defectsynth_pipeline.corpora.labels.regions import (
    BOX,
    LINE,
    MASK,
    POLYGON,
    Labelled,
    Region,
    ellipse,
    outline_of,
    rectangle,
    runs,
    unreadable,
)

_SHAPES = ("polygon", "mask", "box", "polyline", "ellipse", "points", "cuboid", "skeleton")


def is_cvat(data: bytes) -> bool:
    """Whether the content of an XML file is of CVAT."""
    return b"<annotations" in data[:4096]


def read_cvat(data: bytes, file: str, root: Path) -> list[Labelled]:
    """Return the images of a CVAT file; one without shapes has no regions.

    Raises:
        InputError: It is no XML, one of a video, or a shape is malformed.
    """
    path = root / file
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise unreadable(path, "it declares entities, which CVAT never writes")
    try:
        annotations = ElementTree.fromstring(data)
    except ElementTree.ParseError as error:
        raise unreadable(path, error) from error
    if annotations.find("track") is not None:
        remedy = "export the task as 'CVAT for images 1.1'"
        raise unreadable(path, "tracks of a video", remedy)
    return [_image(image, file, path) for image in annotations.iter("image")]


def _image(image: ElementTree.Element, file: str, path: Path) -> Labelled:
    name, regions = image.get("name", ""), []
    for number, shape in enumerate(found for found in image if found.tag in _SHAPES):
        where = f"{shape.tag} {number}"
        try:
            regions.append(_region(shape, where))
        except (ValueError, TypeError, KeyError) as error:
            raise unreadable(path, f"{name}, {where}: {error!r}") from error
    try:
        size = (int(image.attrib["width"]), int(image.attrib["height"]))
    except (ValueError, KeyError) as error:
        raise unreadable(path, f"{name}: no size, {error!r}") from error
    tags = tuple(tag.get("label", "") for tag in image.iter("tag"))
    return Labelled(file, name, size, tuple(regions), tags)


def _region(shape: ElementTree.Element, where: str) -> Region:
    label, turn = shape.get("label", ""), float(shape.get("rotation", 0))

    def number(key: str) -> float:
        return float(shape.attrib[key])

    if shape.tag == "mask":
        left, top, width, height = (int(number(k)) for k in ("left", "top", "width", "height"))
        counts = [int(count) for count in shape.attrib["rle"].split(",")]
        bitmap = partial(runs, counts, (height, width), by_row=True)
        return Region(label, MASK, where, bitmap=bitmap, corner=(left, top))
    if shape.tag == "box":
        x, y, right, bottom = (number(key) for key in ("xtl", "ytl", "xbr", "ybr"))
        return Region(label, BOX, where, rectangle((x, y), (right - x, bottom - y), turn))
    if shape.tag == "ellipse":
        centre, radii = (number("cx"), number("cy")), (number("rx"), number("ry"))
        return Region(label, POLYGON, where, ellipse(centre, radii, turn))
    if shape.tag in ("polygon", "polyline"):
        points = [list(map(float, pair.split(","))) for pair in shape.attrib["points"].split(";")]
        if shape.tag == "polygon":
            return Region(label, POLYGON, where, outline_of(points))
        return Region(label, LINE, where, outline_of(points, 2))
    return Region(label, shape.tag, where)
