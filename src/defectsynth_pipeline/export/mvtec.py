"""The tree of MVTec AD, which anomalib reads: a folder per category, masks under `ground_truth`."""

from __future__ import annotations

from pathlib import Path

from defectsynth_pipeline.export.selection import Selection
from defectsynth_pipeline.imaging.codec import encode_png
from defectsynth_pipeline.options import ExportOptions


def write_mvtec(selection: Selection, folder: Path, _options: ExportOptions) -> list[str]:
    """Write a tree per category; see `writing.Writer`."""
    for image in selection:
        category = folder / image.category
        if not image.label:
            _write(category / "train" / "good" / f"{image.name}.png", image.png())
            continue
        _write(category / "test" / image.defect_type / f"{image.name}.png", image.png())
        truth = category / "ground_truth" / image.defect_type / f"{image.name}_mask.png"
        _write(truth, encode_png(image.mask()))
    notes = [
        "This layout keeps defects under `test/`: here they are synthetic, for training or for "
        "choosing a threshold. A score on them says nothing about real parts."
    ]
    if all(image.label for image in selection):
        notes.append("There is no `train/good`: export with `--normals`, anomalib needs it.")
    return notes


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
