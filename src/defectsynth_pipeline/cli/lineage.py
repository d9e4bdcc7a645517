"""Where one image is from: found by id or file, told from plan, manifests and samples."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from defectsynth_pipeline.cli.project import Project, open_project
from defectsynth_pipeline.corpora.columns import part_sha256
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import REJECTED, ImageSet
from defectsynth_pipeline.provenance import UNKNOWN, other_references, read_png_text
from defectsynth_pipeline.schemas import read_table
from defectsynth_pipeline.setfiles import MANIFEST, read_manifest

SET = "synthetic_images"
SOURCES = ("samples", "defect_masks", "synthesis_plan", "controlnet", "certificate")
_PLACE = ("placement", "angle", "dy", "dx", "centre_y", "centre_x", "scale")
_SCORES = (
    *("certainty", "looks_like", "covered", "label_overlap", "overlap", "contrast"),
    *("collar", "pixels_outside_collar", "mask_pixels", "attempts"),
)


@dataclass(frozen=True)
class Found:
    """One image of a published set.

    Attributes:
        part: The partition's folder, such as "partition_1", or "".
        version: Of its set.
        row: Its row of the manifest.
        rejected: It lies apart, in the set's folder `rejected`.
    """

    project: Project
    part: str
    version: str
    row: Mapping[str, Any]
    rejected: bool

    @property
    def root(self) -> Path:
        """The folder of its set."""
        return self.project.path(SET, self.version, self.part)

    def file(self, picture: str) -> Path:
        """Its image or mask."""
        folder = self.root / REJECTED if self.rejected else self.root
        return folder / f"{picture}s" / f"{self.row['image_id']}.png"

    @cached_property
    def versions(self) -> dict[str, str]:
        """What its set was made from, by the record of the run; without one, by time."""
        return self.project.made_from(SET, self.version, self.part, SOURCES)

    def path(self, entry: str) -> Path:
        """Where the version of an entry lies that its set was made from.

        Raises:
            InputError: It is gone.
        """
        path = self.project.path(entry, self.versions.get(entry, "none"), self.part)
        if not path.exists():
            raise InputError(
                f"the {entry} that the image was made from is gone",
                file=path,
                remedy="restore it; `defectsynth prune` never deletes what a kept set needs",
            )
        return path

    @cached_property
    def samples(self) -> pd.DataFrame:
        """The table `samples` that its set was made from, by sample_id."""
        table = read_table(self.path("samples"), "samples")
        return table.set_index("sample_id", drop=False)

    @cached_property
    def masks(self) -> ImageSet:
        """The masks that its set was made from."""
        return ImageSet.open(self.path("defect_masks"))

    @property
    def mask_row(self) -> Mapping[str, Any]:
        """The row of its mask, before it was placed."""
        manifest = self.masks.manifest.set_index("image_id", drop=False)
        found: Mapping[str, Any] = manifest.loc[self.row["mask"]].to_dict()
        return found

    @property
    def parents(self) -> list[str]:
        """Sample ids of the real masks that its mask is from."""
        return [name for name in str(self.mask_row["parents"]).split("|") if name]


def find(image: str, start: Path, env: str | None = None) -> Found:
    """Find an image by its id, as a file of a set, or as a copy of one lying anywhere.

    Args:
        image: An image_id, the plan's id (the newest set that has it), or a path.
        start: A folder of the project.
        env: Environment of its settings; None is the default one.

    Raises:
        InputError: No set of the project has it, or the file does not say where it is from.
    """
    project = open_project(start, env)
    path = Path(image)
    if not path.is_file():
        wanted = {"image_id": image, "planned": image}
        problem = "no set of this project has an image of this id"
        return _search(project, wanted, InputError(problem, value=image, remedy=_LOOK))
    told = read_png_text(path)
    said = "; ".join(f"{key}: {value}" for key, value in told.items())
    elsewhere = InputError(
        "the image is of a set that is not in this project", file=path, value=said, remedy=_LOOK
    )
    return _search(project, {"image_id": told["Image"]}, elsewhere, told["Set"])


_LOOK = "run this in the project that made it; ids are in its sets' manifest.csv"


def _search(
    project: Project, wanted: Mapping[str, str], otherwise: InputError, of_set: str | None = None
) -> Found:
    for part, version, folder, rejected in _manifests(project):
        manifest = read_manifest(folder / MANIFEST)
        for column, value in wanted.items():
            if column not in manifest:
                continue
            rows = manifest[manifest[column] == value]
            if of_set is not None:
                rows = rows[rows["of_set"] == of_set]
            if len(rows):
                return Found(project, part, version, rows.iloc[0].to_dict(), rejected)
    raise otherwise


def _manifests(project: Project) -> Iterator[tuple[str, str, Path, bool]]:
    """Every set of images, the newest first: part, version, folder, whether it is the rejected."""
    for part in project.parts(SET):
        for version in reversed(project.versions(SET, part)):
            root = project.path(SET, version, part)
            for folder, rejected in ((root, False), (root / REJECTED, True)):
                if (folder / MANIFEST).is_file():
                    yield part, version, folder, rejected


def explain(found: Found) -> dict[str, Any]:
    """Tell all that is recorded of an image, as plain values.

    Raises:
        InputError: What it was made from is gone.
    """
    row, mask = found.row, found.mask_row
    roles = [("background", row["background"]), ("reference", row["reference"])]
    roles += [("patches", name) for name in other_references(row)]
    roles += [("parent of the mask", name) for name in found.parents]
    return _plain(
        {
            "image": row["image_id"],
            "synthetic": True,
            "licence": row.get("licence", UNKNOWN),
            "category": row["category"],
            "defect_type": row["defect_type"],
            "verdict": row["verdict"],
            "reason": row["reason"],
            "files": {name: str(found.file(name)) for name in ("image", "mask")},
            "set": {"fingerprint": row["of_set"], "version": found.version},
            "plan": {"id": row["planned"], "row": row["plan_row"], "group": row["group"]},
            "engine": row["engine"],
            "network": "its change is kept" if row["network"] else "its change is not kept",
            "prompt": row["prompt"],
            "seed": row["seed"],
            "severity": row["severity"],
            "blend": row.get("blend", "feather"),
            "place": {name: row[name] for name in _PLACE},
            "mask": {k: v for k, v in mask.items() if k in _MASK},
            "sources": [_source(found.samples.loc[name], role) for role, name in roles],
            "scores": {name: row[name] for name in _SCORES if name in row},
            "model": row["model"],
            "code": row["code"],
            "libraries": row.get("made_with", UNKNOWN),
            "made_from": found.versions,
            "recorded": found.project.record(SET, found.version, found.part) is not None,
        }
    )


_MASK = ("image_id", "parents", "alpha", "space", "way", "seed", "area_ratio", "stroke_width")


def _source(sample: pd.Series, role: str) -> dict[str, Any]:
    """A real image: where it lies, whether it is still the same, under which licence."""
    file = Path(sample["root"]) / sample["image"]
    told = {"role": role, "sample": sample["sample_id"], "file": str(file)}
    told |= {name: sample[name] for name in ("split", "derivation", "sha256") if sample[name]}
    told["licence"] = sample.get("licence") or UNKNOWN
    if not file.is_file():
        return told | {"now": "gone"}
    whole = hashlib.sha256(file.read_bytes()).hexdigest()
    x, y, width, height = (int(sample[name]) for name in ("x", "y", "width", "height"))
    part = part_sha256(whole, (x, y, width, height), sample["derivation"])
    return told | {"now": "unchanged" if sample["sha256"] in (whole, part) else "changed"}


def _plain(value: Any) -> Any:
    """Numpy scalars as Python's, for JSON."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value.item() if hasattr(value, "item") else value


def as_text(told: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """The lines of an explanation, for people."""
    for key, value in told.items():
        name = f"{indent}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield name
            yield from as_text(value, f"{indent}  ")
        elif isinstance(value, list):
            for inner in value:
                yield f"{indent}{inner.get('role', key)}"
                rest = {k: v for k, v in inner.items() if k != "role"}
                yield from as_text(rest, f"{indent}  ")
        else:
            shown = f"{value:.4g}" if isinstance(value, float) else value
            yield f"{name:<24} {shown}".rstrip()
