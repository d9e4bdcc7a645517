"""One training image, as every arm makes it and every detector is shown it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Example:
    """One training image.

    Attributes:
        image: uint8 or uint16, (H, W) or (H, W, 3), native size.
        mask: (H, W) bool; all False for a defect-free image.
    """

    image: np.ndarray
    mask: np.ndarray
