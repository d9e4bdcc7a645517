"""What is kept of evaluated test images, in memory and in a file."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.measures.levels import COARSE, LEVELS, coarse_histograms

if TYPE_CHECKING:
    from typing_extensions import Self

GOOD = "good"
_COLUMNS = {"sample_id": str, "group": str, "defect_type": str, "score": float}
_UNREADABLE = (
    OSError,
    EOFError,
    KeyError,
    ValueError,
    AttributeError,
    TypeError,
    zipfile.BadZipFile,
)


class Records:
    """A row and a coarse histogram per image, and a fine histogram per defect type.

    Histograms are those of `levels.pixel_histograms`.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[str, str, str, float]] = []
        self._seen: set[str] = set()
        self._fine: dict[str, np.ndarray] = {}
        self._coarse: list[np.ndarray] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: tuple[str, str, str, float], counts: np.ndarray) -> None:
        """Take in one image.

        Args:
            row: sample_id, group, defect_type and score.
            counts: (3, LEVELS) histograms of its pixels.

        Raises:
            InputError: The sample was seen before.
        """
        sample_id, _, defect_type, _ = row
        if sample_id in self._seen:
            raise InputError(
                "a test image was evaluated twice", value=sample_id, remedy="pass each image once"
            )
        self._seen.add(sample_id)
        self._rows.append(row)
        self._fine[defect_type] = self._fine.get(defect_type, 0) + counts
        self._coarse.append(coarse_histograms(counts))

    @property
    def images(self) -> pd.DataFrame:
        """sample_id, group, defect_type and score of each image, in the order they came."""
        return pd.DataFrame(self._rows, columns=list(_COLUMNS)).astype({"score": float})

    @property
    def defect_types(self) -> list[str]:
        """Defect types seen, sorted, without "good"."""
        return sorted(set(self._fine) - {GOOD})

    def chosen(self, defect_type: str | None) -> np.ndarray:
        """Positions of a type's images and the good ones, or of all images if it is None.

        Raises:
            InputError: No image of the type was seen.
        """
        if defect_type is not None and defect_type not in self.defect_types:
            raise InputError(
                "no test image of this defect type",
                value=defect_type,
                remedy=f"choose one of {', '.join(self.defect_types) or '(none)'}",
            )
        wanted = [defect_type in (None, row[2]) or row[2] == GOOD for row in self._rows]
        return np.flatnonzero(wanted)

    def coarse(self, rows: np.ndarray) -> np.ndarray:
        """Coarse histograms float32 (n, 3, COARSE) of the images at these positions."""
        return np.stack([self._coarse[row] for row in rows])

    def fine(self, types: Iterable[str]) -> np.ndarray:
        """Fine histogram float64 (3, LEVELS) of all images of these types together."""
        total = np.zeros((3, LEVELS))
        for name in sorted(types):
            total += self._fine[name]
        return total

    def save(self, path: Path) -> None:
        """Write everything to one .npz without pickle; folders are made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        images, types = self.images, sorted(self._fine)
        arrays = {name: images[name].to_numpy(dtype=kind) for name, kind in _COLUMNS.items()}
        arrays["types"] = np.array(types, dtype=str)
        arrays["fine"] = np.array([self._fine[name] for name in types]).reshape(-1, 3, LEVELS)
        arrays["coarse"] = np.array(self._coarse, dtype=np.float32).reshape(-1, 3, COARSE)
        with path.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: The file is missing or is no such archive.
        """
        try:
            with np.load(path, allow_pickle=False) as archive:
                return cls._from({name: archive[name] for name in archive.files})
        except _UNREADABLE as error:
            raise InputError(
                "results of a detector cannot be read",
                file=path,
                remedy="run the downstream pipeline again",
            ) from error

    @classmethod
    def _from(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        loaded = cls()
        loaded._rows = list(zip(*(arrays[name].tolist() for name in _COLUMNS), strict=True))
        loaded._seen = {row[0] for row in loaded._rows}
        loaded._fine = dict(zip(arrays["types"].tolist(), arrays["fine"], strict=True))
        loaded._coarse = list(arrays["coarse"])
        return loaded
