"""What a set of images is: one finished item, a published set, a set still to be rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_image

MANIFEST = "manifest.parquet"


@dataclass(frozen=True)
class Rendered:
    """One finished item.

    Args:
        image_id: The id of its plan row.
        arrays: Named pictures, written losslessly to `<name>s/<image_id>.png`: bool (H, W), or
            uint8 or uint16, (H, W) or (H, W, 3).
        record: Further manifest columns, JSON scalars.
    """

    image_id: str
    arrays: dict[str, np.ndarray]
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageSet:
    """A published set; pictures are read when asked for.

    Args:
        root: The folder of the set.
        manifest: One row per image, column `image_id` and what plan and records say.
    """

    root: Path
    manifest: pd.DataFrame

    @classmethod
    def open(cls, root: Path) -> ImageSet:
        """Open the set published at `root`."""
        return cls(root, pd.read_parquet(root / MANIFEST))

    def array(self, image_id: str, name: str) -> np.ndarray:
        """Read the picture `name` of one image; bool for `name == "mask"`, else its own dtype."""
        path = self.root / f"{name}s" / f"{image_id}.png"
        if not path.exists():
            raise InputError(
                f"the image set has no {name} of this image",
                file=path,
                value=image_id,
                remedy="take image_id from the manifest of the same version",
            )
        pixels = decode_image(path.read_bytes(), path)
        return pixels > 0 if name == "mask" else pixels

    def __len__(self) -> int:
        return len(self.manifest)


@dataclass(frozen=True)
class ImageSetJob:
    """A set still to be rendered: what a node returns and the dataset carries out.

    Args:
        fingerprint: Hex digest of all that decides the pixels; the same one resumes.
        plan: One row per image, column `image_id`.
        render: Yields the finished items of the given plan rows, in any order.
        summary: Called with the published set, for logging.
    """

    fingerprint: str
    plan: pd.DataFrame
    render: Callable[[pd.DataFrame], Iterator[Rendered]]
    summary: Callable[[ImageSet], None] | None = None
