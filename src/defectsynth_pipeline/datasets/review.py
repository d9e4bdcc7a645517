"""`ReviewDataset` reads what a person decided, with the set of this project that it is of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from kedro.io.core import AbstractDataset, DatasetError

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.review.decisions import Reviewed, check_review, parse_review
from defectsynth_pipeline.setfiles import MANIFEST, read_manifest, sha256_of


class ReviewDataset(AbstractDataset[NoReturn, Any]):
    """A `review.json`, or nothing.

    Examples:
        ```yaml
        review:
          type: defectsynth_pipeline.datasets.ReviewDataset
          review: /path/to/review.json
          path: data/07_model_output/synthetic_images
        ```
    """

    def __init__(
        self, *, review: str | None, path: str, metadata: dict[str, Any] | None = None
    ) -> None:
        """Set up the dataset.

        Args:
            review: The file; None: nothing was reviewed.
            path: The folder of the sets that it may be of, in all their versions.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self._review = Path(review).expanduser() if review else None
        self._sets = Path(path)
        self.metadata = metadata

    @property
    def source(self) -> str:
        """Which file, and its checksum: what the record of a run says of it."""
        if self._review is None:
            return "none"
        return f"{self._review.as_posix()}, sha256 {sha256_of(self._review.read_bytes())[:16]}"

    def check(self) -> None:
        """See before a run that it can be read, and that its set is here.

        Raises:
            InputError: As `load`.
        """
        self._read()

    def load(self) -> Reviewed | None:
        """Read the review, and open the set that it is of.

        Raises:
            InputError: It is broken, of no set of this project, or names what that does not have.
        """
        return self._read()

    def _read(self) -> Reviewed | None:
        if self._review is None:
            return None
        review = parse_review(self._review)
        for root in self._roots():
            if review.set in set(read_manifest(root / MANIFEST).get("of_set", ())):
                images = ImageSet.open(root)
                check_review(review, images)
                return Reviewed(review, images)
        raise InputError(
            "the review is of no set of this project",
            file=self._review,
            value=f"set {review.set} of {review.version}",
            remedy="use it in the project whose images were reviewed, or review those of this one",
        )

    def save(self, data: NoReturn) -> None:
        """Refuse: a person writes it.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("a review is read only: `defectsynth review` makes the page that saves")

    def _roots(self) -> Iterator[Path]:
        """The sets' folders, newest first, outside partitions first."""
        name = self._sets.name
        for folder in (self._sets, *sorted(self._sets.parent.glob(f"partition_*/{name}"))):
            found = folder.glob(f"*/{name}/{MANIFEST}")
            yield from sorted((path.parent for path in found), reverse=True)

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"review": str(self._review), "path": self._sets.as_posix()}
