"""Hugging Face imagefolder: `train/metadata.jsonl` names every image and its mask."""

from __future__ import annotations

import json
from pathlib import Path

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.export.selection import SYNTHETIC, Selection
from defectsynth_pipeline.imaging.codec import encode_png
from defectsynth_pipeline.options import ExportOptions


def write_huggingface(selection: Selection, folder: Path, _options: ExportOptions) -> list[str]:
    """Write `load_dataset("imagefolder", data_dir=...)`'s folder; see `writing.Writer`."""
    train = folder / "train"
    for name in ("images", "masks"):
        (train / name).mkdir(parents=True)
    lines = []
    for image in selection:
        row = {"file_name": f"images/{image.name}.png", "mask_file_name": f"masks/{image.name}.png"}
        (train / row["file_name"]).write_bytes(image.png())
        (train / row["mask_file_name"]).write_bytes(encode_png(image.mask()))
        row |= {"image_id": image.name, "category": image.category}
        row |= {"defect_type": image.label or GOOD, "licence": image.licence}
        told = row | {"synthetic": image.origin == SYNTHETIC, "verdict": image.verdict}
        lines.append(json.dumps(told, ensure_ascii=False) + "\n")
    (train / "metadata.jsonl").write_text("".join(lines), encoding="utf-8")
    return [
        '`datasets.load_dataset("imagefolder", data_dir="THIS FOLDER")` gives the columns `image`, '
        "`mask` (0 and 255), `defect_type` and what else `metadata.jsonl` says."
    ]
