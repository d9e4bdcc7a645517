"""Results of detectors that never were: known skill, real containers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from defectsynth_pipeline.inspection.results import (
    LEGACY,
    WHERE,
    ClassificationResults,
    LocalizationResults,
)
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.verdict.paper_tables import CLASSIFICATION, LOCALIZATION

SIDE = 32


def detector_of(arm: str) -> str:
    return "patchcore" if arm == "normals_only" else "lite0"


def meta_row(arm: str, seed: int, *, selected: str = "last", **changes: object) -> dict:
    made = 0 if arm in ("base", "normals_only") else 200
    row = {
        "corpus": "mvtec",
        "category": "screw",
        "detector": detector_of(arm),
        "arm": arm,
        "seed": seed,
        "steps": 150,
        "set_size": 300,
        "n_synthetic": made,
        "n_base": 12,
        "n_types": 2,
        "weights": "from scratch",
        "seconds": 1.0,
        "selected": selected,
        "checkpoint_step": 150,
        "role": "main",
        "held_out": np.nan,
    }
    return row | changes


def classification_results(
    skills: Mapping[str, float],
    *,
    types: Sequence[str] = ("crack", "scratch"),
    per_type: int = 20,
    seeds: Sequence[int] = (0, 1),
    selected: str = "last",
    category: str = "screw",
) -> ClassificationResults:
    """Classifiers that are right with a probability of their own, images equally hard for all."""
    true = [kind for kind in types for _ in range(per_type)]
    predictions, meta = [], []
    for seed in seeds:
        luck = np.random.default_rng(seed).random(len(true))
        for arm, skill in skills.items():
            meta.append(meta_row(arm, seed, selected=selected, category=category))
            for number, kind in enumerate(true):
                step = 1 + number % max(len(types) - 1, 1)
                other = types[(types.index(kind) + step) % len(types)]
                predicted = kind if luck[number] < skill else other
                predictions.append(
                    {
                        **{name: meta[-1][name] for name in WHERE},
                        "selected": selected,
                        "sample_id": f"{category}/{number:03d}",
                        "group": f"{category}/{number:03d}",
                        "defect_type": kind,
                        "predicted": predicted,
                        "probabilities": json.dumps({name: 1 / len(types) for name in types}),
                    }
                )
    return ClassificationResults(pd.DataFrame(meta), pd.DataFrame(predictions))


def localization_stats(
    skill: float, seed: int, *, per_type: int = 12, good: int = 12, side: int = SIDE
) -> LocalizationStats:
    """Score maps that stand out from noise by `skill` logits; noise depends on the seed alone."""
    stats, rng = LocalizationStats(), np.random.default_rng(seed)
    kinds = ["crack"] * per_type + ["scratch"] * per_type + ["good"] * good
    for number, kind in enumerate(kinds):
        mask = np.zeros((side, side), bool)
        noise = rng.normal(-3, 1.5, (side, side)).astype(np.float32)
        top, left = np.random.default_rng(1000 + number).integers(2, side - 10, 2)
        if kind != "good":
            mask[top : top + 5, left : left + 6] = True
        ease = 0.6 + 0.4 * np.random.default_rng(number).random()
        stats.update(f"{number:03d}", f"g{number}", kind, noise + skill * ease * mask, mask)
    return stats


def localization_results(
    skills: Mapping[str, float],
    *,
    seeds: Sequence[int] = (0, 1),
    good: int = 12,
    legacy: Mapping[str, float] | None = None,
    **changes: object,
) -> LocalizationResults:
    """Localizers of known skill on one category, `changes` in every row of their meta."""
    stats, inflated, meta = {}, {}, []
    for arm, skill in skills.items():
        for seed in seeds:
            meta.append(meta_row(arm, seed, **changes))
            key = tuple(meta[-1][name] for name in WHERE)
            stats[key] = localization_stats(skill, seed, good=good)
            if legacy:
                meta.append(meta_row(arm, seed, **(changes | {"selected": LEGACY})))
                inflated[key] = localization_stats(legacy[arm], seed, good=good)
    return LocalizationResults(pd.DataFrame(meta), stats, inflated)


def joined(*results: LocalizationResults) -> LocalizationResults:
    """Results of several detectors as one."""
    meta = pd.concat([one.meta for one in results], ignore_index=True)
    stats = {key: value for one in results for key, value in one.stats.items()}
    return LocalizationResults(meta, stats)


def paper_report(
    task: str,
    numbers: Mapping[tuple[str, str], float],
    *,
    arms: Sequence[str] = ("base", "defectsynth"),
    **changes: object,
) -> pd.DataFrame:
    """A report of (corpus, category) -> the first arm's value; each further arm has 0.1 more."""
    metrics = CLASSIFICATION if task == "classification" else LOCALIZATION
    rows = [
        {"corpus": corpus, "category": category, "arm": arm, "metric": metric, "value": value}
        for (corpus, category), first in numbers.items()
        for arm, value in zip(arms, first + 0.1 * np.arange(len(arms)), strict=True)
        for metric in metrics
    ]
    common = {
        "task": task,
        "detector": "lite0",
        "role": "main",
        "defect_type": "all",
        "against": "",
        "seeds": 2,
        "set_size": 300,
        "steps": 150,
        "weights": "from scratch",
        "selected": "last",
        "partition": 0,
        "split_protocol": "random_third",
    }
    return pd.DataFrame(rows).assign(**(common | changes))


def report_row(**changes: object) -> dict:
    """A row of a report as it would come out."""
    row = {
        "task": "localization",
        "corpus": "mvtec",
        "category": "screw",
        "detector": detector_of(str(changes.get("arm", ""))),
        "role": "main",
        "defect_type": "crack",
        "arm": "defectsynth",
        "metric": "pixel_ap",
        "value": 0.6,
        "low": 0.55,
        "high": 0.65,
        "seed_std": 0.01,
        "chance": 0.02,
        "against": "",
        "difference": np.nan,
        "difference_low": np.nan,
        "difference_high": np.nan,
        "detectable": np.nan,
        "n_test": 24,
        "n_groups": 24,
        "n_good": 30,
        "seeds": 3,
        "n_synthetic": 200,
        "set_size": 400,
        "steps": 150,
        "weights": "from scratch",
        "selected": "last",
        "held_out": np.nan,
        "note": "",
    }
    return row | changes
