"""Shots of one part form one group, so that they stay on one side of the split.

Told by the file's name, or by the pictures: two images show one defect of one part, not two parts
that look alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import regex
from PIL import Image
from scipy import ndimage

from defectsynth_pipeline.corpora.columns import GOOD, PIXELS, THUMBNAIL
from defectsynth_pipeline.corpora.files import natural_key, read_bytes
from defectsynth_pipeline.corpora.reading import read_mask
from defectsynth_pipeline.corpora.thumbnails import SIDE, copies, grey
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_image

_log = logging.getLogger(__name__)
_PLACE = ["corpus", "category"]
MIN_CORRELATION = 0.85  # of what sets two images apart from their category
MIN_TEXTURE = 0.8  # correlation of the texture in and around the defect
MIN_OVERLAP = 0.6  # intersection over union of the two defects
_SIDE = 512  # px, longer side at which defects are compared
_REACH = 12  # px of it by which two shots may be apart
_PIXELS = 4000  # of a defect that are compared
# Two shots may be a cell of the thumbnail apart; the other four shifts follow by symmetry.
_SHIFTS = ((0, 0), (0, 1), (1, 0), (1, 1), (1, -1))
_BLOCK = 512
_SECONDS = 1.0  # that a pattern may take at one name: nested repetitions take for ever


def group_by_name(samples: pd.DataFrame, pattern: str | None) -> pd.DataFrame:
    r"""Group the samples still to be split by the part that their file name names.

    Args:
        samples: Columns of `COLUMNS`.
        pattern: Regular expression on the file's stem; its first group is the part's name, within
            a category. `^(\d+)_` joins 17_a.png and 17_b.png. Files it does not match keep their
            group. None does nothing.

    Returns:
        A copy with `group` changed.

    Raises:
        InputError: No regular expression, none with a group, it matches no file, or takes too
            long.
    """
    result = samples.copy()
    if pattern is None:
        return result
    expression = _compile(pattern)
    found = 0
    for index in result.index[result["split"] == ""]:
        row = result.loc[index]
        match = _search(expression, Path(row["image"]).stem)
        if match and match.group(1):
            result.loc[index, "group"] = f"{row['corpus']}/{row['category']}/{match.group(1)}"
            found += 1
    if not found:
        raise InputError(
            "the pattern that names the part matches no file",
            file="ingest.group_by",
            value=pattern,
            remedy=f"match names such as {Path(result['image'].iloc[-1]).stem}, or leave it out",
        )
    return result


def group_near_duplicates(samples: pd.DataFrame) -> pd.DataFrame:
    """Join the groups of images of one defect that was photographed, or saved, twice.

    Parts on one fixture look alike, so little is taken for a duplicate: the images must agree in
    what sets them apart from the mean picture of their category, and their defects must have one
    shape and one texture (see `same_defect`). Images that are equal pixel by pixel are left to
    `split.drop_duplicates`, which refuses them.

    Args:
        samples: Columns of `COLUMNS`; only defective samples without a `split` are compared,
            within their corpus, category and defect type.

    Returns:
        A copy with `group` changed, the same for all rows of the groups joined.
    """
    result = samples.copy()
    joined: dict[str, str] = {}
    for _, category in result.groupby(_PLACE, sort=False):
        mean = _mean(category)
        free = category[(category["split"] == "") & (category["defect_type"] != GOOD)]
        for _, rows in free.groupby("defect_type", sort=False):
            files = rows.drop_duplicates(["root", "image"])
            for first, second in _duplicates(files, mean):
                _join(joined, files.iloc[first], files.iloc[second])
    result["group"] = [_root(joined, group) for group in result["group"]]
    return result


def warn_of_copies(samples: pd.DataFrame) -> None:
    """Warn of test images of which a copy, saved or scaled anew, is base or normal.

    Args:
        samples: Columns of `COLUMNS`, `split` decided.
    """
    for _, category in samples.groupby(_PLACE, sort=False):
        files = category.drop_duplicates(["root", "image"])
        test = files[files["split"] == "test"]
        used = files[files["split"] != "test"]
        pairs = copies(_pictures(used), _pictures(test), _mean(category))
        for first, second in pairs:
            one, other = used.iloc[first], test.iloc[second]
            if one[PIXELS] != other[PIXELS]:
                _log.warning(
                    "%s (%s) looks like a copy of the test image %s: remove one of them",
                    one["image"],
                    one["split"],
                    other["image"],
                )


def details(pictures: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """What each picture has of its own.

    The category's mean picture is taken away in any brightness and contrast and, to first order,
    under any slight shift: these four directions do not tell which part it is.

    Args:
        pictures: Thumbnails, float32 (n, s, s).
        mean: Mean thumbnail of the category, (s, s).

    Returns:
        float32 (n, s, s), smoothed, without what is wider than an eighth of the picture.
    """
    known = [np.ones_like(mean), mean, np.gradient(mean, axis=0), np.gradient(mean, axis=1)]
    basis, _ = np.linalg.qr(np.stack([direction.ravel() for direction in known], axis=1))
    flat = pictures.reshape(len(pictures), -1)
    own = (flat - (flat @ basis) @ basis.T).reshape(pictures.shape)
    fine = ndimage.gaussian_filter(own, (0, 1, 1))
    return np.asarray(fine - ndimage.gaussian_filter(own, (0, 8, 8)), dtype=np.float32)


def alike(own: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of pictures, first before second, that correlate at the same place or a cell apart.

    Args:
        own: From `details`, (n, s, s).
    """
    still = _unit(own)
    pairs: set[tuple[int, int]] = set()
    for shift in _SHIFTS:
        moved = _unit(np.roll(own, shift, axis=(1, 2)))
        for start in range(0, len(own), _BLOCK):
            near = still[start : start + _BLOCK] @ moved.T >= MIN_CORRELATION
            for one, other in zip(*np.nonzero(near), strict=True):
                first, second = sorted((int(one) + start, int(other)))
                if first != second:
                    pairs.add((first, second))
    return sorted(pairs)


