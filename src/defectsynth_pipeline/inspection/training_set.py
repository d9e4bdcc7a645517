"""The training images of a category, each made once for all arms and seeds that show it."""

from __future__ import annotations

import logging

import pandas as pd

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.plan import make_example
from defectsynth_pipeline.inspection.batches import View, make_view

log = logging.getLogger(__name__)


class TrainingImages:
    """Makes the images of plan rows at the network's scale and keeps them.

    Real images and normals, which all arms share, are kept for good; an arm's own images until
    `forget_own`.
    """

    def __init__(self, bank: Bank, side: int, *, square: bool) -> None:
        """Set up the cache; see `views.make_view` for `side` and `square`."""
        self._bank, self._side, self._square = bank, side, square
        self._shared: dict[tuple[str, ...], View] = {}
        self._own: dict[tuple[str, ...], View] = {}

    def views(self, rows: pd.DataFrame) -> list[View]:
        """Return the images of plan rows in order; equal recipes share one array."""
        return [self._view(row) for _, row in rows.iterrows()]

    def real(self, sample_ids: list[str]) -> list[View]:
        """Return base or normal samples by name.

        Raises:
            InputError: One of them is a test sample.
        """
        examples = (self._bank.example(sample_id) for sample_id in sample_ids)
        return [make_view(example, self._side, square=self._square) for example in examples]

    def forget_own(self) -> None:
        """Let go of the images that only the last arm showed."""
        self._own.clear()

    def _view(self, row: pd.Series) -> View:
        own = row["kind"] == "own"
        kept = self._own if own else self._shared
        names = ("arm", "category", "defect_type", "source", "recipe")
        key = tuple(str(row[name]) for name in (names if own else names[1:]))
        if key not in kept:
            kept[key] = make_view(make_example(self._bank, row), self._side, square=self._square)
        return kept[key]
