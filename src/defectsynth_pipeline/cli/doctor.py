"""What will work on this machine and what will not, before an hour is spent."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal, NamedTuple

import psutil
from packaging.requirements import Requirement

from defectsynth_pipeline.cli.project import NO_PROJECT, Project, open_project
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.redact import redact
from defectsynth_pipeline.hooks.store import check_store, tracking_uri
from defectsynth_pipeline.options import IngestOptions

PACKAGE = "defectsynth-pipeline"
PYTHONS = ((3, 10), (3, 13))
# GiB: `downstream` was measured at 2.1, and a run of the demo writes 0.3.
MEMORY, EASY_MEMORY = 2.5, 4.0
DISK, EASY_DISK = 1.0, 5.0
SD15_MEMORY = 8.0  # GiB of a GPU
_GIB = 2**30
_CGROUP = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


class Finding(NamedTuple):
    """One line of the doctor.

    Attributes:
        state: "no": the default cannot run; "but": it can, with less; "yes".
        what: What was looked at.
        said: What was found, and what to do about it.
    """

    state: Literal["yes", "but", "no"]
    what: str
    said: str


def consult(start: Path, env: str | None, root: Path | None, picture: Path) -> Iterator[Finding]:
    """Look at the machine, the project and, if it is given, a folder of parts.

    Args:
        start: A folder, of a project or not.
        env: Environment of its settings; None is the default one.
        root: Folder of parts.
        picture: PNG that the images to look at again are drawn into.
    """
    project = None
    try:
        project = open_project(start, env)
    except InputError as error:
        state: Literal["but", "no"] = "but" if error.problem == NO_PROJECT else "no"
        yield Finding(state, "project", " ".join(str(error).split()))
    yield from examine(project)
    if root is not None:
        options = project.parameters["ingest"] if project else {}
        yield from _corpus(root, IngestOptions(**options), picture)


def _corpus(root: Path, options: IngestOptions, picture: Path) -> Iterator[Finding]:
    """Whether a folder of parts can be read, and what to look at again."""
    from defectsynth_pipeline.corpora.samples import make_samples

    try:
        samples = make_samples(root, options)
    except InputError as error:
        yield Finding("no", "corpus", " ".join(str(error).split()))
        return
    for (corpus, category), rows in samples.groupby(["corpus", "category"], sort=False):
        types = rows.loc[rows["defect_type"] != GOOD, "defect_type"].nunique()
        sides = ", ".join(f"{n} {side}" for side, n in rows["split"].value_counts().items())
        yield Finding(
            "yes", "corpus", f"{corpus}/{category}: {types} defect types; images: {sides}"
        )
    from defectsynth_pipeline.cli.second_look import doubts, draw_doubts

    found = []
    for doubt in doubts(samples):
        found.append(doubt)
        yield Finding("but", "corpus", doubt.said)
    draw_doubts(found).savefig(picture)
    yield Finding("yes", "picture", f"{picture}: {len(found)} things to look at again")


def examine(project: Project | None) -> Iterator[Finding]:
    """Look at everything that the default needs; `project` is None outside one."""
    yield _python()
    packages = [*_packages()]
    yield from packages
    yield _cores()
    yield _memory()
    yield _disk(project.folder if project else Path.cwd())
    if any(found.state == "no" for found in packages):
        return  # nothing below can be imported
    yield _device()
    yield _asked("encoder", _encoder)
    yield _resnets()
    model = project.catalog["base_model"]["model"] if project else "compact"
    yield _asked("base model", lambda: _base_model(model))
    if project is not None:
        yield _store(project)


def _python() -> Finding:
    here = sys.version_info[:2]
    state: Literal["yes", "no"] = "yes" if PYTHONS[0] <= here <= PYTHONS[1] else "no"
    supported = " to ".join(f"{major}.{minor}" for major, minor in PYTHONS)
    return Finding(state, "Python", f"{sys.version.split()[0]}; supported are {supported}")


def _packages() -> Iterator[Finding]:
    """Every package that ours asks for, and that torchvision finds the torch it was built for."""
    wrong = [text for name in (PACKAGE, "torchvision") for text in _unmet(name)]
    for text in wrong:
        yield Finding("no", "package", text)
    if not wrong:
        pair = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision"))
        yield Finding("yes", "packages", f"all there; {pair}")


def _unmet(package: str) -> Iterator[str]:
    try:
        wanted = [Requirement(text) for text in requires(package) or []]
    except PackageNotFoundError:
        yield f"{package} is not installed: pip install {package}"
        return
    for one in wanted:
        if one.marker and not one.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(one.name)
        except PackageNotFoundError:
            yield f"{one.name} is missing: pip install '{one}'"
            continue
        if not one.specifier.contains(found, prereleases=True):
            yield f"{one.name} {found} is not what {package} needs: pip install '{one}'"


def _cores() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    said = f"{cores}; two make the demo's 1,000 images in about 7 minutes"
    return Finding("yes" if (cores or 1) > 1 else "but", "cores", said)


def _memory() -> Finding:
    """What is free, within the limit of a container."""
    free = psutil.virtual_memory().available / _GIB
    for file in map(Path, _CGROUP):
        if file.is_file() and (text := file.read_text().strip()).isdigit():
            free = min(free, int(text) / _GIB)
    return _amount("memory", free, MEMORY, EASY_MEMORY, "close other programs")


def _disk(folder: Path) -> Finding:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        return Finding("no", "disk", f"{folder} cannot be written to: {error.strerror}")
    free = shutil.disk_usage(folder).free / _GIB
    return _amount("disk", free, DISK, EASY_DISK, "`defectsynth prune` deletes old versions")


def _amount(what: str, free: float, least: float, easy: float, remedy: str) -> Finding:
    if free >= easy:
        return Finding("yes", what, f"{free:.1f} GiB free")
    said = f"{free:.1f} GiB free, {least:g} are needed and {easy:g} are comfortable: {remedy}"
    return Finding("but" if free >= least else "no", what, said)


def _device() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding(
            "yes", "device", "CPU: enough for the default; --env=sd15 and paper want a CUDA GPU"
        )
    gpu = torch.cuda.get_device_properties(0)
    size = gpu.total_memory / _GIB
    said = f"{gpu.name}, {size:.0f} GiB"
    if size < SD15_MEMORY:
        return Finding("but", "device", f"{said}: --env=sd15 wants {SD15_MEMORY:g}")
    return Finding("yes", "device", said)


def _asked(what: str, ask: Callable[[], str]) -> Finding:
    """What is needed and can be loaded, or why not."""
    try:
        return Finding("yes", what, ask())
    except InputError as error:
        return Finding("no", what, " ".join(str(error).split()))


def _encoder() -> str:
    from defectsynth_pipeline.features.encoder import encoder
    from defectsynth_pipeline.features.weights import PACKAGE as WEIGHTS

    encoder()
    return f"EfficientNet-Lite0, ImageNet weights of {WEIGHTS}"


def _resnets() -> Finding:
    from defectsynth_pipeline.features.weights import weights_file

    names = ("resnet18", "resnet34")
    missing = [name for name in names if weights_file(name, "auto") is None]
    if not missing:
        return Finding("yes", "ResNets", "ImageNet weights are in torch's cache")
    said = f"no ImageNet weights of {', '.join(missing)} in torch's cache: Lite0 is used instead"
    return Finding("yes", "ResNets", f"{said}, and the paper's detectors start from nothing")


def _base_model(model: str) -> str:
    from defectsynth_pipeline.base_model.loading import load_base_model

    if model != "compact" and not Path(model).is_dir():
        return f"{model} is no folder: the first run fetches it from the hub, or its cache"
    return f"{model}, {load_base_model(model).fingerprint}"


def _store(project: Project) -> Finding:
    """The MLflow store: a run goes on without it, so it is never a "no"."""
    if not project.mlflow["enabled"]:
        return Finding(
            "yes", "MLflow store", "runs are not recorded: enabled is false in mlflow.yml"
        )
    uri = tracking_uri(project.mlflow, project.folder)
    try:
        there = check_store(uri)
    except InputError as error:
        return Finding("but", "MLflow store", " ".join(str(error).split()))
    said = f"{redact(uri)} can be used" if there else "is made by the first run"
    return Finding("yes", "MLflow store", said)
