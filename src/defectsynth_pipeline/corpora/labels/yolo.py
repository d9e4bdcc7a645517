"""YOLO segmentation: a text file per image, and a list of the classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import yaml

from defectsynth_pipeline.corpora.labels.regions import (
    BOX,
    POLYGON,
    Labelled,
    Region,
    outline_of,
    rectangle,
    unreadable,
)

CLASSES = "classes.txt"


def class_names(data: bytes, path: Path) -> dict[int, str] | None:
    """Return the classes of a `data.yaml` or `classes.txt`; None if it lists none.

    Raises:
        InputError: It is no YAML, or names no classes in a way that is known.
    """
    try:
        if path.name == CLASSES:
            return dict(enumerate(data.decode().split("\n")))
        content = yaml.safe_load(data)
        names = content.get("names") if isinstance(content, dict) else None
        if names is None:
            return None
        listed = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name) for number, name in listed}
    except (yaml.YAMLError, UnicodeDecodeError, TypeError, ValueError) as error:
        raise unreadable(path, error) from error


def label_file(image: PurePosixPath) -> PurePosixPath:
    """Where the labels of an image lie: `labels` for the last `images` of its path, else beside."""
    parts = list(image.parts)
    for place in range(len(parts) - 2, -1, -1):
        if parts[place] == "images":
            parts[place] = "labels"
            break
    return PurePosixPath(*parts).with_suffix(".txt")


def read_yolo(
    names: dict[int, str],
    file: str,
    root: Path,
    images: Sequence[str],
    read: Callable[[Path], bytes],
) -> list[Labelled]:
    """Return the images of a data set; one without a label file, or an empty one, has no regions.

    Args:
        names: Of the classes, by number.
        file: That lists them.
        root: Of the corpus.
        images: All images below the root, relative to it. Those that lie in a folder `images`, or
            have a label file, belong to the data set.
        read: Reads a file below the root.

    Raises:
        InputError: There are no label files, or a line is malformed.
    """
    found, texts = [], 0
    for image in images:
        labels = label_file(PurePosixPath(image))
        there = (root / labels).is_file()
        if not there and "images" not in PurePosixPath(image).parts[:-1]:
            continue
        texts += there
        regions = _regions(names, root / labels, read(root / labels)) if there else ()
        found.append(Labelled(file, image, None, tuple(regions)))
    if not texts:
        raise unreadable(
            root / file,
            f"classes {', '.join(names.values())}, but no label file",
            "put the images into images/ and their .txt files into labels/, by the same names",
        )
    return found


def _regions(names: dict[int, str], path: Path, data: bytes) -> list[Region]:
    regions = []
    for number, line in enumerate(data.decode(errors="replace").splitlines(), start=1):
        if line.strip():
            where = f"{path.name}, line {number}"
            try:
                regions.append(_region(names, line.split(), where))
            except (ValueError, TypeError) as error:
                raise unreadable(path, f"line {number}: {error}") from error
    return regions


def _region(names: dict[int, str], fields: Sequence[Any], where: str) -> Region:
    kind = int(fields[0])
    label = names.get(kind, "").strip()
    if not label:
        raise ValueError(f"class {kind} has no name")
    values = np.asarray(fields[1:], dtype=np.float64)
    if len(values) == 4:
        x, y, width, height = values
        box = rectangle((x - width / 2, y - height / 2), (width, height))
        return Region(label, BOX, where, box, relative=True)
    if len(values) % 2:
        raise ValueError(f"{len(values)} coordinates")
    return Region(label, POLYGON, where, outline_of(values), centres=True, relative=True)
