"""Which corpora lie under a folder, told by their native layouts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from defectsynth_pipeline.corpora.files import check_name, list_folders
from defectsynth_pipeline.corpora.labels.exports import find_labels
from defectsynth_pipeline.errors import InputError

Layout = Literal["mvtec", "gdxray", "deepcrack", "labels"]

MVTEC_LAYOUT = (
    "arrange the images as <category>/train/good/*.png (defect-free), "
    "<category>/test/<defect type>/*.png and "
    "<category>/ground_truth/<defect type>/<same name>_mask.png (white on the defect), "
    "or put a label file (COCO, LabelMe, CVAT, Label Studio, YOLO) beside the images"
)


@dataclass(frozen=True)
class Corpus:
    """A folder of images in one known layout."""

    name: str
    layout: Layout
    root: Path


def find_corpora(root: Path | str) -> list[Corpus]:
    """Find the corpora in a folder: the folder itself, or its sub-folders, or both.

    Recognised are MVTec AD (categories, or one category), GDXray (`Welds/W0001` with `W0002`),
    DeepCrack (`train_img`, `train_lab`, `test_img`, `test_lab`) and, where there are no mask files,
    images with label files (see `labels.exports.find_labels`): one category each.

    Args:
        root: The user's folder.

    Returns:
        At least one corpus, in natural order of the names.

    Raises:
        InputError: The folder is missing, or holds nothing in a known layout.
    """
    folder = check_name(Path(root))
    if not folder.is_dir():
        raise InputError(
            "the corpus folder does not exist",
            file=folder,
            value="not a folder",
            remedy="check the path, then " + MVTEC_LAYOUT,
        )
    own = _layout_of(folder)
    found = [Corpus(_name(folder), own, folder)] if own else []
    if own is None or (own == "mvtec" and not is_category(folder)):
        # The categories of an MVTec tree are not corpora of their own; others beside them are.
        below = [(path, _layout_of(path)) for path in list_folders(folder)]
        found += [
            Corpus(path.name, layout, path)
            for path, layout in below
            if layout and not (own and is_category(path))
        ]
    if not found:
        names = ", ".join(path.name for path in list_folders(folder)) or "no sub-folders"
        raise InputError(
            "no corpus in a known layout was found",
            file=folder,
            value=names,
            remedy=MVTEC_LAYOUT,
        )
    return found


def is_category(folder: Path) -> bool:
    """Whether a folder is one MVTec AD category, complete or not."""
    if (folder / "ground_truth").is_dir():
        return (folder / "train" / "good").is_dir() or (folder / "test").is_dir()
    return (folder / "train" / "good").is_dir() and not find_labels(folder)


def weld_folder(root: Path) -> Path | None:
    """The folder that holds `W0001`: the root itself or its `Welds`; None if neither does."""
    for folder in (root, root / "Welds"):
        if (folder / "W0001").is_dir() or (folder / "W0002").is_dir():
            return folder
    return None


def _layout_of(folder: Path) -> Layout | None:
    if weld_folder(folder) is not None:
        return "gdxray"
    if any((folder / f"{part}_img").is_dir() for part in ("train", "test")):
        return "deepcrack"
    if is_category(folder) or any(is_category(path) for path in list_folders(folder)):
        return "mvtec"
    return "labels" if find_labels(folder) else None


def _name(folder: Path) -> str:
    return folder.resolve().name or "corpus"
