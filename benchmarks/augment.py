"""Check a finished `augment` run against the numbers it has to keep.

    python benchmarks/augment.py           the latest run in data/
    python benchmarks/augment.py --run     a run of its own in a temporary folder, timed

Everything is counted again from the pictures, not read from the manifests. Nothing is written;
`--keep FOLDER` makes the timed run in a folder that stays.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from scipy import ndimage

from defectsynth_pipeline.appearance.batching import batched
from defectsynth_pipeline.appearance.engines import planned_mask
from defectsynth_pipeline.appearance.render import render_plan
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ExecutionOptions
from defectsynth_pipeline.pipelines.synthesis.nodes import make_generator
from defectsynth_pipeline.shape.area import count_distinct
from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.parents import TYPE, Parents, base_types, mask_size

REPOSITORY = Path(__file__).resolve().parents[1]
ENTRIES = (
    *("samples", "defect_masks", "controlnet", "certificate"),
    *("synthesis_plan", "synthetic_images"),
)


class Check(NamedTuple):
    """One line of the table; `kept` is None where nothing is promised."""

    number: str
    measured: str
    wanted: str = ""
    kept: bool | None = None


def open_run(project: Path, env: str | None) -> dict[str, Any]:
    """Load the entries of the latest complete run, all at its version, and its options."""
    bootstrap_project(project)
    with KedroSession.create(project_path=project, env=env) as session:
        context = session.load_context()
        version = context.catalog["synthetic_images"].resolve_load_version()
        catalog = context._get_catalog(load_versions=dict.fromkeys(ENTRIES, version))
        names = ["base_model", "params:masks", "params:synthesis", "params:framing", *ENTRIES]
        return {name: catalog[name].load() for name in names} | {"version": version}


def asked_run(told: str) -> dict[str, Any]:
    """The run, as `open_run` gives it, that the command line of a benchmark with a text names."""
    parser = argparse.ArgumentParser(description=told.splitlines()[0])
    parser.add_argument("--project", type=Path, default=REPOSITORY)
    parser.add_argument("--env", help="environment of the configuration")
    arguments = parser.parse_args()
    return open_run(arguments.project.resolve(), arguments.env)


def check_masks(samples: pd.DataFrame, masks: ImageSet, options: Any) -> Iterator[Check]:
    """Nonempty, different, within the area and the stroke width of the base masks."""
    ids = masks.manifest["image_id"]
    arrays = {image_id: masks.array(image_id, "mask") for image_id in ids}
    empty = sum(not array.any() for array in arrays.values())
    yield Check("empty masks", f"{empty} of {len(ids)}", "0", empty == 0)
    distinct = count_distinct(arrays.values()) / len(ids)
    yield Check("masks pairwise distinct", f"{distinct:.1%}", ">= 95 %", distinct >= 0.95)
    inside, widths = [], []
    for name, group in base_types(samples):
        own = (masks.manifest[TYPE].astype(str) == list(name)).all(axis=1)
        parents = Parents(group, mask_size(group, options.max_side), options.tolerance)
        found = [measure(arrays[image_id]) for image_id in ids[own] if arrays[image_id].any()]
        low, high = parents.bounds.area
        inside += [low <= measured.area <= high for measured in found]
        ratio = _median_width(found) / _median_width(parents.measures.values())
        widths.append((not parents.branching, "/".join(name), ratio))
    share = float(np.mean(inside))
    yield Check("mask area in the base masks' range", f"{share:.1%}", ">= 90 %", share >= 0.9)
    for compact, name, ratio in sorted(widths):
        number = f"stroke width to base, {name}"
        kept = None if compact else abs(ratio - 1) <= 0.25
        yield Check(number, f"{ratio:.2f}", "" if compact else "0.75 to 1.25", kept)


def _median_width(measures: Any) -> float:
    return float(np.median([measured.width for measured in measures] or [np.nan]))


def check_images(run: dict[str, Any]) -> Iterator[Check]:
    """Pixels outside the planned mask's collar, each image against its background."""
    samples = run["samples"].set_index("sample_id", drop=False)
    images = run["synthetic_images"]
    differing, touched, empty = 0, 0, 0
    for row in images.manifest.itertuples(index=False):
        image, published = (images.array(row.image_id, name) for name in ("image", "mask"))
        background = Sample.of(samples.loc[row.background]).image()
        real = Sample.of(samples.loc[row.reference]).mask()
        mask = planned_mask(row._asdict(), run["defect_masks"], real, published.shape)
        differs = (image != background).reshape(*mask.shape, -1).any(-1)
        differing += int((differs & (ndimage.distance_transform_edt(~mask) > row.collar)).sum())
        touched += bool(differs.any())
        empty += not published.any()
    total = len(images)
    yield Check("images with an empty mask", f"{empty} of {total}", "0", empty == 0)
    yield Check("images that differ from their background", f"{touched} of {total}")
    yield Check("pixels differing outside the collar", str(differing), "0", differing == 0)
    relabelled = float((images.manifest["verdict"] == "relabelled").mean())
    yield Check("images with the measured region as their mask", f"{relabelled:.1%}")
    networked = float(images.manifest["network"].mean())
    yield Check("images with the network's change", f"{networked:.1%}")
    pasted = float((images.manifest["engine"] == "paste").mean())
    yield Check("images pasted whole", f"{pasted:.1%}")
    yield Check("images rejected", str(len(images.rejected)))


