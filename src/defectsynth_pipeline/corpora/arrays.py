"""Samples whose pixels are in memory: lists of arrays where a corpus is expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.errors import InputError


@dataclass(frozen=True)
class ArraySample(Sample):
    """A sample that was never a file; two are equal if their names are."""

    pixels: np.ndarray = field(compare=False, repr=False)
    shown: np.ndarray = field(compare=False, repr=False)

    def image(self) -> np.ndarray:
        """Its pixels, which the caller may change."""
        return self.pixels.copy()

    def mask(self) -> np.ndarray:
        """Its mask (height, width) of bool, which the caller may change."""
        return self.shown.copy()


def as_samples(
    images: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    defect_types: Sequence[str] | str = "defect",
    *,
    normals: Sequence[np.ndarray] = (),
    category: str = "part",
) -> list[Sample]:
    """Return real defects and good images as samples of the base and of the normals.

    Args:
        images: uint8 or uint16, (H, W) or (H, W, 3), each with a defect.
        masks: (H, W) bool, where it is.
        defect_types: One per image, or one for all.
        normals: Good images.
        category: Name of what they all show.

    Raises:
        InputError: Numbers or sizes differ, or a mask is empty.

    Examples:
        >>> import numpy as np
        >>> image, mask = np.full((32, 32), 200, np.uint8), np.zeros((32, 32), bool)
        >>> mask[10:14, 8:20] = True
        >>> [s.sample_id for s in as_samples([image], [mask], "dent", normals=[image])]
        ['arrays/part/dent/00000', 'arrays/part/good/00000']
    """
    kinds = [defect_types] * len(images) if isinstance(defect_types, str) else [*defect_types]
    if not len(images) == len(masks) == len(kinds):
        raise InputError(
            "images, masks and defect types differ in number",
            value=f"{len(images)}, {len(masks)} and {len(kinds)}",
            remedy="give one of each per image",
        )
    defects = zip(images, masks, kinds, strict=True)
    good = ((image, np.zeros(image.shape[:2], bool), GOOD) for image in normals)
    return [
        _sample(image, np.asarray(mask, bool), kind, category, number)
        for rows in (defects, good)
        for number, (image, mask, kind) in enumerate(rows)
    ]


def _sample(
    image: np.ndarray, mask: np.ndarray, kind: str, category: str, number: int
) -> ArraySample:
    name = f"arrays/{category}/{kind}/{number:05d}"
    if mask.shape != image.shape[:2] or (kind != GOOD and not mask.any()):
        raise InputError(
            "a mask must have its image's size and show a defect",
            value=f"{name}: {mask.shape} with {int(mask.sum())} pixels, image {image.shape}",
            remedy="mend or drop it",
        )
    height, width = mask.shape
    texts = {"corpus": "arrays", "category": category, "defect_type": kind, "root": ""}
    texts |= {"image_file": name, "mask_file": name, "derivation": "", "mask_of": ""}
    texts |= {"group": name, "sha256": name, "split": "normal" if kind == GOOD else "base"}
    return ArraySample(
        name, **texts, x=0, y=0, width=width, height=height, pixels=image, shown=mask
    )
