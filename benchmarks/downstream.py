"""Time `downstream` in a project in which `augment` has run, and check what it promises.

    python benchmarks/downstream.py                    this project
    python benchmarks/downstream.py FOLDER --twice     another one, run twice: the same report?
    python benchmarks/downstream.py --stream 1000      only the memory of 1,000 test images

What earlier runs left of trained detectors is deleted first, since a timed run must not resume.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from augment import REPOSITORY, Check, print_table, timed
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project

from defectsynth_pipeline.measures.detection import LocalizationStats

PLANS = ("classification_plan", "localization_plan")
REPORTS = ("classification_report", "localization_report", "verdict")
RESULTS = ("classification_results", "localization_results")


def timed_run(project: Path, env: str | None) -> Iterator[Check]:
    """Run the pipeline with nothing to resume from."""
    shutil.rmtree(project / "data/06_models/downstream_checkpoints", ignore_errors=True)
    yield from timed("downstream", project, env, minutes_allowed=30)


def open_results(project: Path, env: str | None) -> dict[str, Any]:
    """Load what the latest run left."""
    bootstrap_project(project)
    with KedroSession.create(project_path=project, env=env) as session:
        catalog = session.load_context().catalog
        return {name: catalog[name].load() for name in (*PLANS, *REPORTS, *RESULTS)}


def check_fairness(run: dict[str, Any]) -> Iterator[Check]:
    """Count rows and steps of every arm again."""
    for plan, results in zip(PLANS, RESULTS, strict=True):
        rows = run[plan].groupby(["corpus", "category", "arm"]).size()
        sizes = rows.groupby(["corpus", "category"]).nunique()
        meta = run[results].meta
        steps = meta.groupby(["corpus", "category"])["steps"].nunique()
        task = plan.removesuffix("_plan")
        for what, counted in (("set sizes", sizes), ("optimizer steps", steps)):
            most = int(counted.max()) if len(counted) else 1
            yield Check(f"{task}: different {what} within a category", f"{most}", "1", most == 1)


def same_reports(first: dict[str, Any], second: dict[str, Any]) -> Iterator[Check]:
    """Compare two runs with the same seeds, cell by cell."""
    for name in REPORTS:
        one, two = first[name], second[name]
        same = one.shape == two.shape and bool(((one == two) | (one.isna() & two.isna())).all(None))
        yield Check(f"{name} of a second run", "same" if same else "differs", "same", same)


def check_stream(count: int, side: int = 1024) -> Iterator[Check]:
    """Stream random score maps with masks through the statistics of one arm."""
    rng, stats, start = np.random.default_rng(0), LocalizationStats(), time.perf_counter()
    for number in range(count):
        mask = np.zeros((side, side), dtype=bool)
        defective = number % 2 == 0
        if defective:
            y, x = rng.integers(0, side - 64, 2)
            mask[y : y + 64, x : x + 48] = True
        logits = rng.normal(-4, 2, (side, side)).astype(np.float32) + 3 * mask
        stats.update(str(number), str(number), "defect" if defective else "good", logits, mask)
    metrics = stats.metrics()
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    seconds = time.perf_counter() - start
    name = f"peak memory of {count} test images of {side}x{side}, GB"
    yield Check(name, f"{gigabytes:.2f}", "<= 4", gigabytes <= 4)
    yield Check("their seconds, and pixel AP", f"{seconds:.0f}, {metrics['pixel_ap']:.4f}")


def main() -> None:
    """Run, check, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("project", nargs="?", type=Path, default=REPOSITORY)
    parser.add_argument("--env", help="environment of the configuration")
    parser.add_argument("--twice", action="store_true", help="run again and compare the reports")
    parser.add_argument("--stream", type=int, metavar="N", help="only stream N test images")
    arguments = parser.parse_args()
    if arguments.stream:
        print_table(list(check_stream(arguments.stream)))
        return
    project = arguments.project.resolve()
    checks = list(timed_run(project, arguments.env))
    run = open_results(project, arguments.env)
    checks += check_fairness(run)
    if arguments.twice:
        list(timed_run(project, arguments.env))
        checks += same_reports(run, open_results(project, arguments.env))
    print_table(checks)
    with pd.option_context("display.width", 160, "display.max_columns", 12):
        sys.stdout.write(f"\n{run['verdict'].drop(columns='sentence').to_string(index=False)}\n")


if __name__ == "__main__":
    main()
