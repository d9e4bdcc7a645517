"""Training images at the network's scale, and the batches made of them.

A batch depends on (seed, step) alone: two arms see the same rows in the same order through the
same draws, and a resumed training sees what the uninterrupted one would have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.plan import make_example
from defectsynth_pipeline.corpora.reading import Example
from defectsynth_pipeline.features.encoder import as_rgb8, normalised
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.imaging.pixels import crop
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.inspection.augmentation import Augmentation

DEFECT_SHARE = 0.5  # of the windows, if their image has a defect


@dataclass(frozen=True, eq=False)
class View:
    """One image at the network's scale; it can be a key, equal only to itself.

    Attributes:
        image: uint8 (h, w, 3).
        cover: uint8 (h, w): share of the pixel covered by a defect, 255 for all of it. A thin
            crack neither widens nor breaks when its image is reduced.
    """

    image: np.ndarray
    cover: np.ndarray


def make_view(example: Example, side: int, *, square: bool) -> View:
    """Bring an image to the network's scale.

    Args:
        example: Image and mask at native size.
        side: px; longer side, to which larger images are reduced, or both sides if `square`.
        square: Resize to `side` x `side` whatever the shape and size.
    """
    image = as_rgb8(example.image)
    cover = example.mask.astype(np.uint8) * 255
    size = (side, side) if square else reduced_size(image.shape[:2], side)
    if size == image.shape[:2]:
        return View(image, cover)
    width_height = (size[1], size[0])
    # Pillow's bilinear filter averages over what it reduces, so nothing thin is skipped.
    return View(
        np.asarray(Image.fromarray(image).resize(width_height, Image.Resampling.BILINEAR)),
        np.asarray(Image.fromarray(cover).resize(width_height, Image.Resampling.BOX)),
    )


def reduced_size(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """Return (h, w) with the longer one at most `side` and the aspect kept."""
    scale = min(1.0, side / max(shape[:2]))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


class TrainingImages:
    """The training images of a category, each made once for all arms and seeds that show it.

    Real images and normals, which all arms share, are kept for good; an arm's own images until
    another arm is shown.
    """

    def __init__(self, bank: Bank, side: int, *, square: bool) -> None:
        """Set up the cache; see `make_view` for `side` and `square`."""
        self._bank, self._side, self._square = bank, side, square
        self._kept: dict[tuple[str, ...], View] = {}

    def views(self, rows: pd.DataFrame) -> list[View]:
        """Return the images of one arm's plan rows in order; equal recipes share one array."""
        arm = str(rows["arm"].iloc[0])
        self._kept = {key: view for key, view in self._kept.items() if key[0] in ("", arm)}
        views = []
        for row in rows.to_dict("records"):
            recipe = (row["category"], row["defect_type"], row["source"], row["recipe"])
            key = (arm if row["kind"] == "own" else "", *map(str, recipe))
            if key not in self._kept:
                self._kept[key] = self._view(make_example(self._bank, row))
            views.append(self._kept[key])
        return views

    def real(self, sample_ids: Sequence[str]) -> list[View]:
        """Return base or normal samples by name.

        Raises:
            InputError: One of them is a test sample.
        """
        return [self._view(self._bank.example(sample_id)) for sample_id in sample_ids]

    def _view(self, example: Example) -> View:
        return make_view(example, self._side, square=self._square)


