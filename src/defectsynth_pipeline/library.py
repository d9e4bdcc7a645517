"""What needs more than one room, on arrays alone: for use without Kedro, files or tables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.encoder import as_rgb8, patch_features
from defectsynth_pipeline.features.memory import PatchMemory
from defectsynth_pipeline.measures.detection import LocalizationStats
from defectsynth_pipeline.shape.branching import Crack, interpolate_cracks, is_branching
from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.image_space import interpolate_distance, shape_of
from defectsynth_pipeline.shape.strokes import stroke_tree
from defectsynth_pipeline.shape.variation import IDENTITY


def interpolate_masks(
    first: np.ndarray, second: np.ndarray, alpha: float, *, seed: int = 0
) -> np.ndarray:
    """Return a new mask between two real ones (Sec. III-C): strokes as strokes, others as fields.

    Args:
        first: (H, W) bool, not empty, the mask at alpha 0.
        second: The same, at alpha 1.
        alpha: Position between the two, in [0, 1].
        seed: Of the choice of branches, where the masks are cracks.

    Raises:
        InputError: A mask is empty, or sizes differ.

    Examples:
        >>> import numpy as np
        >>> small, large = np.zeros((48, 48), bool), np.zeros((48, 48), bool)
        >>> small[10:14, 10:14] = large[20:40, 20:40] = True
        >>> between = interpolate_masks(small, large, 0.5)
        >>> bool(small.sum() < between.sum() < large.sum())
        True
    """
    if first.shape != second.shape or not (first.any() and second.any()):
        raise InputError(
            "masks to interpolate must be of one size and not empty",
            value=f"{first.shape} with {int(first.sum())} and {second.shape} with "
            f"{int(second.sum())} pixels",
            remedy="resize them first, and drop empty ones",
        )
    measures = [measure(mask) for mask in (first, second)]
    height, width = first.shape
    pairs = [*zip((first, second), measures, strict=True)]
    if not is_branching(measures):
        one, other = (shape_of(*pair) for pair in pairs)
        return interpolate_distance(one, other, alpha, (height, width), IDENTITY)
    near, far = (Crack(stroke_tree(mask), own) for mask, own in pairs)
    least, most = sorted(round(own.area) for own in measures)
    return interpolate_cracks(
        near,
        far,
        alpha,
        rng=np.random.default_rng(seed),
        size=(height, width),
        warp=IDENTITY,
        area=(least, most),
    )


def unlike_good(images: Sequence[np.ndarray], normals: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return how unlike good images each pixel is (PatchCore), float32 (H, W) per image.

    Args:
        images: uint8 or uint16, (H, W) or (H, W, 3).
        normals: Good images, alike.

    Raises:
        InputError: There are no good images.

    Examples:
        >>> import numpy as np
        >>> grain = np.random.default_rng(0).integers(90, 160, (5, 64, 64, 3), dtype=np.uint8)
        >>> spoilt = grain[4].copy()
        >>> spoilt[24:40, 24:40] = 0
        >>> (unlike,) = unlike_good([spoilt], list(grain[:4]))
        >>> bool(unlike[24:40, 24:40].mean() > 1.2 * unlike.mean())
        True
    """
    features = [patch_features(as_rgb8(image)[None])[0] for image in normals]
    memory = PatchMemory.of([part.reshape(-1, part.shape[-1]) for part in features])
    return [memory.score_map(as_rgb8(image), image.shape[:2]) for image in images]


def localization_metrics(
    maps: Sequence[np.ndarray], masks: Sequence[np.ndarray]
) -> dict[str, float]:
    """Return pixel and image AUROC, AP and F1, and PRO, of score maps against masks.

    Args:
        maps: (H, W) float per image; above 0 is called a defect.
        masks: (H, W) bool per image, all False for a good one.

    Returns:
        Values in [0, 1] by name; nan where not defined (no good images, no defect).

    Raises:
        InputError: Shapes differ, or a value is not finite.

    Examples:
        >>> import numpy as np
        >>> mask = np.zeros((32, 32), bool)
        >>> mask[4:9, 4:9] = True
        >>> good = np.zeros_like(mask)
        >>> found = localization_metrics([mask - 0.5, good - 0.5], [mask, good])
        >>> found["pixel_ap"], found["image_auroc"]
        (1.0, 1.0)
    """
    stats = LocalizationStats()
    for number, (scores, mask) in enumerate(zip(maps, masks, strict=True)):
        stats.update(str(number), str(number), "defect" if mask.any() else GOOD, scores, mask)
    return stats.metrics()
