"""On-line augmentation, the same in every arm: as much as a category's own images allow.

A screw lies any way round, a weld runs across; whoever mirrors or turns what never is mirrored or
turned teaches a detector images that do not exist. So each is tried on the category's images, base
and normals: it is allowed where what comes out is hardly farther from the other images, in
features, than those are from one another.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from defectsynth_pipeline.features.encoder import feature_levels
from defectsynth_pipeline.options import AugmentOptions

log = logging.getLogger(__name__)
Array = np.ndarray
SIDE = 128  # px at which images are compared
MOST = 40  # images that are compared
USUAL = 0.9  # quantile of the images' own distances to the nearest other image
SLACK = 1.25  # how much farther a changed image may be: photographs often come in likely pairs
GAINS = (1.1, 1.25)  # how far brightness may be drawn, at least and at most
OFFSET = 0.3  # of what the gain changes at white


@dataclass(frozen=True)
class Augmentation:
    """How far a training window may be changed.

    Attributes:
        flip_x: Mirrored left to right, half of them.
        flip_y: Mirrored top to bottom, half of them.
        quarter_turns: Turned by a random number of quarters.
        turn: Degrees either way.
        scale: Share by which it may grow or shrink.
        gain: Brightness is multiplied by 1 / gain .. gain.
    """

    flip_x: bool = False
    flip_y: bool = False
    quarter_turns: bool = False
    turn: float = 0.0
    scale: float = 0.0
    gain: float = 1.0

    @property
    def margin(self) -> float:
        """Side of the window that has to be cut, in sides of the one that is shown."""
        turned = np.cos(np.radians(self.turn)) + np.sin(np.radians(self.turn))
        return float(turned / (1 - self.scale)) if self.turn or self.scale else 1.0

    def draw(
        self, image: Array, cover: Array, size: tuple[int, int], rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Change a window at random.

        Args:
            image: uint8 (h, w, 3), at least `margin` times as large as `size`.
            cover: uint8 (h, w).
            size: (height, width) of the result; quarter turns need it square.
            rng: Of all draws; always as many of them, whatever is allowed.

        Returns:
            uint8 (height, width, 3) and its cover, uint8 (height, width).
        """
        angle, scale, gain, offset = rng.uniform(-1, 1, 4)
        flips, quarter = rng.random(2) < 0.5, int(rng.integers(4))
        planes = tv.to_image(np.concatenate([image, cover[..., None]], 2))
        if self.turn or self.scale:
            planes = tv.affine(
                planes,
                angle=self.turn * angle,
                translate=[0, 0],
                scale=1 + self.scale * scale,
                shear=[0.0, 0.0],
                interpolation=InterpolationMode.BILINEAR,
            )
        planes = tv.center_crop(planes, list(size))
        planes = planes.flip(-1) if self.flip_x and flips[0] else planes
        planes = planes.flip(-2) if self.flip_y and flips[1] else planes
        if self.quarter_turns and size[0] == size[1]:
            planes = torch.rot90(planes, quarter, (-2, -1))
        shown = planes[:3].permute(1, 2, 0).numpy()
        if self.gain > 1:
            added = 255 * OFFSET * (self.gain - 1) * offset
            shown = np.rint(np.clip(shown * self.gain**gain + added, 0, 255)).astype(np.uint8)
        return shown, planes[3].numpy()


def learn_augmentation(images: Sequence[Array], options: AugmentOptions, name: str) -> Augmentation:
    """Return what the images of a category allow; what the options set is not learnt.

    Args:
        images: uint8 (h, w, 3) of any sizes, base and normals; two at least, else nothing that is
            to be learnt is allowed.
        options: What is set.
        name: Of the category, for the log.
    """
    some = images[:: max(1, len(images) // MOST)][:MOST]
    squares = [np.asarray(Image.fromarray(image).resize((SIDE, SIDE))) for image in some]
    changes: dict[str, Callable[[Array], Array]] = {
        "flip_x": lambda image: image[:, ::-1],
        "flip_y": lambda image: image[::-1],
        "quarter_turns": np.rot90,
    }
    learnt = [change for change in changes if getattr(options, change) == "auto"]
    allowed = {change: bool(getattr(options, change) is True) for change in changes}
    if learnt and len(squares) > 1:
        own = _embedded(squares)
        usual = SLACK * float(np.quantile(_nearest(own, own), USUAL))
        for change in learnt:
            moved = _embedded([np.ascontiguousarray(changes[change](image)) for image in squares])
            allowed[change] = bool(np.median(_nearest(moved, own)) <= usual)
    gain = _spread(squares) if options.gain == "auto" else options.gain
    found = Augmentation(**allowed, turn=options.turn, scale=options.scale, gain=gain)
    log.info("%s is augmented by %s", name, found)
    return found


def _embedded(images: Sequence[Array]) -> Array:
    """Return (N, C): what is where on a coarse grid, in features of stride 16 averaged by 2 x 2."""
    level = feature_levels(np.stack(images), (16,))[0]
    grid = torch.nn.functional.avg_pool2d(level, 2).flatten(1)
    return np.asarray((grid / grid.norm(dim=1, keepdim=True)).numpy())


def _nearest(images: Array, others: Array) -> Array:
    """Return (N,): the distance of each image to the nearest other one but itself."""
    distances = np.sqrt(np.maximum(2 - 2 * images @ others.T, 0))
    np.fill_diagonal(distances, np.inf)
    return np.asarray(distances.min(1))


def _spread(images: Sequence[Array]) -> float:
    """Return the gain that covers nearly all of the images' differences in brightness."""
    brightness = [float(np.log(max(image.mean(), 1.0))) for image in images]
    return float(np.clip(np.exp(2 * np.std(brightness)), *GAINS)) if brightness else GAINS[0]
