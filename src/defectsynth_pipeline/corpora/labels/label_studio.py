"""Label Studio's export named JSON: brushes, polygons, ellipses, rectangles, in per cent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from defectsynth_pipeline.corpora.labels.regions import (
    BOX,
    MASK,
    POLYGON,
    Labelled,
    Region,
    ellipse,
    outline_of,
    rectangle,
    unreadable,
)
from defectsynth_pipeline.imaging.codec import IMAGE_SUFFIXES

_UPLOADED = re.compile(r"^[0-9a-f]{8}-")  # what an upload puts before a file's name
_PER_CENT = 100.0


def is_label_studio(content: Any) -> bool:
    """Whether the content of a JSON file is of this format."""
    first = content[0] if isinstance(content, list) and content else None
    return isinstance(first, dict) and ("data" in first or "annotation_id" in first)


def read_label_studio(content: Any, file: str, root: Path) -> list[Labelled]:
    """Return the labelled images of an export; a task that was submitted empty has no regions.

    Of several annotations of a task the ground truth is read, else the last. Tasks without one, or
    skipped, are not labelled. Predictions are not read.

    Raises:
        InputError: It is JSON-MIN, a task has no image, or a region is malformed.
    """
    path, found = root / file, []
    for number, task in enumerate(content):
        where = f"task {task.get('id', number) if isinstance(task, dict) else number}"
        if not isinstance(task, dict) or not isinstance(task.get("annotations"), list):
            raise unreadable(path, f"{where} has no annotations", "export as JSON, not JSON-MIN")
        submitted = [a for a in task["annotations"] if not a.get("was_cancelled")]
        if not submitted:
            continue
        chosen = next((a for a in submitted if a.get("ground_truth")), submitted[-1])
        name = _name(task.get("data") or {})
        if not name:
            raise unreadable(path, f"{where} names no image: {task.get('data')}")
        try:
            found.append(_labelled(file, name, chosen.get("result") or [], where))
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise unreadable(path, f"{where}: {error}") from error
    return found


def _name(data: dict[str, Any]) -> str:
    """The file of a task: of an upload, of local files, of a bucket."""
    for value in data.values():
        if not isinstance(value, str):
            continue
        link = urlsplit(value)
        local = parse_qs(link.query).get("d", [""])[0]
        path = local or unquote(link.path)
        if Path(path).suffix.lower() in IMAGE_SUFFIXES:
            folder, _, name = path.rpartition("/")
            name = _UPLOADED.sub("", name) if folder.startswith("/data/upload") else name
            return f"{folder}/{name}".strip("/")
    return ""


def _labelled(file: str, name: str, result: Sequence[dict[str, Any]], where: str) -> Labelled:
    labels: dict[Any, str] = {}  # a region's label may be a result of its own
    for item in result:
        given = item.get("value", {}).get(item.get("type"))
        if isinstance(given, list) and given:
            labels[item.get("id")] = str(given[0])
            if len(given) > 1:
                raise ValueError(f"region {item.get('id')} has several labels: {given}")
    regions, tags, drawn, size = [], [], set(), None
    for item in result:
        value, number = item.get("value", {}), item.get("id")
        if item.get("type") == "choices":
            tags += [str(choice) for choice in value.get("choices", [])]
        if not {"rle", "points", "x"} & value.keys() or number in drawn:
            continue
        drawn.add(number)
        size = (int(item["original_width"]), int(item["original_height"]))
        regions.append(_region(value, labels.get(number, ""), f"{where}, region {number}", size))
    return Labelled(file, name, size, tuple(regions), tuple(tags))


def _region(value: dict[str, Any], label: str, where: str, size: tuple[int, int]) -> Region:
    side = np.array(size) / _PER_CENT
    if "rle" in value:
        bitmap = partial(_brushed, value["rle"], (size[1], size[0]))
        return Region(label, MASK, where, bitmap=bitmap)
    if "points" in value:
        points = np.asarray(value["points"], dtype=np.float64).reshape(-1, 2) * side
        return Region(label, POLYGON, where, outline_of(points))
    corner = np.array([value["x"], value["y"]], dtype=np.float64) * side
    turn = float(value.get("rotation", 0))
    if "radiusX" in value:
        radii = np.array([value["radiusX"], value["radiusY"]], dtype=np.float64) * side
        return Region(label, POLYGON, where, ellipse(corner, radii, turn))
    if value.get("height"):
        sides = np.array([value["width"], value["height"]], dtype=np.float64) * side
        return Region(label, BOX, where, rectangle(corner, sides, turn, about=corner))
    return Region(label, "point", where)


def _brushed(packed: Sequence[int], shape: tuple[int, int]) -> np.ndarray:
    """Unpack a brush stroke: thi.ng's `rle-pack` of the canvas (h, w, RGBA); its alpha is drawn.

    Raises:
        ValueError: It is cut, or not of that size.
    """
    bits = "".join(f"{byte:08b}" for byte in packed)
    at = 0

    def read(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    total, word = read(32), read(5) + 1
    sizes = [read(4) + 1 for _ in range(4)]
    if total != 4 * shape[0] * shape[1]:
        raise ValueError(f"a brush of {total} values for {shape[1]}x{shape[0]}")
    values, end = np.zeros(total, dtype=np.uint32), 0
    while end < total:
        repeated, start = read(1), end
        end += 1 + read(sizes[read(2)])
        if repeated:
            values[start:end] = read(word)
        else:
            values[start:end] = [read(word) for _ in range(start, end)]
    return values.reshape(*shape, 4)[..., 3] > 127