def check_batches(run: dict[str, Any], count: int) -> Iterator[Check]:
    """Some rows of the plan rendered in batches of 1 and 8 and in reversed order."""
    plan = run["synthesis_plan"]
    groups = plan["group"].unique()
    wanted = max(1, count // int(plan["group"].value_counts().max()))
    spread = groups[np.linspace(0, len(groups) - 1, min(wanted, len(groups))).astype(int)]
    plan = plan[plan["group"].isin(spread)]
    renderings = {
        "batches of 8": _render(run, plan, 8),
        "batches of 1": _render(run, plan, 1),
        "reversed order": _render(run, plan.iloc[::-1], 8),
    }
    reference = renderings.pop("batches of 8")
    for name, images in renderings.items():
        gaps = [np.abs(images[i].astype(int) - reference[i]).max() for i in reference]
        share = np.mean([gap == 0 for gap in gaps])
        number = f"{name} against batches of 8, {len(gaps)} images"
        measured = f"{share:.1%} identical, largest difference {max(gaps)}"
        yield Check(number, measured, "identical", bool(share == 1))


def _render(run: dict[str, Any], plan: pd.DataFrame, batch_size: int) -> dict[str, np.ndarray]:
    options = run["params:synthesis"].model_copy(update={"batch_size": batch_size})
    plan = batched(plan, batch_size)
    names = ("base_model", "controlnet", "certificate", "params:framing")
    alone = ExecutionOptions(workers=1)
    generator = make_generator(*(run[name] for name in names), alone)
    items = render_plan(
        plan,
        plan,
        samples=run["samples"],
        masks=run["defect_masks"],
        options=options,
        base=generator.base,
        framing=generator.framing,
        judge=generator.judge,
    )
    return {item.image_id: item.arrays["image"] for item in items}


def make_run(project: Path, env: str | None) -> Iterator[Check]:
    """Run the pipeline in a fresh folder, where nothing can be resumed."""
    shutil.copytree(REPOSITORY / "conf", project / "conf")
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(REPOSITORY / name, project)
    (project / "src").mkdir()
    yield from timed("augment", project, env, minutes_allowed=12)


def timed(
    pipeline: str, project: Path, env: str | None, *, minutes_allowed: int
) -> Iterator[Check]:
    """Run a pipeline in a process of its own; its minutes and its peak memory."""
    command = [sys.executable, "-m", "kedro", "run", f"--pipeline={pipeline}"]
    start = time.perf_counter()
    subprocess.run([*command, f"--env={env}"] if env else command, cwd=project, check=True)
    minutes = (time.perf_counter() - start) / 60
    gigabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e9
    limit = f"<= {minutes_allowed}"
    yield Check("minutes of the whole run", f"{minutes:.1f}", limit, minutes <= minutes_allowed)
    yield Check("peak memory, GB", f"{gigabytes:.2f}", "<= 4", gigabytes <= 4)


def print_table(checks: list[Check]) -> None:
    """Write one line per number."""
    verdicts = {True: "kept", False: "MISSED", None: ""}
    rows = [("number", "measured", "wanted", "")]
    rows += [(*check[:3], verdicts[check.kept]) for check in checks]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def main() -> None:
    """Make a run if asked, then check one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", action="store_true", help="make a run first and time it")
    parser.add_argument("--keep", type=Path, help="an empty folder for that run; it stays")
    parser.add_argument("--env", help="environment of the configuration")
    parser.add_argument("--sample", type=int, default=24, help="plan rows rendered three times")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        project, checks = REPOSITORY, []
        if arguments.run or arguments.keep:
            project = (arguments.keep or Path(temporary)).resolve()
            project.mkdir(parents=True, exist_ok=True)
            checks += make_run(project, arguments.env)
        run = open_run(project, arguments.env)
        checks += check_masks(run["samples"], run["defect_masks"], run["params:masks"])
        checks += check_images(run)
        checks += check_batches(run, arguments.sample)
    sys.stdout.write(f"run {run['version']}, {len(run['synthetic_images'])} images\n")
    print_table(checks)


if __name__ == "__main__":
    main()
