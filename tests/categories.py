"""An MVTec category on disk, and the little surfaces and defects that tests draw on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.rendering import ImageSetJob, Rendered, publish, render_set

Draw = Callable[[int], np.ndarray]
SHAPE = (64, 80)
NUMBERED = [f"{index:03d}" for index in range(6)]


def write_category(
    folder: Path,
    draw_surface: Draw,
    draw_masks: Mapping[str, Draw],
    *,
    good: Sequence[str] = NUMBERED[:5],
    tested: Sequence[str] = (),
    defective: Sequence[str] = NUMBERED,
    darkening: int = 3,
    first: int = 0,
) -> Path:
    """Write one MVTec category; what is drawn depends on a seed per file.

    Args:
        folder: Of the category.
        draw_surface: Seed to image.
        draw_masks: Seed to mask (H, W) bool, by defect type.
        good: Stems of the defect-free images, seeds 0, 1, ...
        tested: Stems of the defect-free test images, seeds 90, 91, ...
        defective: Stems of the images of each type, seeds 100, 101, ... and 200, 201, ...
        darkening: What a defect divides its surface by; 1 leaves it as it is.
        first: Added to all seeds.

    Returns:
        The corpus that the category belongs to.
    """
    for part, stems, seed in (("train", good, first), ("test", tested, first + 90)):
        for index, stem in enumerate(stems):
            save(folder / part / "good" / f"{stem}.png", draw_surface(seed + index))
    for number, (defect_type, draw_mask) in enumerate(draw_masks.items(), start=1):
        for index, stem in enumerate(defective):
            seed = first + 100 * number + index
            image, mask = draw_surface(seed), draw_mask(seed)
            image[mask] //= darkening
            save(folder / "test" / defect_type / f"{stem}.png", image)
            save(folder / "ground_truth" / defect_type / f"{stem}_mask.png", mask)
    return folder.parent


def publish_set(
    folder: Path, plan: pd.DataFrame, render: Callable[[Any], Mapping[str, np.ndarray]]
) -> ImageSet:
    """Publish the images that `render` makes of the rows of `plan` (named tuples)."""

    def rendered(missing: pd.DataFrame) -> Iterator[Rendered]:
        for row in missing.itertuples():
            rejected = getattr(row, "verdict", "") == "rejected"
            yield Rendered(row.image_id, dict(render(row)), rejected=rejected)

    return publish_job(ImageSetJob("f00d", plan, rendered), folder)


def publish_job(job: ImageSetJob, folder: Path, version: str = "v1", name: str = "") -> ImageSet:
    """Render a set in `folder/work` and publish it as `folder/version/name`."""
    finished = render_set(job, folder / "work")
    return publish(finished, folder, version=version, name=name or folder.name)


def save(path: Path, array: np.ndarray, **how: int) -> Path:
    """Write an image, or a mask as 0 and 255."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = array.astype(np.uint8) * 255 if array.dtype == bool else array
    Image.fromarray(pixels).save(path, **how)
    return path


def sample_row(path: Path, image: np.ndarray, **columns: object) -> dict[str, object]:
    """Write an image; its row of `samples`, all of it, but for the columns given."""
    save(path, image)
    row: dict[str, object] = dict.fromkeys(("corpus", "category", "defect_type", "mask"), "")
    row |= dict.fromkeys(("derivation", "mask_of"), "")
    row |= dict.fromkeys(("sample_id", "sha256", "group", "split"), path.stem)
    row |= {"root": path.parent.as_posix(), "image": path.name, "x": 0, "y": 0}
    return row | {"width": image.shape[1], "height": image.shape[0]} | columns


def surface(seed: int, shape: tuple[int, ...] = (*SHAPE, 3)) -> np.ndarray:
    """Even noise, uint8."""
    return np.random.default_rng(seed).integers(90, 160, shape, dtype=np.uint8)


def surface16(seed: int) -> np.ndarray:
    """Even grey noise, uint16."""
    return np.random.default_rng(seed).integers(20_000, 40_000, SHAPE, dtype=np.uint16)


def round_spot(shape: tuple[int, int], row: float, column: float, radius: float) -> np.ndarray:
    """What is nearer to a point than the radius: bool (H, W)."""
    y, x = np.indices(shape)
    return np.asarray(np.hypot(y - row, x - column) < radius)


def disc(seed: int, shape: tuple[int, int], radius: float, margin: int) -> np.ndarray:
    """A disc whose middle is at least `margin` px from the borders: bool (H, W)."""
    row, column = np.random.default_rng(seed).integers(margin, np.array(shape) - margin)
    return round_spot(shape, row, column, radius)


def blob(seed: int) -> np.ndarray:
    """A small ellipse, bool (64, 80)."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(SHAPE)
    row, column = rng.integers(16, SHAPE[0] - 16), rng.integers(16, SHAPE[1] - 16)
    return np.asarray(np.hypot((y - row) / 1.3, x - column) < rng.integers(4, 8))


def stroke(seed: int) -> np.ndarray:
    """A slanting line of two pixels, bool (64, 80)."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(SHAPE, dtype=bool)
    row, column = rng.integers(12, SHAPE[0] - 12), rng.integers(10, SHAPE[1] - 40)
    for step in range(28):
        mask[row + step // 6 : row + step // 6 + 2, column + step] = True
    return mask


SHAPES: dict[str, Draw] = {"dent": blob, "scratch": stroke}
