"""The last words of a run: where the result is, how much, what is suspicious, what is next."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from kedro.framework.hooks import hook_impl

from defectsynth_pipeline.hooks.command import is_versioned
from defectsynth_pipeline.hooks.latest import LATEST, point_to
from defectsynth_pipeline.publishing import cannot_write

logger = logging.getLogger(__name__)

# Catalog entry -> its name in data/latest; of two with one name the later one stays.
_OPENED = {
    "first_look": "first_look.png",
    "synthetic_images": "images",
    "synthetic_preview": "preview.png",
    "report": "report.html",
    "verdict_report": "report.html",
    "quality_report": "report.html",
    "verdict_page": "verdict.md",
}
_TOLD = ("samples", "engine_choice", "engine_trials", "certificate_test", "synthesis_summary")
_TYPES = 6  # named in a line


class Closing:
    """Collects what a run says of itself, and says at its end what matters, in at most six lines.

    Of the partitions each has a folder of its own in `data/latest`.
    """

    def __init__(self) -> None:
        self._project, self._catalog = Path(), None
        self._saved: list[str] = []
        self._tables: dict[str, dict[str, Any]] = {}

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Find the project."""
        self._project = context.project_path

    @hook_impl
    def before_pipeline_run(self, catalog: Any) -> None:
        """Begin anew."""
        self._catalog, self._saved, self._tables = catalog, [], {}

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Keep what the message speaks of."""
        self._keep(dataset_name, data)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Keep what the message speaks of, and what was written."""
        self._keep(dataset_name, data)
        self._saved.append(dataset_name)
        if dataset_name.rpartition(".")[2] == "first_look":
            for link in self._point([dataset_name]).values():
                logger.info("a first look, before anything is trained: open %s", link)

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Point to what was made and say the message."""
        opened = self._point(self._saved)
        for line in self._lines(opened):
            logger.info("%s", line)

    def _keep(self, name: str, data: Any) -> None:
        part, _, entry = name.rpartition(".")
        if entry in _TOLD or entry == "verdict":
            self._tables.setdefault(part, {})[entry] = data

    def _point(self, names: Iterable[str]) -> dict[str, Path]:
        """Link what was saved; return what a person opens, by entry."""
        opened = {}
        for name in names:
            part, _, entry = name.rpartition(".")
            if entry not in _OPENED or not is_versioned(self._catalog[name]):
                continue
            dataset = self._catalog[name]
            version = dataset.resolve_save_version()
            target = Path(dataset._get_versioned_path(version))
            try:
                link = point_to(target, self._project / LATEST / part / _OPENED[entry])
            except OSError as error:
                told = cannot_write(error, self._project / LATEST)
                logger.warning("%s could not be updated: %s", LATEST, told or error)
                return opened
            opened[entry] = link.relative_to(self._project)
        return opened

    def _lines(self, opened: Mapping[str, Path]) -> Iterator[str]:
        summaries = [one["synthesis_summary"] for one in self._tables.values() if _made(one)]
        verdicts = [one["verdict"] for one in self._tables.values() if "verdict" in one]
        if "synthetic_images" in opened and summaries:
            yield _counted(pd.concat(summaries))
        if verdicts:
            yield _judged(pd.concat(verdicts))
        pages = ("quality_report", "verdict_report", "report")
        page = next((opened[name] for name in pages if name in opened), None)
        if page is not None:
            named = {"the picture": "synthetic_preview", "images and masks": "synthetic_images"}
            more = [f"{what}: {opened[name]}" for what, name in named.items() if name in opened]
            yield "; ".join([f"open {page}", *more])
        if "synthetic_images" in opened:
            yield from self._suspicious()
        if page is not None:
            yield _next(bool(verdicts))

    def _suspicious(self) -> Iterator[str]:
        # Not above: every command of Kedro's would wait for the libraries behind it.
        from defectsynth_pipeline.report.findings import Tables, suspicions

        found = []
        for one in self._tables.values():
            if all(name in one for name in _TOLD):
                found += suspicions(Tables(**{name: one[name] for name in _TOLD}))
        for sentence in found[:2]:
            yield f"look at {sentence}"
        if len(found) > 2:
            yield f"and {len(found) - 2} more in the report, under What is suspicious"


def _made(tables: Mapping[str, Any]) -> bool:
    return "synthesis_summary" in tables


def _counted(summary: pd.DataFrame) -> str:
    """Images per type and in all, and how many of them were accepted as planned."""
    summary = summary.groupby(["category", "defect_type"], sort=True).sum().reset_index()
    types = [
        f"{row['category']} / {row['defect_type']} {row['accepted']} of {row['images']}"
        for row in summary.head(_TYPES).to_dict("records")
    ]
    more = f", and {len(summary) - _TYPES} more types" if len(summary) > _TYPES else ""
    total, accepted = summary["images"].sum(), summary["accepted"].sum()
    return f"{total:,} images, {accepted:,} accepted: {', '.join(types)}{more}"


def _judged(verdict: pd.DataFrame) -> str:
    from defectsynth_pipeline.verdict.verdict import outcomes, overall

    shown = verdict[~verdict["arm"].str.contains("@")]
    if shown.empty:
        return "verdict: there is nothing to judge, no arm beside the controls was tested"
    told = [
        f"{one.arm}, {one.task}: "
        + ", ".join(f"{name} {count} of {one.types} types" for name, count in one.counts.items())
        for one in outcomes(overall(shown))
    ]
    return f"verdict: {'; '.join(told)}"


def _next(judged: bool) -> str:
    if judged:
        return "next: read Does it pay? in the report; kedro viz run shows every step"
    return "next: kedro run --pipeline=downstream measures whether a detector gets better by them"
