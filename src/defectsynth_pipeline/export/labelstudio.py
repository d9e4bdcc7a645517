"""Label Studio: `tasks.json` with the masks as brush strokes to correct, and `labeling.xml`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import numpy as np

from defectsynth_pipeline.export.selection import Exported, Selection, instances
from defectsynth_pipeline.options import ExportOptions

_WORD = 8
_LENGTHS = (3, 4, 8, 16)  # bits of the lengths of runs


def write_labelstudio(selection: Selection, folder: Path, options: ExportOptions) -> list[str]:
    """Write images, tasks and the labelling interface; see `writing.Writer`."""
    (folder / "images").mkdir()
    tasks = []
    for image in selection:
        (folder / "images" / f"{image.name}.png").write_bytes(image.png())
        tasks.append(_task(image, selection.of_set, options.instances))
    (folder / "tasks.json").write_text(json.dumps(tasks, ensure_ascii=False), encoding="utf-8")
    view = Xml.Element("View")
    Xml.SubElement(view, "Image", name="image", value="$image", zoom="true")
    brushes = Xml.SubElement(view, "BrushLabels", name="defect", toName="image")
    for name in selection.labels:
        Xml.SubElement(brushes, "Label", value=name)
    Xml.indent(view)
    text = Xml.tostring(view, encoding="unicode") + "\n"
    (folder / "labeling.xml").write_text(text, encoding="utf-8")
    return [
        "Label Studio shows files of this machine only if it is started so: "
        "`LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true "
        "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=THIS FOLDER label-studio start`. In a new project "
        "paste `labeling.xml` under Settings, Labeling Interface, Code; add THIS FOLDER/images "
        "under Settings, Cloud Storage, Local files (do not sync it); then import `tasks.json`. "
        "The masks are predictions that an annotator turns into annotations by submitting."
    ]


def _task(image: Exported, of_set: str, how: str) -> dict[str, Any]:
    mask = image.mask()
    result = [
        {
            "id": f"{image.name}-{number}",
            "type": "brushlabels",
            "from_name": "defect",
            "to_name": "image",
            "original_width": mask.shape[1],
            "original_height": mask.shape[0],
            "image_rotation": 0,
            "value": {"format": "rle", "rle": brush(part), "brushlabels": [image.label]},
        }
        for number, part in enumerate(instances(mask, how))
    ]
    told = {"image": f"/data/local-files/?d=images/{image.name}.png", "image_id": image.name}
    told |= {"origin": image.origin, "licence": image.licence, "verdict": image.verdict}
    return {
        "data": told,
        "predictions": [{"model_version": f"defectsynth {of_set}", "result": result}],
    }


def brush(mask: np.ndarray) -> list[int]:
    """Return a mask as Label Studio's brush tells it: RGBA bytes in runs, as a list of bytes.

    A run is a bit that says whether its values are all one, two bits that choose from `_LENGTHS`
    how its length less one is written, the length, and the value or values.

    Args:
        mask: bool (H, W); becomes 255 in all four channels.
    """
    values = np.repeat(mask.ravel(), 4)
    borders = np.flatnonzero(np.diff(values)) + 1
    starts = np.concatenate([[0], borders])
    lengths = np.diff(np.concatenate([starts, [values.size]]))
    bits = [f"{values.size:032b}", f"{_WORD - 1:05b}"]
    bits += [f"{size - 1:04b}" for size in _LENGTHS]
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        value = "1" * _WORD if values[start] else "0" * _WORD
        for done in range(0, length, 1 << _LENGTHS[-1]):
            less_one = min(length - done, 1 << _LENGTHS[-1]) - 1
            size = next(n for n, size in enumerate(_LENGTHS) if less_one < 1 << size)
            bits.append(f"1{size:02b}{less_one:0{_LENGTHS[size]}b}{value}")
    whole = "".join(bits)
    whole += "0" * (-len(whole) % 8)
    return [*int(whole, 2).to_bytes(len(whole) // 8, "big")]
