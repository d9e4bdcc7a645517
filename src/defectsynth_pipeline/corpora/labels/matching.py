"""Which file is meant by what a label file calls an image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.labels.regions import Labelled
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import IMAGE_SUFFIXES


def images_of(root: Path, listed: Sequence[Labelled], files: Sequence[str]) -> dict[str, Labelled]:
    """Return what is said of every image, by its file.

    A name is looked for beside the label file, then from the root, then as the end of a path.

    Args:
        root: Of the corpus.
        listed: What label files say, one after the other.
        files: All files below the root, relative to it.

    Raises:
        InputError: An image is missing, ambiguous, there twice or of an unsupported format, or a
            defect is drawn on one in a folder `good`.
    """
    known, by_name = set(files), defaultdict(list)
    for name in files:
        by_name[PurePosixPath(name).name].append(name)
    result: dict[str, Labelled] = {}
    missing: list[Labelled] = []
    for one in listed:
        name = _file_of(root, one, known, by_name) or ""
        if not name:
            missing.append(one)
        elif name in result:
            raise InputError(
                "an image is labelled twice",
                file=root / name,
                value=f"{result[name].name} of {result[name].file}, {one.name} of {one.file}",
                remedy="give every image a name of its own, and export again",
            )
        elif not is_image(name):
            raise InputError(
                "unsupported image format",
                file=root / name,
                value=Path(name).suffix,
                remedy="convert it to PNG, TIFF, BMP or JPEG",
            )
        elif one.regions and in_good(name):
            raise InputError(
                "an image in a folder good is labelled with a defect",
                file=root / name,
                value=", ".join(sorted({region.label for region in one.regions})),
                remedy="move it out of that folder, or delete its regions",
            )
        else:
            result[name] = one
    if missing:
        raise InputError(
            "images that the labels name are missing",
            file=root / missing[0].file,
            value=f"{missing[0].name}, {len(missing)} of {len(listed)} images",
            remedy=f"copy them into {root}, or export only the images that are there",
        )
    return result


def _file_of(
    root: Path, one: Labelled, known: set[str], by_name: dict[str, list[str]]
) -> str | None:
    """Below the root, the file whose path ends most like the name of a labelled image."""
    wanted = PurePosixPath(one.name.replace("\\", "/"))
    for direct in ((PurePosixPath(one.file).parent / wanted).as_posix(), wanted.as_posix()):
        if direct in known:
            return direct
    found = by_name.get(wanted.name, [])
    found = [name for name in found if not in_good(name)] or found
    ends = {name: _shared_end(PurePosixPath(name).parts, wanted.parts) for name in found}
    best = [name for name in found if ends[name] == max(ends.values())]
    if len(best) > 1:
        raise InputError(
            "two images have the name that is labelled",
            file=root / one.file,
            value=f"{one.name}: {best[0]} and {best[1]}",
            remedy="rename one of the two files, and in the labels",
        )
    return best[0] if best else None


def _shared_end(one: Sequence[str], other: Sequence[str]) -> int:
    pairs = list(zip(reversed(one), reversed(other), strict=False))
    return next((n for n, (a, b) in enumerate(pairs) if a != b), len(pairs))


def in_good(name: str) -> bool:
    """Whether a file lies in a folder of good images."""
    return PurePosixPath(name).parent.name == GOOD


def is_image(name: str) -> bool:
    """Whether a file is of a format that is read."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Return a short name per file: its stem, with its folders where two files share one."""
    stems = Counter(PurePosixPath(name).stem for name in names)

    def short(name: str) -> str:
        path = PurePosixPath(name)
        return path.stem if stems[path.stem] == 1 else "-".join(path.with_suffix("").parts)

    return {name: short(name) for name in names}
