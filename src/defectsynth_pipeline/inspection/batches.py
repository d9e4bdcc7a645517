"""Training images at the network's scale, and the batches made of them.

A batch depends on (seed, step) alone: two arms see the same rows in the same order through the
same draws, and a resumed training sees what the uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from defectsynth_pipeline.imaging.pixels import crop
from defectsynth_pipeline.imaging.rectangle import Rectangle

DEFECT_SHARE = 0.5  # of the windows, if their image has a defect


@dataclass(frozen=True)
class View:
    """One image at the network's scale.

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
    view: View, height: int, width: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a window: half the time near a random pixel of the defect, else anywhere.

    It stays inside an image that is large enough; a smaller image is reflected.

    Returns:
        uint8 (height, width, 3) and its cover, uint8 (height, width).
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
    window = Rectangle.at(int(corner[1]), int(corner[0]), width, height)
    return crop(view.image, window), crop(view.cover, window)


def batch_rows(n_rows: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """Return the rows of a step: every row once per epoch, in a new order each time."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    orders = {
        epoch: np.random.default_rng([seed, 1, epoch]).permutation(n_rows)
        for epoch in np.unique(positions // n_rows).tolist()
    }
    return np.array([orders[p // n_rows][p % n_rows] for p in positions.tolist()])


def classification_batch(
    views: Sequence[View], labels: np.ndarray, batch_size: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """Return images (B, 3, side, side) and their type numbers (B,)."""
    rows = batch_rows(len(views), batch_size, seed, step)
    images = np.stack([views[row].image for row in rows])
    return normalised(images), torch.from_numpy(labels[rows].astype(np.int64))


def localization_batch(
    views: Sequence[View], patch: tuple[int, int], batch_size: int, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """Return windows (B, 3, h, w) and how far their pixels are covered, (B, 1, h, w) in [0, 1]."""
    rows = batch_rows(len(views), batch_size, seed, step)
    windows = [
        draw_window(views[row], *patch, np.random.default_rng([seed, 2, step, slot]))
        for slot, row in enumerate(rows)
    ]
    cover = torch.from_numpy(np.stack([cover for _, cover in windows]))
    return normalised(np.stack([image for image, _ in windows])), cover[:, None].float() / 255