def draw_window(
    view: View, height: int, width: int, margin: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a window: half the time near a random pixel of the defect, else anywhere.

    It stays inside an image that is large enough; a smaller image is reflected.

    Args:
        view: The image.
        height: Of the window, px.
        width: Likewise.
        margin: How many times as large the cut is, about the window's centre; >= 1.
        rng: Of all draws.

    Returns:
        uint8 (margin * height, margin * width, 3), rounded up, and its cover.
    """
    near, jitter, place = rng.random() < DEFECT_SHARE, rng.uniform(-0.25, 0.25, 2), rng.random(3)
    spare = np.array(view.cover.shape) - (height, width)
    corner = np.floor(place[:2] * (np.abs(spare) + 1)).astype(int) * np.sign(spare)
    defect = np.flatnonzero(view.cover > 127) if near else np.empty(0, int)
    if len(defect):
        pixel = defect[int(place[2] * len(defect))]
        centre = np.array(divmod(int(pixel), view.cover.shape[1]))
        wanted = np.rint(centre - (0.5 + jitter) * (height, width)).astype(int)
        corner = np.clip(wanted, np.minimum(spare, 0), np.maximum(spare, 0))
    more = [math.ceil((margin - 1) * length / 2) for length in (height, width)]
    top, left = int(corner[0]) - more[0], int(corner[1]) - more[1]
    window = Rectangle.at(left, top, width + 2 * more[1], height + 2 * more[0])
    return crop(view.image, window), crop(view.cover, window)


def batch_rows(
    kinds: Sequence[str], shares: Mapping[str, float] | None, batch_size: int, seed: int, step: int
) -> np.ndarray:
    """Return the rows of a step, (batch_size,).

    Each kind has its share of every batch, to within one row, and exactly over many; within a
    kind every row comes once per epoch, in a new order each time.

    Args:
        kinds: What each row of the training set is: "real", "normal" or "own".
        shares: Of a batch by kind, summing to 1 over all three; a kind that the set lacks leaves
            its share to the others. None: one epoch of all rows, whatever their kind.
        batch_size: Rows.
        seed: Of the orders.
        step: The batch's number.
    """
    if shares is None:
        kinds, shares = ["all"] * len(kinds), {"all": 1.0}
    pools = {kind: [i for i, k in enumerate(kinds) if k == kind] for kind in shares}
    pools = {kind: pool for kind, pool in pools.items() if pool and shares[kind] > 0}
    ends = np.cumsum([shares[kind] for kind in pools])
    ends = np.concatenate([[0.0], ends / ends[-1]])
    # The ends of the shares among all rows drawn so far: rounding evens out from step to step.
    before, after = (np.rint(ends * batch_size * number).astype(int) for number in (step, step + 1))
    rows = []
    for number, (kind, pool) in enumerate(pools.items()):
        first, last = (int(at[number + 1] - at[number]) for at in (before, after))
        rows += [pool[i] for i in _in_epochs(len(pool), range(first, last), seed, kind)]
    return np.array(rows)


def _in_epochs(count: int, places: range, seed: int, kind: str) -> list[int]:
    """Return what stands at some places of endless shuffled passes over `count` items."""
    key = counter_seed(seed, "order", kind)
    epochs = {place // count for place in places}
    orders = {epoch: np.random.default_rng([key, epoch]).permutation(count) for epoch in epochs}
    return [int(orders[place // count][place % count]) for place in places]


@dataclass(frozen=True)
class Shown:
    """A training set as the batches see it.

    Attributes:
        views: Its images, a row each.
        kinds: "real", "normal" or "own", for each row.
        shares: See `batch_rows`.
        augmentation: Of every window, the same in all arms.
    """

    views: Sequence[View]
    kinds: Sequence[str]
    shares: Mapping[str, float] | None
    augmentation: Augmentation

    def rows(self, batch_size: int, seed: int, step: int) -> np.ndarray:
        """The rows of a step."""
        return batch_rows(self.kinds, self.shares, batch_size, seed, step)


def classification_batch(
    shown: Shown, labels: np.ndarray, batch_size: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """Return images (B, 3, side, side) and their type numbers (B,)."""
    rows = shown.rows(batch_size, seed, step)
    images = [
        _augmented(shown, row, shown.views[row].cover.shape, [seed, 2, step, slot])[0]
        for slot, row in enumerate(rows)
    ]
    return normalised(np.stack(images)), torch.from_numpy(labels[rows].astype(np.int64))


def localization_batch(
    shown: Shown, patch: tuple[int, int], batch_size: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """Return windows (B, 3, h, w) and how far their pixels are covered, (B, 1, h, w) in [0, 1]."""
    rows = shown.rows(batch_size, seed, step)
    windows = [
        _augmented(shown, row, patch, [seed, 2, step, slot]) for slot, row in enumerate(rows)
    ]
    cover = torch.from_numpy(np.stack([cover for _, cover in windows]))
    return normalised(np.stack([image for image, _ in windows])), cover[:, None].float() / 255


def _augmented(
    shown: Shown, row: int, size: tuple[int, int], key: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a window with a margin, then turn, scale and light it."""
    rng = np.random.default_rng(key)
    image, cover = draw_window(shown.views[row], *size, shown.augmentation.margin, rng)
    return shown.augmentation.draw(image, cover, size, rng)
