"""The last look before training: nothing an arm may draw from is a test image."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from defectsynth_pipeline.arms.external_set import ExternalSet
from defectsynth_pipeline.corpora.columns import part_sha256
from defectsynth_pipeline.corpora.files import read_bytes
from defectsynth_pipeline.corpora.reading import load_image
from defectsynth_pipeline.corpora.thumbnails import SIDE, copies, thumbnail
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet

_AGAIN = "run ingest again, and then everything after it"


def check_leaks(
    samples: pd.DataFrame,
    synthetic: ImageSet,
    masks: ImageSet,
    external: Mapping[str, ExternalSet],
) -> None:
    """Make sure that no test image is where training could see it.

    The files of all samples must be those that ingest read, and no base or normal file may be a
    test image. Backgrounds, references and mask parents must be base or normal in these samples.
    No external image may be a copy of a test image: equal, saved again as JPEG, or resized with
    averaging (`corpora.thumbnails.copies`). A copy that was cropped, mirrored or given another
    brightness is not found.

    Args:
        samples: The table `samples`.
        synthetic: Image set with `background` and `reference` in its manifest.
        masks: Image set with `parents` in its manifest.
        external: Sets of other systems.

    Raises:
        InputError: A leak, or a file changed after ingest; the message names both paths.
    """
    _check_files(samples)
    known = samples.set_index("sample_id", drop=False)
    for column in ("background", "reference"):
        if column in synthetic.manifest:
            _check_made_from(known, synthetic, "image", column, {"base", "normal"})
    if "parents" in masks.manifest:
        _check_made_from(known, masks, "mask", "parents", {"base"})
    for external_set in external.values():
        _check_external(samples, external_set)


def _check_files(samples: pd.DataFrame) -> None:
    files = samples.drop_duplicates(["root", "image"])
    shas = {(row["root"], row["image"]): _sha256(row) for _, row in files.iterrows()}
    test = samples[samples["split"] == "test"]
    tested = {shas[row["root"], row["image"]]: row for _, row in test.iterrows()}
    for _, row in samples.iterrows():
        sha = shas[row["root"], row["image"]]
        changed = row["sha256"] not in _possible(sha, row)
        if row["split"] != "test":
            twin = tested.get(sha)
            if twin is not None and _path(twin) != _path(row):
                raise _leak("a training image is a test image", _path(row), twin, _AGAIN)
            if changed:
                for twin in _copies_of(row, samples):
                    raise _leak("a training image copies a test image", _path(row), twin, _AGAIN)
        if changed:
            raise InputError(
                "the file was changed after ingest",
                file=_path(row),
                value=f"sha256 {sha[:16]}..., sample {row['sample_id']}",
                remedy="restore it, or " + _AGAIN,
            )


def _check_made_from(
    known: pd.DataFrame, images: ImageSet, name: str, column: str, allowed: set[str]
) -> None:
    """Raise unless all samples that `column` names are in `known`, on an allowed side."""
    manifest = images.manifest
    for image_id, entry in zip(manifest["image_id"], manifest[column], strict=True):
        for sample_id in filter(None, str(entry).split("|")):
            path = images.root / f"{name}s" / f"{image_id}.png"
            if sample_id not in known.index:
                raise InputError(
                    f"the {name} was made from a sample that these samples do not have",
                    file=path,
                    value=f"{column} {sample_id}",
                    remedy="run augment again on these samples",
                )
            row = known.loc[sample_id]
            if row["split"] not in allowed:
                raise _leak(
                    f"the {column} of a generated {name} is a {row['split']} sample",
                    path,
                    row,
                    "run augment again on these samples: they were split anew",
                )


def _check_external(samples: pd.DataFrame, external: ExternalSet) -> None:
    for category, pairs in external.pairs.groupby("category", sort=False):
        own = samples[(samples["category"] == category) & (samples["derivation"] == "")]
        test = own[own["split"] == "test"]
        pictures = np.stack([external.thumbnail(name) for name in pairs["image_id"]])
        for first, second in copies(pictures, _pictures(test), _mean(own)):
            raise _leak(
                f"an image of the external set {external.name} is a copy of a test image",
                external.root / pairs.iloc[first]["image"],
                test.iloc[second],
                "remove the image from the set: its system must not see test images",
            )


def _copies_of(row: pd.Series, samples: pd.DataFrame) -> list[pd.Series]:
    """Test samples of its category that the file of a sample shows now."""
    own = samples[(samples["category"] == row["category"]) & (samples["derivation"] == "")]
    test = own[own["split"] == "test"]
    pairs = copies(thumbnail(load_image(row))[None], _pictures(test), _mean(own))
    return [test.iloc[second] for _, second in pairs]


def _pictures(rows: pd.DataFrame) -> np.ndarray:
    if rows.empty:
        return np.zeros((0, SIDE, SIDE), dtype=np.float16)
    return np.stack([thumbnail(load_image(row)) for _, row in rows.iterrows()])


def _mean(rows: pd.DataFrame, limit: int = 200) -> np.ndarray:
    """Mean picture of a category, of at most `limit` samples spread over it."""
    chosen = rows.iloc[:: max(1, len(rows) // limit)]
    return np.asarray(_pictures(chosen).astype(np.float32).mean(axis=0))


def _sha256(row: pd.Series) -> str:
    root = Path(row["root"])
    return hashlib.sha256(read_bytes(root, root / row["image"])).hexdigest()


def _possible(sha: str, row: pd.Series) -> set[str]:
    """What ingest writes for a file with this hash, for the whole of it or for this part."""
    window = (int(row["x"]), int(row["y"]), int(row["width"]), int(row["height"]))
    return {sha, part_sha256(sha, window, row["derivation"])}


def _path(row: pd.Series) -> Path:
    return Path(row["root"]) / row["image"]


def _leak(problem: str, used: Path, test: pd.Series, remedy: str) -> InputError:
    where = "test image" if test["split"] == "test" else "sample"
    return InputError(
        problem,
        file=f"{used} and {_path(test)}",
        value=f"{where} {test['sample_id']}",
        remedy=remedy,
    )