class View:
    """One image and its mask, read when asked for and brought to `_SIDE`."""

    def __init__(self, root: Path, image: str, mask: str, shape: tuple[int, int]) -> None:
        self._root, self._image, self._mask, self._shape = root, image, mask, shape

    @cached_property
    def mask(self) -> np.ndarray:
        """The defect, bool (h, w), longer side at most `_SIDE`."""
        picture = Image.fromarray(read_mask(self._root, self._mask, self._shape))
        scale = min(1.0, _SIDE / max(picture.size))
        return np.array(
            picture.resize((round(picture.width * scale), round(picture.height * scale)))
        )

    def texture(self, shape: tuple[int, ...]) -> np.ndarray:
        """The image without its finest and its coarse parts, float32 of the given shape."""
        path = self._root / self._image
        picture = grey(decode_image(read_bytes(self._root, path), path))
        values = np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BOX))
        fine = ndimage.gaussian_filter(values, 1)
        return np.asarray(fine - ndimage.gaussian_filter(values, 6))


def same_defect(one: View, other: View) -> bool:
    """Whether two views show one defect: one shape and one texture at one place.

    The place may differ by `_REACH`. Two parts in one pose agree in their edges, but hardly in
    the inner texture of a defect.
    """
    first, second = one.mask, other.mask
    if first.shape != second.shape:
        resized = Image.fromarray(second).resize((first.shape[1], first.shape[0]))
        second = np.array(resized)
    if not _could_overlap(first, second):
        return False
    region = ndimage.binary_dilation(first, iterations=4)
    rows, columns = np.nonzero(region)
    step = max(1, len(rows) // _PIXELS)
    rows, columns = rows[::step], columns[::step]
    here = _centred(one.texture(first.shape)[rows, columns])
    padded = np.pad(other.texture(first.shape), _REACH, mode="reflect")
    best, place = -1.0, (0, 0)
    for dy in range(2 * _REACH + 1):
        for dx in range(2 * _REACH + 1):
            match = float(here @ _centred(padded[rows + dy, columns + dx]))
            if match > best:
                best, place = match, (dy, dx)
    moved = np.pad(second, _REACH)[place[0] :, place[1] :][: first.shape[0], : first.shape[1]]
    overlap = (first & moved).sum() / max((first | moved).sum(), 1)
    return bool(best >= MIN_TEXTURE and overlap >= MIN_OVERLAP)


def _search(expression: regex.Pattern[str], stem: str) -> regex.Match[str] | None:
    try:
        return expression.search(stem, timeout=_SECONDS)
    except TimeoutError as error:
        raise InputError(
            f"the pattern takes more than {_SECONDS:g} s at one name",
            file="ingest.group_by",
            value=f"{expression.pattern} at {stem}",
            remedy="repeat no group that itself repeats: '^(a+)_' instead of '^((a+)+)_'",
        ) from error


def _compile(pattern: str) -> regex.Pattern[str]:
    try:
        expression = regex.compile(pattern)
    except regex.error as error:
        raise InputError(
            "not a regular expression", file="ingest.group_by", value=error, remedy="correct it"
        ) from error
    if not expression.groups:
        raise InputError(
            "the pattern has no group that names the part",
            file="ingest.group_by",
            value=pattern,
            remedy="put the part's name in parentheses, for example '^(\\d+)_'",
        )
    return expression


def _duplicates(files: pd.DataFrame, mean: np.ndarray) -> Iterator[tuple[int, int]]:
    """Positions of the pairs of files that show one defect of one part."""
    if len(files) < 2:
        return
    views: dict[int, View] = {}
    for first, second in alike(details(_pictures(files), mean)):
        if files.iloc[first][PIXELS] == files.iloc[second][PIXELS]:
            continue
        for place in (first, second):
            if place not in views:
                row = files.iloc[place]
                shape = (int(row["height"]), int(row["width"]))
                views[place] = View(Path(row["root"]), row["image"], row["mask"], shape)
        if same_defect(views[first], views[second]):
            yield first, second


def _join(joined: dict[str, str], one: pd.Series, other: pd.Series) -> None:
    groups = sorted({_root(joined, row["group"]) for row in (one, other)}, key=natural_key)
    if len(groups) == 2:
        joined[groups[1]] = groups[0]
        _log.info(
            "%s and %s show one defect twice and stay on one side of the split",
            one["image"],
            other["image"],
        )


def _root(joined: dict[str, str], group: str) -> str:
    while group in joined:
        group = joined[group]
    return group


def _mean(category: pd.DataFrame) -> np.ndarray:
    return np.asarray(_pictures(category.drop_duplicates(["root", "image"])).mean(axis=0))


def _pictures(rows: pd.DataFrame) -> np.ndarray:
    if rows.empty:
        return np.zeros((0, SIDE, SIDE), dtype=np.float32)
    return np.stack(rows[THUMBNAIL].tolist()).astype(np.float32)


def _could_overlap(first: np.ndarray, second: np.ndarray) -> bool:
    """Cheap: areas of one order, and centres no farther apart than a shift allows."""
    areas = sorted((int(first.sum()), int(second.sum())))
    if areas[0] < MIN_OVERLAP * areas[1]:
        return False
    span = [np.ptp(axis) for axis in np.nonzero(first)]
    apart = [
        np.mean(a) - np.mean(b) for a, b in zip(first.nonzero(), second.nonzero(), strict=True)
    ]
    return all(abs(d) <= _REACH + s / 2 for d, s in zip(apart, span, strict=True))


def _centred(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6))


def _unit(own: np.ndarray) -> np.ndarray:
    """Every second cell (they are smooth enough), as rows of length 1."""
    rows = own[:, ::2, ::2].reshape(len(own), -1)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))
