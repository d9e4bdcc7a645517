"""One self-contained HTML page on what a run made; the judgement is put into it later."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures.certificate import draw_certificate
from defectsynth_pipeline.figures.engines import draw_engines
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.report.distributions import MEASURED, differences, distributions
from defectsynth_pipeline.report.findings import Tables, suspicions
from defectsynth_pipeline.report.gallery import galleries, rejected
from defectsynth_pipeline.report.inline import drawing
from defectsynth_pipeline.report.sources import licences_of, models_of, sources
from defectsynth_pipeline.report.spreads import draw_spreads

_OURS = "defectsynth_pipeline"
_NAMED = 5  # categories in the title


def image_report(tables: Tables, images: ImageSet, seconds: Mapping[str, float]) -> str:
    """Write the page of a set of images: what, from what, how well, and what is suspicious.

    Args:
        tables: What the run says of the images.
        images: The set.
        seconds: What each node of the run took; empty where that is not known.

    Returns:
        HTML that loads nothing. `fill` puts the judgement into it.
    """
    spreads = distributions(tables.samples, images)
    gone = images.rejected
    return _template("report.html.j2").render(
        version=images.root.parent.name,
        subject=_subject(tables.synthesis_summary["category"].unique()),
        made=made_by_type(tables, images),
        suspicions=[*suspicions(tables), *differences(spreads)],
        galleries=galleries(tables.samples, images),
        spreads=[(one.name, drawing(draw_spreads(one))) for one in spreads],
        measured=MEASURED,
        rejected=list(rejected(images)),
        reasons=_reasons(gone["reason"]) if len(gone) else [],
        engines=drawing(draw_engines(tables.engine_choice, tables.engine_trials)),
        certificate=drawing(draw_certificate(tables.certificate_test)),
        seconds=_told_seconds(seconds),
        sources=sources(tables.samples, images),
        licences=licences_of(images),
        models=models_of(images),
    )


class Made(NamedTuple):
    """A line of the first table."""

    name: str
    base: int
    planned: int
    published: int
    accepted: int
    relabelled: int
    rejected: int
    first: float
    engines: str
    network: float


def made_by_type(tables: Tables, images: ImageSet) -> list[Made]:
    """What was planned and what came of it, per defect type."""
    base = tables.samples[tables.samples["split"] == "base"]
    real = base.groupby(["category", "defect_type"]).size()
    engines = images.manifest.groupby(["category", "defect_type"])["engine"].value_counts()
    found = []
    for row in tables.synthesis_summary.to_dict("records"):
        key = (row["category"], row["defect_type"])
        shares = engines.get(key, pd.Series(dtype=int)) if row["images"] else pd.Series(dtype=int)
        told = (f"{name} {count / row['images']:.0%}" for name, count in shares.items())
        found.append(
            Made(
                name=" / ".join(key),
                base=int(real.get(key, 0)),
                planned=row["images"] + row["rejected"],
                published=row["images"],
                accepted=row["accepted"],
                relabelled=row["relabelled"],
                rejected=row["rejected"],
                first=row["first_attempts"],
                engines=", ".join(told),
                network=row["network"],
            )
        )
    return found


def fill(page: str, section: str, html: str) -> str:
    """Replace a section of a page.

    Args:
        page: From `image_report`.
        section: "answer", "verdict" or "quality".
        html: What is to stand there.

    Raises:
        InputError: The page has no such section.
    """
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise InputError(
            "the report of the images is no page of this release",
            value=f"no section {section}",
            remedy="write it again: kedro run --pipeline=report",
        )
    return f"{before}{begin}\n{html}\n{end}{after}"


def extended(page: str, other: str) -> str:
    """The page to go on with: what another pipeline made of it, if that is about the same images.

    Args:
        page: From `image_report`.
        other: A page that `fill` has changed; "" where there is none.
    """
    return other if images_of(other) == images_of(page) else page


def images_of(page: str) -> str:
    """The version of the images that a page is about; "" if it is no such page."""
    found = re.search(r'<meta name="images" content="([^"]+)">', page)
    return found[1] if found else ""


def rendered(template: str, **context: Any) -> str:
    """A part of a page by the name of its template."""
    return _template(template).render(**context)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader(f"{_OURS}.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _template(name: str) -> Any:
    return _environment().get_template(name)


def _subject(categories: Sequence[str]) -> str:
    more = f" and {len(categories) - _NAMED} more" if len(categories) > _NAMED else ""
    return ", ".join(categories[:_NAMED]) + more


def _reasons(values: pd.Series) -> list[tuple[str, int]]:
    """Reasons without the numbers of single images, the most frequent first."""
    plain = values.str.replace(r"\s*\([^)]*\)|:\s*\d.*$", "", regex=True)
    return [(str(name), int(count)) for name, count in plain.value_counts().items()]


def _told_seconds(seconds: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(seconds.items(), key=lambda item: -item[1])
