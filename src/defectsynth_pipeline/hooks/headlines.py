"""What MLflow shows first of a run: name, tags, at most eight numbers beside the curves, a text.

Everything else is in the tables among its artifacts, whose rows have names of types and arms.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from defectsynth_pipeline import __version__
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.verdict.markdown import escape, markdown_table

_OURS = "defectsynth"
_PACKAGES = ("torch", "diffusers", "kedro")
_COUNTS = ("images", "accepted", "relabelled", "rejected")
_PAGE_LIMIT = 4500


def run_name(facts: Mapping[str, str]) -> str:
    """Pipeline, corpus and number of images, as far as they are known yet."""
    images = facts.get("images", "")
    parts = (facts["pipeline"], facts.get("corpus", ""), images and f"{images} images")
    return ", ".join(part for part in parts if part)


def facts_in(entry: str, data: Any) -> dict[str, str]:
    """Tags that a catalog entry's content answers for.

    Args:
        entry: `samples` and `synthetic_images` tell something.
        data: What was loaded or saved; a set may be a `FinishedSet`.
    """
    if entry == "samples":
        folders = [Path(root) for root in data["root"].unique()]
        return {
            "corpus": os.path.basename(os.path.commonpath(folders)),
            "categories": ", ".join(data["category"].unique()),
        }
    if entry == "synthetic_images":
        return {"images": str(len(data) if isinstance(data, ImageSet) else data.images)}
    return {}


def platform_facts() -> dict[str, str]:
    """Versions, and the device if torch was needed."""
    facts = {f"version.{name}": version(name) for name in _PACKAGES}
    facts["version.python"] = platform.python_version()
    facts["version.defectsynth_pipeline"] = __version__
    torch = sys.modules.get("torch")
    if torch is not None:
        cuda = torch.cuda.is_available()
        facts["device"] = torch.cuda.get_device_name() if cuda else "cpu"
    return facts


def headline(entry: str, data: Any) -> dict[str, float]:
    """Return the numbers of `synthesis_summary` (5), `verdict` (4 per task) or
    `generation_quality` (7), of others none.
    """
    if entry == "synthesis_summary":
        return _of_images(data)
    if entry == "generation_quality":
        return _of_quality(data)
    return _of_verdict(data) if entry == "verdict" else {}


def description(entry: str, data: Any) -> str:
    """Return Markdown from `synthesis_summary` or `verdict_page`, "" from others."""
    if entry == "synthesis_summary":
        lines = [
            [escape(f"{row['category']} / {row['defect_type']}"), *(str(row[n]) for n in _COUNTS)]
            for row in data.to_dict("records")
        ]
        return markdown_table(["type", *_COUNTS], lines)
    if entry != "verdict_page":
        return ""
    if len(data) <= _PAGE_LIMIT:
        return str(data)
    whole_lines = data[:_PAGE_LIMIT].rpartition("\n")[0]
    return f"{whole_lines}\n\nThe whole page is among the artifacts."


def _of_images(summary: pd.DataFrame) -> dict[str, float]:
    made = summary[["accepted", "relabelled", "rejected"]].sum()
    total = made.sum()
    if total == 0:
        return {}
    weights = summary[["accepted", "relabelled", "rejected"]].sum(axis=1)
    return {
        "images": float(summary["images"].sum()),
        "accepted_share": float(made["accepted"] / total),
        "rejected_share": float(made["rejected"] / total),
        "attempts": float((summary["mean_attempts"] * weights).sum() / total),
        "network_share": float((summary["network"] * weights).sum() / total),
    }


def _of_quality(table: pd.DataFrame) -> dict[str, float]:
    """What was measured of our arm and of real against real, means over categories."""
    numbers = {}
    for arm, label in ((_OURS, "quality"), ("real", "quality.floor")):
        rows = table[(table["arm"] == arm) & (table["defect_type"] == "all")]
        means = rows.groupby("region")[["kid", "ic_distance", "mask_iou"]].mean().stack()
        numbers |= {f"{label}.{measure}.{region}": v for (region, measure), v in means.items()}
    kept = ("kid.whole", "kid.defect", "ic_distance.defect", "mask_iou.defect")
    return {n: float(v) for n, v in numbers.items() if n.endswith(kept) and pd.notna(v)}


def _of_verdict(verdict: pd.DataFrame) -> dict[str, float]:
    """Per task our arm, base, their difference (means over categories), share of types that pay.

    Another arm where ours was not tested.
    """
    # Not above: every command of Kedro's would wait for scikit-learn.
    from defectsynth_pipeline.verdict.comparison import ALL, BASE, PAYS
    from defectsynth_pipeline.verdict.verdict import overall

    numbers: dict[str, float] = {}
    for task, rows in verdict.groupby("task", sort=False):
        arm = _OURS if (rows["arm"] == _OURS).any() else rows["arm"].iloc[0]
        mine = rows[rows["arm"] == arm]
        against = mine[mine["against"] == BASE]
        several = against.groupby("category")["defect_type"].transform("size") > 1
        against = against[(against["defect_type"] == ALL) | ~several]
        found = overall(mine)
        single = found[found["defect_type"] != ALL]
        numbers |= {
            f"{task}.value": against["value"].mean(),
            f"{task}.base": against["against_value"].mean(),
            f"{task}.difference": against["difference"].mean(),
            f"{task}.pays_share": (single["verdict"] == PAYS).mean(),
        }
    return {name: float(value) for name, value in numbers.items() if pd.notna(value)}
