"""An export published whole: one format's files, the table of its images, and its card."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.export.card import CARD, TABLE, dataset_card
from defectsynth_pipeline.export.coco import write_coco
from defectsynth_pipeline.export.cvat import write_cvat
from defectsynth_pipeline.export.huggingface import write_huggingface
from defectsynth_pipeline.export.labelstudio import write_labelstudio
from defectsynth_pipeline.export.mvtec import write_mvtec
from defectsynth_pipeline.export.selection import Selection
from defectsynth_pipeline.export.voc import write_voc
from defectsynth_pipeline.export.yolo import write_yolo
from defectsynth_pipeline.options import ExportOptions
from defectsynth_pipeline.publishing import written_whole

logger = logging.getLogger(__name__)
Writer: TypeAlias = Callable[[Selection, Path, ExportOptions], list[str]]
"""Writes a format's files into a folder, and returns what its reader must know."""

FORMATS: dict[str, Writer] = {
    "coco": write_coco,
    "yolo": write_yolo,
    "voc": write_voc,
    "mvtec": write_mvtec,
    "hf": write_huggingface,
    "labelstudio": write_labelstudio,
    "cvat": write_cvat,
}


def check_folder(folder: Path) -> None:
    """Make sure that an export overwrites nothing.

    Raises:
        InputError: The folder holds something, or is a file.
    """
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        raise InputError(
            "an export would overwrite what is there",
            file=folder,
            remedy="name a new or an empty folder with --out",
        )


def write_export(selection: Selection, folder: Path, options: ExportOptions) -> str:
    """Write a selection in one format; a kill leaves nothing at the folder.

    Args:
        selection: What is exported.
        folder: Empty or not there yet.
        options: The format, and how masks are told.

    Returns:
        The card, Markdown, as it lies in the folder.

    Raises:
        InputError: The folder holds something, the disk is full, or a picture cannot be read.
    """
    check_folder(folder)
    with written_whole(folder) as aside:
        aside.mkdir()
        notes = FORMATS[options.format](selection, aside, options)
        selection.table.to_csv(aside / TABLE, index=False)
        card = dataset_card(selection, options, notes)
        (aside / CARD).write_text(card, encoding="utf-8")
    logger.info(
        "%s: %d images, %s",
        folder,
        len(selection),
        ", ".join(_counts(selection.table)) or "no defects",
    )
    return card


def _counts(table: pd.DataFrame) -> list[str]:
    counts = table.loc[table["label"] != "", "label"].value_counts(sort=False)
    return [f"{name} {count}" for name, count in counts.items()]
