"""Where on a category's photographs a defect may be put: drawn by the user, in image coordinates.

<corpus>/zones/<category>_legal.png        white where defects may lie
<corpus>/zones/<category>_forbidden.png    white where they may not

Either may be missing. A pixel of a zone is that pixel of every photograph of the category, wherever
the part lies on it.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage, signal

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.files import list_images, read_bytes
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_levels
from defectsynth_pipeline.imaging.rectangle import Rectangle

ZONES = "zones"
MARGIN = 3  # px kept from a zone's edge: the certificate may widen a mask by as much
_LEGAL, _FORBIDDEN = "_legal", "_forbidden"
_GREY = (64, 191)  # levels in between are neither black nor white
_MOST_GREY = 0.02
_CELLS = 192  # per side of the grid on which a place is searched first

Stamped = tuple[tuple[str, int], ...]


def allowed_on(sample: Sample) -> np.ndarray | None:
    """Return where a defect may lie on a sample, (height, width) bool; None for anywhere.

    Raises:
        InputError: A zone cannot be read, is not black and white, or leaves no place.
    """
    whole = _allowed(Path(sample.root), _zones_of(sample.root, sample.category))
    if whole is None:
        return None
    return whole[Rectangle.at(sample.x, sample.y, sample.width, sample.height).slices]


def check_zones(samples: pd.DataFrame, *, complete: bool = True) -> None:
    """Refuse zones that do not fit the photographs or the defects, before anything is made.

    Args:
        samples: Columns of `COLUMNS`, split.
        complete: Whether all categories of the corpora are among them.

    Raises:
        InputError: A file of a folder `zones` is of no category, a zone has another size than a
            good image, or no base defect of a type fits in.
    """
    for root, rows in samples.groupby("root"):
        categories = sorted(set(rows["category"]))
        known = {name + end for name in categories for end in (_LEGAL, _FORBIDDEN)}
        for path in list_images(Path(str(root)) / ZONES):
            if complete and path.stem not in known:
                raise InputError(
                    "a zone is of no category",
                    file=path,
                    value=path.stem,
                    remedy=f"name it after one: {' or '.join(sorted(known)[:4])}, .png",
                )
        for category, own in rows.groupby("category"):
            if zones := _zones_of(str(root), str(category)):
                _check_sizes(own, Path(str(root)), zones)
                _check_fit(own)


def zone_hashes(samples: pd.DataFrame) -> list[tuple[str, str]]:
    """Return the name and sha256 of every zone file that bears on some samples, in order."""
    found = []
    for (root, category), _ in samples.groupby(["root", "category"]):
        for name, _ in _zones_of(str(root), str(category)):
            data = read_bytes(Path(root), Path(root) / ZONES / name)
            found.append((name, hashlib.sha256(data).hexdigest()))
    return found


def nearest_place(mask: np.ndarray, allowed: np.ndarray) -> tuple[int, int] | None:
    """Return the least shift (down, right) that brings a mask where it is allowed.

    Args:
        mask: (H, W) bool, not empty.
        allowed: (H, W) bool.

    Returns:
        Whole pixels, `MARGIN` away from what is not allowed; None if it fits nowhere.

    Examples:
        >>> import numpy as np
        >>> mask, allowed = np.zeros((20, 40), bool), np.zeros((20, 40), bool)
        >>> mask[5:8, 5:8] = True
        >>> allowed[:, 20:] = True
        >>> nearest_place(mask, allowed)
        (0, 18)
        >>> nearest_place(np.ones((20, 40), bool), allowed) is None
        True
    """
    # The frame is widened by the margin, so that a mask may touch it.
    grown, barred = np.pad(mask, MARGIN), np.pad(~allowed, MARGIN)
    around = Rectangle.around(grown, MARGIN).slices
    grown[around] = ndimage.distance_transform_edt(~grown[around]) <= MARGIN
    if not (grown & barred).any():
        return 0, 0
    coarse = max(mask.shape) // _CELLS
    cells = [coarse, 1] if coarse > 1 else [1]
    return next((s for cell in cells if (s := _search(grown, barred, cell))), None)


def _search(mask: np.ndarray, barred: np.ndarray, cell: int) -> tuple[int, int] | None:
    """The least shift, a multiple of `cell`, that keeps a mask in the frame and off the barred."""
    grid = _blocks(mask, cell, False)
    box = Rectangle.around(grid)
    hits = signal.correlate(
        _blocks(barred, cell, True).astype(np.float32),
        grid[box.slices].astype(np.float32),
        mode="valid",
        method="fft",
    )
    shifts = (np.argwhere(hits < 0.5) - (box.top, box.left)) * cell
    if not len(shifts):
        return None
    best = shifts[(shifts**2).sum(1).argmin()]
    return int(best[0]), int(best[1])


def _blocks(values: np.ndarray, cell: int, outside: bool) -> np.ndarray:
    """Whether any pixel of each cell is set; those cut off by the border count as `outside`."""
    height, width = (-(-side // cell) * cell for side in values.shape)
    padding = [(0, height - values.shape[0]), (0, width - values.shape[1])]
    padded = np.pad(values, padding, constant_values=outside)
    cells = padded.reshape(height // cell, cell, width // cell, cell)
    return np.asarray(cells.any((1, 3)))


def _zones_of(root: str, category: str) -> Stamped:
    """The zone files of a category and when they were changed."""
    folder = Path(root) / ZONES
    if not root or not folder.is_dir():  # arrays have no root
        return ()
    wanted = (category + _LEGAL, category + _FORBIDDEN)
    found = [path for path in list_images(folder) if path.stem in wanted]
    return tuple((path.name, path.stat().st_mtime_ns) for path in found)


@lru_cache(maxsize=32)
def _allowed(root: Path, zones: Stamped) -> np.ndarray | None:
    allowed: np.ndarray | None = None
    for name, _ in zones:
        path = root / ZONES / name
        levels = decode_levels(read_bytes(root, path), path)
        grey = ((levels > _GREY[0]) & (levels < _GREY[1])).mean()
        if grey > _MOST_GREY:
            raise InputError(
                "a zone is not black and white",
                file=path,
                value=f"{grey:.0%} of it is grey",
                remedy="paint it with two colours, white where it holds",
            )
        white = levels > 127
        zone = white if path.stem.endswith(_LEGAL) else ~white
        if allowed is not None and zone.shape != allowed.shape:
            raise _other_size(path, zone.shape, "the other zone", allowed.shape)
        allowed = zone if allowed is None else zone & allowed
        if not allowed.any():
            raise InputError(
                "the zones leave no place for a defect",
                file=path,
                value="0 pixels",
                remedy="paint white where defects may (legal) or may not (forbidden) lie",
            )
    return allowed


def _check_sizes(own: pd.DataFrame, root: Path, zones: Stamped) -> None:
    allowed = _allowed(root, zones)
    assert allowed is not None
    for image, rows in own[own["defect_type"] == GOOD].groupby("image", sort=False):
        ends = (rows["y"] + rows["height"]).max(), (rows["x"] + rows["width"]).max()
        whole = len(rows) == 1 and not rows[["x", "y"]].to_numpy().any()
        if allowed.shape != ends if whole else any(np.array(allowed.shape) < ends):
            raise _other_size(root / ZONES / zones[0][0], allowed.shape, str(image), ends)


def _other_size(path: Path, zone: tuple[int, ...], what: str, size: tuple[int, ...]) -> InputError:
    return InputError(
        "a zone has another size than the photographs",
        file=path,
        value=f"zone {zone[1]}x{zone[0]}, {what} {size[1]}x{size[0]}",
        remedy="paint it on a photograph of the category, at its full size",
    )


def _check_fit(own: pd.DataFrame) -> None:
    """Refuse a type of which no base defect fits in, were it only shifted."""
    normals = own[own["split"] == "normal"]
    if normals.empty:
        return
    allowed = allowed_on(Sample.of(normals.iloc[0]))
    assert allowed is not None
    base = own[own["split"] == "base"]
    for kind, rows in base.groupby("defect_type"):
        masks = (sample.mask() for sample in each_sample(rows))
        same = [mask for mask in masks if mask.shape == allowed.shape]
        if same and all(nearest_place(mask, allowed) is None for mask in same):
            raise InputError(
                "no real defect of a type fits into the zones",
                file=Path(own["root"].iloc[0]) / ZONES,
                value=f"{own['category'].iloc[0]}/{kind}: {len(same)} base defects",
                remedy="widen the zones, or leave the type out with ingest.defect_types",
            )
