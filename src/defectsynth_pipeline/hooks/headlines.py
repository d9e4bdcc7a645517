"""What MLflow shows first of a run: name, tags, at most eight numbers, a text with a picture.

Everything else is in the tables among its artifacts: no number here has the name of a type.
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
_PAGE_LIMIT = 3000
_COUNT = "- **"  # begins the lines of a verdict page that count outcomes

SECTIONS = {
    "verdict_page": "Does it pay?",
    "verdict_figure": "",
    "synthesis_summary": "Images",
    "synthetic_preview": "",
}
"""The entries that a run's text is made of, in its order, with their headings."""


def run_name(facts: Mapping[str, str]) -> str:
    """Pipeline, data and number of images, what is known yet: `augment mvtec/screw 8`."""
    parts = (facts["pipeline"], facts.get("data", ""), facts.get("images", ""))
    return " ".join(part for part in parts if part)


def facts_in(entry: str, data: Any) -> dict[str, str]:
    """Tags that a catalog entry's content answers for.

    Args:
        entry: `samples`, `synthetic_images` and `verdict_page` tell something.
        data: What was loaded or saved; a set may be a `FinishedSet`.
    """
    if entry == "samples":
        corpora, categories = list(data["corpus"].unique()), list(data["category"].unique())
        folder = os.path.commonpath([Path(root) for root in data["root"].unique()])
        where = corpora[0] if len(corpora) == 1 else os.path.basename(folder)
        return {
            "data": f"{where}/{categories[0]}" if len(categories) == 1 else where,
            "corpus": ", ".join(corpora),
            "categories": ", ".join(categories),
        }
    if entry == "synthetic_images":
        return {"images": str(len(data) if isinstance(data, ImageSet) else data.images)}
    if entry == "verdict_page":
        counts = [line for line in str(data).splitlines() if line.startswith(_COUNT)]
        return {"verdict": "; ".join(line.removeprefix("- ").replace("*", "") for line in counts)}
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
    """Return an entry's numbers, of most entries none.

    accepted_share, attempts_per_image: Of `synthesis_summary`.
    held_out_gain: Of `engine_choice`: what the mixture brought on held-out base images, in AP.
    nothing_passed: Of `certificate_test`: the share of the worst kind of null that passes.
    quality.MEASURE.REGION, quality.floor...: Of `generation_quality`.
    TASK.difference, TASK.pays_share: Of `verdict`: to the base arm, and of the types.
    """
    numbers = {
        "synthesis_summary": _of_images,
        "engine_choice": _of_engines,
        "certificate_test": _of_certificate,
        "verdict": _of_verdict,
        "generation_quality": _of_quality,
    }.get(entry)
    found = {} if numbers is None else numbers(data)
    return {name: float(value) for name, value in found.items() if pd.notna(value)}


def description(entry: str, data: Any) -> str:
    """Return Markdown from `synthesis_summary` or the answers of `verdict_page`, "" from others."""
    if entry == "synthesis_summary":
        lines = [
            [escape(f"{row['category']} / {row['defect_type']}"), *(str(row[n]) for n in _COUNTS)]
            for row in data.to_dict("records")
        ]
        return markdown_table(["type", *_COUNTS], lines)
    if entry != "verdict_page":
        return ""
    # Without heading and introduction; MLflow shows four lines, which should be the counts.
    parts = str(data).partition("\n## ")[0].strip().split("\n\n")[2:]
    answers = "\n\n".join(sorted(parts, key=lambda part: not part.startswith(_COUNT)))
    if len(answers) > _PAGE_LIMIT:
        answers = answers[:_PAGE_LIMIT].rpartition("\n")[0]
    return f"{answers}\n\nThe whole page is among the artifacts."


def _of_images(summary: pd.DataFrame) -> dict[str, float]:
    made = summary[["accepted", "relabelled", "rejected"]].sum()
    total = made.sum()
    if total == 0:
        return {}
    weights = summary[["accepted", "relabelled", "rejected"]].sum(axis=1)
    return {
        "accepted_share": made["accepted"] / total,
        "attempts_per_image": (summary["mean_attempts"] * weights).sum() / total,
    }


def _of_engines(choice: pd.DataFrame) -> dict[str, float]:
    shared = choice.assign(gain=choice["gain"] * choice["share"])
    return {
        "held_out_gain": shared.groupby(["category", "defect_type"])["gain"].sum(min_count=1).mean()
    }


def _of_certificate(test: pd.DataFrame) -> dict[str, float]:
    from defectsynth_pipeline.certificate.certificate import worst_null
    from defectsynth_pipeline.corpora.columns import ALL_TYPES

    of_all = test[test["defect_type"] == ALL_TYPES]
    return {} if of_all.empty else {"nothing_passed": worst_null(of_all)["passed"]}


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
    """Per task our arm against base (mean over categories), and the share of types that pay.

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
            f"{task}.difference": against["difference"].mean(),
            f"{task}.pays_share": (single["verdict"] == PAYS).mean(),
        }
    return numbers
