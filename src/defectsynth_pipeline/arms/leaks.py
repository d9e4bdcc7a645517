"""The last look before training: nothing an arm may draw from is a test image."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from defectsynth_pipeline.arms.external import ExternalSet
from defectsynth_pipeline.corpora.columns import UNUSED, part_sha256
from defectsynth_pipeline.corpora.files import read_bytes
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.corpora.thumbnails import copies, thumbnail
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet

_AGAIN = "run ingest again, and then everything after it"
_FOR_MEAN = 200  # samples of a category, at least, that its mean picture is made of


def check_leaks(
    samples: pd.DataFrame,
    synthetic: ImageSet,
    masks: ImageSet,
    external: Mapping[str, ExternalSet],
) -> None:
    """Make sure that no test image is where training could see it.

    The files of all samples must be those that ingest read, and no base or normal file may be a
    test image; samples that ingest left out are not read. Backgrounds, references and mask parents
    must be base or normal in these samples.
    No external image may be a copy of a test image: equal, saved again as JPEG, or resized with
    averaging (`corpora.thumbnails.copies`). A copy that was cropped, mirrored or given another
    brightness is not found.

    Args:
        samples: The table `samples`.
        synthetic: Image set with `background`, `reference` and `others` in its manifest.
        masks: Image set with `parents` in its manifest.
        external: Sets of other systems.

    Raises:
        InputError: A leak, or a file changed after ingest; the message names both paths.
    """
    known = {sample.sample_id: sample for sample in each_sample(samples)}
    used = [sample for sample in known.values() if sample.split != UNUSED]
    _check_files(used)
    for column in ("background", "reference", "others"):
        _check_made_from(known, synthetic, "image", column, {"base", "normal"})
    _check_made_from(known, masks, "mask", "parents", {"base"})
    for given in external.values():
        for category, pairs in given.pairs.groupby("category", sort=False):
            pictures = [given.thumbnails[name] for name in pairs["image_id"]]
            for number, test in _copied(pictures, str(category), used):
                raise _leak(
                    f"an image of the external set {given.name} is a copy of a test image",
                    given.root / pairs["image"].iloc[number],
                    test,
                    "remove the image from the set: its system must not see test images",
                )


def _check_files(known: Sequence[Sample]) -> None:
    files = dict.fromkeys(map(_file, known))
    shas = {file: hashlib.sha256(read_bytes(*file)).hexdigest() for file in files}
    tested = {shas[_file(sample)]: sample for sample in known if sample.split == "test"}
    for sample in known:
        sha, path = shas[_file(sample)], _file(sample)[1]
        window = (sample.x, sample.y, sample.width, sample.height)
        # What ingest writes for a file with this hash: for the whole of it, or for this part.
        changed = sample.sha256 not in (sha, part_sha256(sha, window, sample.derivation))
        if sample.split != "test":
            twin = tested.get(sha)
            if twin is not None and _file(twin) != _file(sample):
                raise _leak("a training image is a test image", path, twin, _AGAIN)
            if changed:
                for _, twin in _copied([thumbnail(sample.image())], sample.category, known):
                    raise _leak("a training image copies a test image", path, twin, _AGAIN)
        if changed:
            raise InputError(
                "the file was changed after ingest",
                file=path,
                value=f"sha256 {sha[:16]}..., sample {sample.sample_id}",
                remedy="restore it, or " + _AGAIN,
            )


def _check_made_from(
    known: Mapping[str, Sample], images: ImageSet, name: str, column: str, allowed: set[str]
) -> None:
    """Raise unless all samples that `column` names are among the known, on an allowed side."""
    if column not in images.manifest:
        return
    for image_id, entry in images.manifest.set_index("image_id")[column].items():
        for sample_id in filter(None, str(entry).split("|")):
            path = images.root / f"{name}s" / f"{image_id}.png"
            if sample_id not in known:
                raise InputError(
                    f"the {name} was made from a sample that these samples do not have",
                    file=path,
                    value=f"{column} {sample_id}",
                    remedy="run augment again on these samples",
                )
            sample = known[sample_id]
            if sample.split not in allowed:
                raise _leak(
                    f"the {column} of a generated {name} is {_article(sample)} sample",
                    path,
                    sample,
                    "run augment again on these samples: they were split anew",
                )


def _copied(
    pictures: Sequence[np.ndarray], category: str, known: Iterable[Sample]
) -> list[tuple[int, Sample]]:
    """Which thumbnails show a test sample of their category, by number, and which one."""
    own = [sample for sample in known if sample.category == category and not sample.derivation]
    tests = [sample for sample in own if sample.split == "test"]
    if not tests:
        return []
    mean = _pictures(own[:: max(1, len(own) // _FOR_MEAN)]).astype(np.float32).mean(axis=0)
    pairs = copies(np.stack(pictures), _pictures(tests), mean)
    return [(first, tests[second]) for first, second in pairs]


def _pictures(samples: Iterable[Sample]) -> np.ndarray:
    return np.stack([thumbnail(sample.image()) for sample in samples])


def _file(sample: Sample) -> tuple[Path, Path]:
    """The folder of its corpus, and its image."""
    return Path(sample.root), Path(sample.root) / sample.image_file


def _article(sample: Sample) -> str:
    return f"an {sample.split}" if sample.split == UNUSED else f"a {sample.split}"


def _leak(problem: str, used: Path, test: Sample, remedy: str) -> InputError:
    where = "test image" if test.split == "test" else "sample"
    return InputError(
        problem,
        file=f"{used} and {_file(test)[1]}",
        value=f"{where} {test.sample_id}",
        remedy=remedy,
    )
