"""One set by several processes: the same whoever makes it, and whoever is lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.appearance.plan import plan_synthesis
from defectsynth_pipeline.appearance.render import render_plan
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import ExecutionOptions, PromptOptions
from defectsynth_pipeline.rendering import ImageSetJob, Rendered, render_set
from defectsynth_pipeline.shards import spread_over
from defectsynth_pipeline.workers import count_workers, crew
from small_models import FRAMING, SYNTHESIS, changed, engines_of

KEY = "0123456789abcdef"


def plan_of(count: int, size: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"image_id": f"dent-{i:03d}", "batch": f"{i // size:05d}", "seed": i} for i in range(count)
    )


def render(rows: pd.DataFrame, falls: Path | None = None) -> Iterator[Rendered]:
    """A picture a row, by a process that ends itself once where `falls` says so."""
    for row in rows.itertuples():
        if falls is not None and row.seed == 5 and not falls.exists():
            falls.write_text(str(os.getpid()))
            os._exit(9)
        picture = np.random.default_rng(row.seed).integers(0, 256, (8, 8, 3), np.uint8)
        yield Rendered(row.image_id, {"image": picture}, {"by": "us"})


def contents(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*.*")}


def rendered(job: ImageSetJob, folder: Path, **execution: object) -> dict[str, bytes]:
    finished = render_set(job, folder, spread_over(ExecutionOptions(**execution)))
    assert not list(finished.work.glob("*.pt"))
    return contents(finished.work / "set")


@pytest.fixture(scope="module")
def job(request: pytest.FixtureRequest) -> ImageSetJob:
    """Sixteen images of the small model."""
    samples, masks, small = map(request.getfixturevalue, ("all_samples", "masks", "small"))
    options = changed(SYNTHESIS, count=16)
    plan = plan_synthesis(samples, masks, engines_of(masks), options, PromptOptions())
    how = {"samples": samples, "masks": masks, "base": small, "options": options}

    def accept(made: Made) -> Judged:
        return Judged(True, made.mask, {"verdict": "accepted"})

    how |= {"framing": FRAMING, "judge": accept, "plan": plan}
    return ImageSetJob(KEY, plan, partial(render_plan, **how))


@pytest.fixture(scope="module")
def alone(job: ImageSetJob, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return rendered(job, tmp_path_factory.mktemp("alone"), workers=1)


@pytest.mark.parametrize("workers", [2, 3])
def test_output_is_the_same_for_any_number_of_workers(
    job: ImageSetJob, alone: dict[str, bytes], tmp_path: Path, workers: int
) -> None:
    assert rendered(job, tmp_path, workers=workers) == alone


def test_torchs_launcher_gives_the_same(tmp_path: Path) -> None:
    job = ImageSetJob(KEY, plan_of(6, 2), render)
    by_us = rendered(job, tmp_path / "us", workers=1)
    assert rendered(job, tmp_path / "torchrun", engine="torchrun", workers=2) == by_us


def test_a_lost_worker_loses_its_unfinished_images_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    falls = tmp_path / "fell"
    whole = rendered(ImageSetJob(KEY, plan_of(12, 2), render), tmp_path / "whole", workers=1)
    job = ImageSetJob(KEY, plan_of(12, 2), partial(render, falls=falls))
    assert rendered(job, tmp_path / "work", workers=2) == whole
    assert falls.exists()
    (said,) = [r.getMessage() for r in caplog.records if "was lost" in r.getMessage()]
    left = int(said.split(";")[1].split()[0])
    assert 1 <= left < 12


def fail(rows: pd.DataFrame) -> Iterator[Rendered]:
    raise InputError("no", value=len(rows), remedy="none")
    yield


def test_an_error_of_a_worker_is_the_runs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no; value: 2; remedy: none"):
        rendered(ImageSetJob(KEY, plan_of(4, 2), fail), tmp_path, workers=2)


def test_a_crew_gives_results_in_order_and_logs_here(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    offset = 3

    def call(item: int) -> tuple[int, int]:
        import logging

        logging.getLogger("defectsynth_pipeline.worker").info("item %d", item)
        return item + offset, os.getpid()

    with crew(ExecutionOptions(workers=2)) as each:
        found = list(each(call, range(4)))
    assert [value for value, _ in found] == [3, 4, 5, 6]
    assert os.getpid() not in {process for _, process in found}
    assert {r.getMessage() for r in caplog.records} >= {"item 0", "item 3"}


def test_as_many_workers_as_asked_and_one_of_its_own_accord_on_one_thread() -> None:
    assert count_workers(ExecutionOptions(workers=5)) == 5
    assert count_workers(ExecutionOptions()) >= 1
