"""What an ablation would make, and how long that takes, without making anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from defectsynth_pipeline.ablation.estimate import Clock, estimate
from defectsynth_pipeline.ablation.judging import Judges
from defectsynth_pipeline.ablation.rows import Recipe, plan_rows
from defectsynth_pipeline.cli.project import find_project
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.hooks.parameters import STAGES
from defectsynth_pipeline.pipelines.ablation import JUDGES
from defectsynth_pipeline.pipelines.ablation import STAGES as MAKING
from defectsynth_pipeline.pipelines.ablation.making import CLOCK


def rows_and_minutes(env: str | None, params: dict[str, Any]) -> list[str]:
    """Return lines to print: a row of the ablation each, what it needs, and its minutes.

    Only the corpora are read. Seconds are those that steps took here before, as far as there is an
    earlier ablation, else those of two cores with the compact model; whole steps are counted,
    though a run goes on where an earlier one was stopped.

    Args:
        env: Environment of conf/; None is the default one.
        params: Nested parameters, as `kedro run` takes them.

    Raises:
        InputError: A parameter is wrong, or the corpora cannot be read.
    """
    from kedro.framework.session import KedroSession

    project = find_project(Path.cwd())
    session: Any = KedroSession.create(project_path=project, env=env, runtime_params=params)
    with session:
        context = session.load_context()
        given = context.config_loader["parameters"]
        corpora, work = (context.catalog[name] for name in ("corpora", "ablation_work"))
    options: dict[str, Any] = {
        name: STAGES[name](**given[name]) for name in given if name in STAGES
    }
    samples = make_samples([corpus.root for corpus in corpora.load()], options["ingest"])
    recipe = Recipe(options["ingest"], *(options[name] for name in MAKING))
    judges = Judges(*(options[name] for name in JUDGES))
    clock = Clock(project / work._filepath / CLOCK)
    rows = plan_rows(options["ablation"], recipe)
    table = estimate(rows, samples, options["ablation"], recipe, judges, clock)
    return list(_told(table, clock))


def _told(table: pd.DataFrame, clock: Clock) -> Iterator[str]:
    yield f"{'part':<6} {'row':<16} {'minutes':>7}  what is made"
    for (part, row), own in table.groupby(["part", "row"], sort=False):
        made = ", ".join(
            f"{n} {step.replace('_', ' ')}"
            for n, step in zip(own["made"], own["step"], strict=True)
        )
        yield f"{part:<6} {row:<16} {own['seconds'].sum() / 60:7.1f}  {made}"
    yield f"{'all':<23} {table['seconds'].sum() / 60:7.1f}"
    here = ", ".join(step for step in clock.measured if step in set(table["step"]))
    yield "seconds per step: of two cores with the compact model" + (
        f", but as measured here: {here}" if here else "; the first run measures this machine"
    )
