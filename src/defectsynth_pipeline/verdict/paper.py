"""What the paper printed in Tables VIII, IX and X, and which of our arms and corpora it names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

ASSET = Path(__file__).parents[1] / "assets" / "paper_tables.csv"
METHODS = ("base", "dfmgan", "anomalydiffusion", "defect-gen", "defectdiffu", "seas", "defectsynth")
CORPORA = ("mvtec", "gdxray", "deepcrack")
CONTROL, OURS = "base", "defectsynth"
CLASSIFICATION = ("accuracy", "macro_f1")
LOCALIZATION = ("image_auroc", "image_ap", "image_f1", "pixel_auroc", "pixel_ap", "pixel_f1")
_NAMES = ("task", "corpus", "category", "arm", "metric", "partitions")


def paper_numbers() -> pd.DataFrame:
    """The paper's Tables VIII, IX and X, percent; NaN where it prints a dash or nothing.

    Columns table, corpus, category, metric and one per method of `METHODS`; `base` is its "w/o
    Augmentation", to which Table VIII gives Crop-Paste's reference.
    """
    return pd.read_csv(ASSET, dtype={"category": str}).fillna({"category": ""})


def method_of(arm: str) -> str:
    """The paper's method that an arm stands for, "" if there is none; `external:` by its name."""
    name = paper_category(arm.removeprefix("external:")).replace("_", "")
    return next((method for method in METHODS if method.replace("-", "") == name), "")


def paper_corpus(corpus: str) -> str:
    """The paper's data set that a corpus folder is named after, "" if none."""
    name = paper_category(corpus).replace("_", "")
    return next((known for known in CORPORA if known in name), "")


def paper_category(name: str) -> str:
    """A folder's name as the paper's table has it: "Metal Nut" is `metal_nut`."""
    return "_".join(name.lower().replace("-", " ").replace("_", " ").split())


def ordered(rows: list[dict[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    """Names first, then the columns, what else there is, and the note last."""
    table = pd.DataFrame(rows)
    first = [name for name in _NAMES if name in table]
    rest = [name for name in table if name not in {*first, *columns, "note"}]
    return table.reindex(columns=[*first, *columns, *rest, "note"])
