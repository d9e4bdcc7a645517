"""The latest verdict's detector, found with what it was made from, and run on a folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from torch import nn

from defectsynth_pipeline.cli.project import Project
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.detect.choice import (
    TASK,
    Chosen,
    choose_category,
    choose_detector,
)
from defectsynth_pipeline.detect.detection import Inspector, Threshold, take_threshold
from defectsynth_pipeline.detect.photographs import find_photographs, read_photographs
from defectsynth_pipeline.detect.writing import write_detections
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.export import check_folder
from defectsynth_pipeline.inspection.detectors import DetectorSet
from defectsynth_pipeline.schemas import read_table

_AGAIN = "run `defectsynth downstream` first"


@dataclass(frozen=True)
class Ready:
    """A detector that can be used.

    Attributes:
        chosen: Which, and why.
        samples: Of its category.
    """

    chosen: Chosen
    inspector: Inspector
    samples: pd.DataFrame

    def threshold(self) -> Threshold:
        """The threshold, from base defects and good parts."""
        return take_threshold(self.inspector, self.samples)


def detect(
    project: Project, folder: Path, out: Path, category: str | None, arm: str | None
) -> list[str]:
    """Look at the photographs of a folder; return what to tell of it, line by line.

    Raises:
        InputError: No photographs, no downstream run, or `out` holds something.
    """
    paths = find_photographs(folder)
    check_folder(out)
    ready = make_ready(project, category, arm)
    threshold = ready.threshold()
    photographs = read_photographs(folder, paths, ready.samples)
    table = write_detections(photographs, ready.inspector, threshold, out)
    told = [*describe(ready, threshold)]
    used = table[table["defective"] != ""]
    told.append(
        f"{len(used)} photographs, {(used['defective'] == 'yes').sum()} called defective, "
        f"{len(table) - len(used)} left out (see the column note): {out}"
    )
    return told


def export_onnx(project: Project, file: Path, category: str | None, arm: str | None) -> list[str]:
    """Write the detector as ONNX; return what to tell of it, line by line.

    Raises:
        InputError: No downstream run, or it cannot be written.
    """
    from defectsynth_pipeline.detect.onnx import write_onnx
    from defectsynth_pipeline.inspection.batches import reduced_size

    if file.exists():
        raise InputError("the file is there already", file=file, remedy="name a new one")
    ready = make_ready(project, category, arm)
    threshold, side = ready.threshold(), ready.inspector.side
    sizes = ready.samples[["height", "width"]].value_counts()
    shape = reduced_size(sizes.index[0], side)
    told = {"category": ready.chosen.category, "arm": ready.chosen.arm, "side": side}
    told |= {"threshold": threshold.score, "types": list(ready.inspector.types)}
    difference = write_onnx(ready.inspector.localizer, shape, told, file)
    lines = [*describe(ready, threshold)]
    return [*lines, f"{file}: maps differ from torch's by at most {difference:.1e} logits"]


def describe(ready: Ready, threshold: Threshold) -> list[str]:
    """Say which detector it is and where its threshold comes from."""
    chosen = ready.chosen
    return [
        f"{chosen.category}: {chosen.network} trained as {chosen.arm}; {chosen.why}",
        f"threshold {threshold.score:.2f} from {threshold.defects} base defects "
        f"({threshold.found:.0%} found) and {threshold.goods} good images "
        f"({threshold.alarms:.0%} false alarms); the detector was trained on them, so expect more "
        "of both errors on new parts",
    ]


def make_ready(project: Project, category: str | None, arm: str | None) -> Ready:
    """Load the detector that the latest verdict speaks for, or that of another arm.

    Raises:
        InputError: There is no downstream run, or what it was made from is gone.
    """
    versions = project.versions("verdict")
    if not versions:
        raise InputError("nothing was judged yet", file=project.folder, remedy=_AGAIN)
    version = versions[-1]
    verdict = _table(project, "verdict", version)
    chosen = choose_detector(
        verdict, _table(project, f"{TASK}_report", version), choose_category(verdict, category)
    )
    if arm is not None:
        chosen = chosen._replace(arm=arm, why="asked for with --arm")
    localizers = DetectorSet.load(_there(project, "localizers", version))
    network = None if arm is not None else chosen.network
    meta = localizers.meta(chosen.category, chosen.arm, network)
    chosen = chosen._replace(network=meta["network"])
    made_from = project.made_from("verdict", version, "", ["samples"])
    samples = _table(project, "samples", made_from.get("samples", "none"))
    samples = samples[samples["category"] == chosen.category]
    types = sorted(set(samples["defect_type"]) - {GOOD})
    inspector = Inspector(
        localizers.model(chosen.category, chosen.arm, chosen.network),
        meta["side"],
        types,
        _classifier(project, version, chosen) if len(types) > 1 else None,
    )
    return Ready(chosen, inspector, samples)


def _classifier(
    project: Project, version: str, chosen: Chosen
) -> tuple[nn.Module, int, Sequence[str]]:
    classifiers = DetectorSet.load(_there(project, "classifiers", version))
    arm = chosen.arm if chosen.arm != "normals_only" else "base"
    meta = classifiers.meta(chosen.category, arm)
    return classifiers.model(chosen.category, arm), meta["side"], meta["types"]


def _table(project: Project, entry: str, version: str) -> pd.DataFrame:
    return read_table(_there(project, entry, version), entry)


def _there(project: Project, entry: str, version: str) -> Path:
    path = project.path(entry, version)
    if not path.exists():
        raise InputError(
            f"the {entry} that the latest verdict belongs to is gone", file=path, remedy=_AGAIN
        )
    return path
