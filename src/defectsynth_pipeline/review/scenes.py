"""A picture with its mask as the desk shows it: JPEGs, a window around the defect, an outline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from skimage.measure import approximate_polygon, find_contours

from defectsynth_pipeline.figures.previews import closeup, to_display
from defectsynth_pipeline.imaging.rectangle import Rectangle

TILE, ACROSS = 160, 8  # px of a tile; tiles across and down a sheet
WHOLE, CROP = 1280, 512  # px, longest side of what is saved of an image and of a window
_LEAST = 64  # px, side of a window at least
_DETAIL = 0.4  # px of the picture as it is saved, by which an outline may be off


@dataclass(frozen=True)
class Scene:
    """A picture, its mask and the window around the defect.

    Attributes:
        picture: (H, W, 3) uint8.
        mask: (H, W) bool.
        window: A square inside the picture.
    """

    picture: np.ndarray
    mask: np.ndarray
    window: Rectangle

    @classmethod
    def of(cls, image: np.ndarray, mask: np.ndarray) -> Scene:
        """Any of our pictures; an empty mask shows the middle."""
        seen = mask if mask.any() else np.ones_like(mask)
        return cls(to_display(image), mask, closeup(seen, least=_LEAST))

    @property
    def crop(self) -> Image.Image:
        """What is in the window, at its own pixels."""
        return Image.fromarray(self.picture[self.window.slices])

    @property
    def is_large(self) -> bool:
        """Whether the picture loses detail where it is saved whole."""
        return max(self.mask.shape) > WHOLE

    def told(self) -> dict[str, Any]:
        """Size, window and outline, as the page reads them: pixels of the picture."""
        height, width = self.mask.shape
        return {"size": [width, height], "box": box_of(self.window), "path": outline(self.mask)}


def box_of(window: Rectangle) -> list[int]:
    """x, y, width, height."""
    return [window.left, window.top, window.width, window.height]


def outline(mask: np.ndarray) -> str:
    """The borders of a mask (H, W) as the path of an SVG in its pixels; "" if it is empty."""
    detail = _DETAIL * max(1.0, max(mask.shape) / WHOLE)
    lines = []
    for border in find_contours(np.pad(mask, 1).astype(np.float32), 0.5):
        points = np.round(approximate_polygon(border, detail) - 0.5, 1)  # pixel 0 is at 0.5
        lines.append("M" + " ".join(f"{x:g},{y:g}" for y, x in points) + "Z")
    return "".join(lines)


def before(image: np.ndarray, background: np.ndarray, window: Rectangle) -> Image.Image | None:
    """What was in the window before, in the image's own stretch; None if the sizes differ."""
    if image.shape != background.shape or image.dtype != background.dtype:
        return None
    both = to_display(np.concatenate([image, background]))
    return Image.fromarray(both[len(image) :][window.slices])


def save_jpeg(picture: Image.Image, path: Path, side: int) -> None:
    """Save a picture, no longer than `side` px, without loss of colour."""
    if max(picture.size) > side:
        picture = ImageOps.contain(picture, (side, side), Image.Resampling.LANCZOS)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, quality=92, subsampling=0)


class Sheets:
    """Tiles that are saved `ACROSS` x `ACROSS` to a file, so that the page asks for few files."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0
        self._sheet = Image.new("RGB", (TILE * ACROSS, TILE * ACROSS))

    def add(self, crop: Image.Image) -> None:
        """Set the next tile; a sheet that is full is saved."""
        row, column = divmod(self._count % ACROSS**2, ACROSS)
        tile = crop.resize((TILE, TILE), Image.Resampling.LANCZOS)
        self._sheet.paste(tile, (column * TILE, row * TILE))
        self._count += 1
        if self._count % ACROSS**2 == 0:
            self.close()

    def close(self) -> None:
        """Save what is there."""
        number = (self._count - 1) // ACROSS**2
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sheet.save(self._folder / f"{number}.jpg", quality=85)
