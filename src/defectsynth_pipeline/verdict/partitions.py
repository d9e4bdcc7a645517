"""Several runs of one experiment: which of them enter a table, and what is missing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError

_log = logging.getLogger(__name__)

PARTITIONS = 3  # Sec. V-A2: three partitions of base and test set, results averaged
LEGACY = "legacy_best_test"
_EQUAL = ("split_protocol", "selected", "seeds", "weights")
_CLOSE = ("steps", "set_size")  # epochs, and bases one sample larger, move these a little
_TOLERANCE = 0.1
_COLUMNS = ("corpus", "category", "defect_type", "arm", "metric", "value", "against", "partition")

Category: TypeAlias = tuple[str, str]


@dataclass(frozen=True)
class Runs:
    """The numbers that enter a table.

    Attributes:
        values: corpus, category, arm, metric, partition, value in [0, 1]; undefined ones are
            left out. Arms judged by the field's habit have " (best test checkpoint)" in their
            name.
        partitions: (corpus, category) -> partitions that entered, such as "0+1+2".
        notes: (corpus, category) -> what is missing or was left out, "" if nothing.
        arms: All arms, in the newest report's order.
    """

    values: pd.DataFrame
    partitions: dict[Category, str]
    notes: dict[Category, str]
    arms: list[str]

    def mean(self) -> pd.Series:
        """Mean over partitions, indexed by (corpus, category, arm, metric)."""
        keys = ["corpus", "category", "arm", "metric"]
        return self.values.groupby(keys, sort=False)["value"].mean()

    def corpora(self) -> dict[str, list[str]]:
        """Corpus -> its categories, in the report's order."""
        found: dict[str, list[str]] = {}
        for corpus, category in self.partitions:
            found.setdefault(corpus, []).append(category)
        return found


def choose_runs(history: pd.DataFrame, metrics: Sequence[str]) -> Runs:
    """Take, for every category and partition, the latest report made with equal settings.

    The settings are those of the latest report that holds the category: split protocol, model
    selection, seeds and weights must equal; steps and set size may differ by a tenth. All arms of
    a category and partition come from one report, so that they stay paired.

    Args:
        history: Reports of one task with `version`, `partition` and `split_protocol`, as
            `VersionHistoryDataset` loads them; empty if there is none.
        metrics: Metrics of the table.

    Raises:
        InputError: A column is missing.
    """
    rows = _usable(history, metrics)
    kept: list[pd.DataFrame] = []
    partitions: dict[Category, str] = {}
    notes: dict[Category, str] = {}
    for key, of_category in rows.groupby(["corpus", "category"], sort=False):
        versions, missing = _choose(of_category)
        chosen = of_category[of_category["version"].isin(versions.values())]
        name: Category = (str(key[0]), str(key[1]))
        partitions[name] = "+".join(map(str, sorted(versions)))
        notes[name] = "; ".join([*missing, *_gaps(chosen, metrics, set(versions))])
        kept.append(chosen)
    values = pd.concat(kept or [rows])[
        ["corpus", "category", "arm", "metric", "partition", "value"]
    ]
    arms = list(dict.fromkeys(values["arm"]))
    values = values.dropna(subset="value").astype({"partition": int, "value": float})
    return Runs(values.reset_index(drop=True), partitions, notes, arms)


def join_notes(notes: Iterable[str]) -> str:
    """One text of several notes, each said once."""
    return "; ".join(dict.fromkeys(note for note in notes if note))


def join_partitions(partitions: Iterable[str]) -> str:
    """Partitions over categories: "0+1+2", or "0 or 0+1+2" where they differ."""
    return " or ".join(sorted(set(partitions)))


def _usable(history: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Whole-category rows of each arm, newest report first; lowest_third is one partition."""
    needed = ["version", *_COLUMNS, *_EQUAL, *_CLOSE]
    if history.empty:
        return pd.DataFrame(columns=needed)
    absent = [name for name in needed if name not in history]
    if absent:
        raise InputError(
            "a report lacks columns",
            value=", ".join(absent),
            remedy="delete the versions of the report that an older release wrote",
        )
    rows = history[history["metric"].isin(metrics) & (history["defect_type"] == "all")]
    rows = rows[rows["against"].fillna("") == ""]
    partition = pd.to_numeric(rows["partition"], errors="coerce")
    for version in rows.loc[partition.isna(), "version"].unique():
        _log.warning("report version %s names no partition and is left out", version)
    rows = rows[partition.notna()].assign(partition=partition.dropna().astype(int))
    rows["partition"] = rows["partition"].where(rows["split_protocol"] == "random_third", 0)
    rows["value"] = pd.to_numeric(rows["value"], errors="coerce")
    legacy = rows["selected"] == LEGACY
    rows["arm"] = rows["arm"].where(~legacy, rows["arm"] + " (best test checkpoint)")
    return rows.sort_values("version", ascending=False, kind="stable")


def _choose(rows: pd.DataFrame) -> tuple[dict[int, str], list[str]]:
    """Partition -> version, and a sentence per partition that is missing."""
    settings = {str(v): _settings(part) for v, part in rows.groupby("version", sort=False)}
    partition = rows.drop_duplicates("version").set_index("version")["partition"]
    newest = next(iter(settings.values()))
    chosen: dict[int, str] = {}
    for version, own in settings.items():
        if not _differences(own, newest):
            chosen.setdefault(int(partition[version]), version)
    missing = []
    for number in range(PARTITIONS if newest["split_protocol"] == "random_third" else 1):
        others = [version for version in settings if partition[version] == number]
        if number not in chosen:
            why = _differences(settings[others[0]], newest) if others else ""
            missing.append(
                f"partition {number} left out: {why}" if why else f"partition {number} not run"
            )
    return chosen, missing


def _settings(rows: pd.DataFrame) -> dict[str, Any]:
    """What must be equal, of the arms that never looked at the test set."""
    honest = rows[rows["selected"] != LEGACY]
    found: dict[str, Any] = {name: "/".join(sorted(set(honest[name].map(str)))) for name in _EQUAL}
    return found | {name: pd.to_numeric(honest[name]).max() for name in _CLOSE}


def _differences(own: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    unequal = [name for name in _EQUAL if own[name] != other[name]]
    unequal += [name for name in _CLOSE if not np.isclose(own[name], other[name], rtol=_TOLERANCE)]
    return ", ".join(f"{name} {own[name]}, not {other[name]}" for name in unequal)


def _gaps(rows: pd.DataFrame, metrics: Sequence[str], partitions: set[int]) -> list[str]:
    """Numbers that some partition lacks, an arm or a metric that is nowhere first."""
    defined = rows.dropna(subset="value")
    found = defined.groupby(["arm", "metric"])["partition"].agg(set).to_dict()
    notes = [f"{m} not defined" for m in metrics if not any(name == m for _, name in found)]
    present = [m for m in metrics if any(name == m for _, name in found)]
    for arm in dict.fromkeys(rows["arm"]):
        lacking: dict[str, list[str]] = {}
        for metric in present:
            held = found.get((arm, metric), set())
            if held != partitions:
                lacking.setdefault("+".join(map(str, sorted(held))), []).append(metric)
        for held_text, names in lacking.items():
            what = arm if len(names) == len(present) else f"{arm} {', '.join(names)}"
            notes.append(f"{what}: " + (f"partition {held_text} only" if held_text else "nowhere"))
    return notes
