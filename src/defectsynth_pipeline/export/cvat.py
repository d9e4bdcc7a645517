"""CVAT for images 1.1: `images/` and `annotations.xml` with masks, to be uploaded and corrected."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np

from defectsynth_pipeline.export.outlines import box
from defectsynth_pipeline.export.selection import Selection, instances
from defectsynth_pipeline.options import ExportOptions


def write_cvat(selection: Selection, folder: Path, options: ExportOptions) -> list[str]:
    """Write images and one XML; see `writing.Writer`."""
    (folder / "images").mkdir()
    root = Xml.Element("annotations")
    Xml.SubElement(root, "version").text = "1.1"
    meta = Xml.SubElement(root, "meta")
    Xml.SubElement(meta, "synthetic").text = "made by defectsynth_pipeline; see README.md"
    task = Xml.SubElement(meta, "task")
    Xml.SubElement(task, "name").text = f"defectsynth {selection.of_set}"
    Xml.SubElement(task, "size").text = str(len(selection))
    labels = Xml.SubElement(task, "labels")
    for name in selection.labels:
        label = Xml.SubElement(labels, "label")
        Xml.SubElement(label, "name").text = name
        Xml.SubElement(label, "attributes")
    for number, image in enumerate(selection):
        file = f"{image.name}.png"
        (folder / "images" / file).write_bytes(image.png())
        mask = image.mask()
        size = {"width": str(mask.shape[1]), "height": str(mask.shape[0])}
        shown = Xml.SubElement(root, "image", {"id": str(number), "name": file, **size})
        for part in instances(mask, options.instances):
            x, y, width, height = box(part)
            place = {"left": x, "top": y, "width": width, "height": height}
            told = {"label": image.label, "source": "auto", "occluded": "0", "z_order": "0"}
            told["rle"] = ", ".join(map(str, _runs(part[y : y + height, x : x + width])))
            Xml.SubElement(shown, "mask", told | {k: str(v) for k, v in place.items()})
    Xml.indent(root)
    Xml.ElementTree(root).write(folder / "annotations.xml", encoding="utf-8", xml_declaration=True)
    return [
        "Make a CVAT task with these labels from `images/`, then Actions, Upload annotations, "
        "CVAT 1.1, `annotations.xml` (or a zip of it)."
    ]


def _runs(window: np.ndarray) -> list[int]:
    """Lengths of the runs of a mask's box, row by row, the background's first."""
    values = np.concatenate([[False], window.ravel()])
    borders = np.flatnonzero(np.diff(values))
    runs = np.diff(np.concatenate([[0], borders, [window.size]]))
    return [int(length) for length in runs]
