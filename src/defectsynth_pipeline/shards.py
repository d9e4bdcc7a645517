"""One image set rendered by several processes: of this machine, of torch's launcher, or of Ray.

A shard is a batch of the plan, never a part of one, so that every image is the same whoever made
it. What a process has written stays when it is lost: only its unfinished images are made again.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from defectsynth_pipeline.options import ExecutionOptions
from defectsynth_pipeline.rendering import (
    ImageSetJob,
    Spread,
    missing_rows,
    render_rows,
    rendered_files,
    write_files,
)
from defectsynth_pipeline.resumable import Progress
from defectsynth_pipeline.workers import (
    RELAUNCHES,
    as_task,
    count_workers,
    hand_over,
    handed,
    launch,
    lost,
    one_thread,
    pool,
    start_ray,
    unpacked,
)

logger = logging.getLogger(__name__)
_JOB = "job.pt"


def spread_over(options: ExecutionOptions) -> Spread:
    """Return what `render_set` spreads its rows with."""
    workers = count_workers(options)
    if options.engine == "local" and workers == 1:
        return _here
    return partial(_render, engine=_ENGINES[options.engine], workers=workers)


def _here(job: ImageSetJob, rows: pd.DataFrame, work: Path) -> None:
    with one_thread():
        render_rows(job, rows, work)


class LostWorker(Exception):
    """A process ended by itself; what it had written is there."""


Engine = Callable[[Path, Path, list[list[str]], int], Iterator[int]]
"""(the job's file, work folder, ids of every shard, workers) -> images as they are done."""


def _render(
    job: ImageSetJob, rows: pd.DataFrame, work: Path, *, engine: Engine, workers: int
) -> None:
    path, progress, done = hand_over(job, work / _JOB), Progress("image", len(rows)), 0
    try:
        for _ in range(1 + RELAUNCHES):
            if rows.empty:
                return
            shards = [list(ids) for _, ids in rows.groupby("batch", sort=False)["image_id"]]
            try:
                for count in engine(path, work, shards, min(workers, len(shards))):
                    done += count
                    progress(done)
                return
            except LostWorker:
                rows = missing_rows(rows, work)
                logger.warning("a worker was lost; %d images are left to be made", len(rows))
        raise lost(workers)
    finally:
        path.unlink()


def _render_shard(path: Path, work: Path, ids: list[str]) -> int:
    """Render what a shard still lacks; return how many images it has."""
    job: ImageSetJob = handed(path)
    missing = missing_rows(job.plan[job.plan["image_id"].isin(ids)], work)
    for files in rendered_files(job, missing):
        write_files(work, files)
    return len(ids)


def _local(path: Path, work: Path, shards: list[list[str]], workers: int) -> Iterator[int]:
    try:
        with pool(workers) as crew:
            given = [crew.submit(_render_shard, path, work, ids) for ids in shards]
            for future in as_completed(given):
                yield future.result()
    except BrokenProcessPool as error:
        raise LostWorker from error


def _torchrun(path: Path, work: Path, shards: list[list[str]], workers: int) -> Iterator[int]:
    """Start workers as `torchrun` does; when one is lost, all of them begin with what is left."""
    yield from launch(_ranked, (path, work, shards), workers, work.name)


def _ranked(path: Path, work: Path, shards: list[list[str]]) -> int:
    """What a worker of the launcher does: every n-th shard, on its own card."""
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(1)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return sum(_render_shard(path, work, ids) for ids in shards[rank::count])


def _ray(path: Path, work: Path, shards: list[list[str]], workers: int) -> Iterator[int]:
    """Let the nodes of a cluster render; the files come back, and are written here.

    A task whose node is lost is given to another one.
    """
    ray = start_ray(workers)
    job, render = ray.put(path.read_bytes()), as_task(ray, _shard_files)
    left = deque(shards)
    running: set[Any] = set()
    try:
        while left or running:
            while left and len(running) < workers:
                running.add(render.remote(job, left.popleft()))
            (done,), _ = ray.wait(list(running))
            running.remove(done)
            images = ray.get(done)
            for files in images:
                write_files(work, files)
            yield len(images)
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError) as error:
        raise LostWorker from error


def _shard_files(data: bytes, ids: list[str]) -> list[dict[str, bytes]]:
    """Render a shard; return the files of every image."""
    torch.set_num_threads(1)
    job: ImageSetJob = unpacked(data)
    return list(rendered_files(job, job.plan[job.plan["image_id"].isin(ids)]))


_ENGINES: dict[str, Engine] = {"local": _local, "torchrun": _torchrun, "ray": _ray}
