"""The one rectangle: bounding boxes of masks, windows of radiographs, frames of the model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Slices = tuple[slice, slice]


@dataclass(frozen=True)
class Rectangle:
    """Rows top .. bottom - 1 and columns left .. right - 1, in pixels.

    It may reach beyond the image it belongs to, negative corners included.
    """

    top: int
    left: int
    bottom: int
    right: int

    @classmethod
    def at(cls, x: int, y: int, width: int, height: int) -> Rectangle:
        """The rectangle of a corner and a size, as tables write it."""
        return cls(y, x, y + height, x + width)

    @classmethod
    def around(cls, mask: np.ndarray, margin: int = 0) -> Rectangle:
        """The bounding box of a mask (H, W), `margin` px wider, not beyond the image.

        The mask must not be empty.
        """
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = cls(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
        return box.grown(margin).clipped(mask.shape)

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def extent(self) -> int:
        """Longer side in pixels."""
        return max(self.height, self.width)

    @property
    def slices(self) -> Slices:
        """Rows and columns as an index; only for a rectangle inside its image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def grown(self, margin: int) -> Rectangle:
        """The rectangle with `margin` pixels more on every side."""
        return Rectangle(
            self.top - margin, self.left - margin, self.bottom + margin, self.right + margin
        )

    def clipped(self, shape: tuple[int, ...]) -> Rectangle:
        """The part inside an image of `shape` (H, W, ...)."""
        top, left = max(self.top, 0), max(self.left, 0)
        return Rectangle(top, left, min(self.bottom, shape[0]), min(self.right, shape[1]))

    def union(self, other: Rectangle) -> Rectangle:
        """The smallest rectangle around both."""
        return Rectangle(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def holds(self, other: Rectangle) -> bool:
        """Whether the other one lies wholly inside."""
        return self.union(other) == self

    def meets(self, other: Rectangle) -> bool:
        """Whether the two share a pixel."""
        rows = min(self.bottom, other.bottom) > max(self.top, other.top)
        return rows and min(self.right, other.right) > max(self.left, other.left)

    def square(self, side: int, shape: tuple[int, ...]) -> Rectangle:
        """The square of a given side around the middle of this one, moved into an image.

        It is no larger than the image's short side.
        """
        side = min(side, *shape[:2])
        top = min(max((self.top + self.bottom - side) // 2, 0), shape[0] - side)
        left = min(max((self.left + self.right - side) // 2, 0), shape[1] - side)
        return Rectangle(top, left, top + side, left + side)

    def shared(self, shape: tuple[int, ...]) -> tuple[Slices, Slices]:
        """The part shared with an image of `shape`: its slices in the image and in the crop."""
        inside = self.clipped(shape)
        there = Rectangle(
            inside.top - self.top,
            inside.left - self.left,
            inside.bottom - self.top,
            inside.right - self.left,
        )
        return inside.slices, there.slices
