"""Two procedural corpora that the demo is unlike, for looking at what `augment` makes of them.

    python benchmarks/unlike_demo.py tiles FOLDER     grey tiles, no two of one size
    python benchmarks/unlike_demo.py strips FOLDER    128 x 800 px

Tiles have three shots of every part: blowholes, cracks, frays, and broken edges, which take a fifth
to a third of the tile and run out of it on three sides. Strips have pits in groups, scratches half
as long as the strip, and patches that the long sides may cut off. Same files whenever it is run.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from projects import REPOSITORY
from scipy import ndimage

sys.path.append(str(REPOSITORY / "tests"))
from categories import save

Array = np.ndarray
Drawn = tuple[Array, Array]  # the image (H, W) in [0, 1], and the defect's mask
_SHOTS = 3
_STRIP = (128, 800)


def noise(rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple) -> Array:
    """Smooth noise of unit deviation, (H, W)."""
    values = ndimage.gaussian_filter(rng.standard_normal(shape), sigma)
    return np.asarray(values / values.std())


def surface(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    """Brushed grey metal, unevenly lit."""
    down, right = (np.linspace(-0.5, 0.5, side) for side in shape)
    grain = 0.03 * noise(rng, shape, 0.6) + 0.025 * noise(rng, shape, (0.8, 12))
    light = rng.uniform(-0.15, 0.15) * down[:, None] + rng.uniform(-0.1, 0.1) * right
    return np.asarray(rng.uniform(0.35, 0.6) + grain + 0.05 * noise(rng, shape, 40) + light)


def blob(rng: np.random.Generator, shape: tuple[int, int], radius: float, centre: Array) -> Array:
    """A roundish mask around a place."""
    rows, columns = np.indices(shape)
    distance = np.hypot(rows - centre[0], columns - centre[1])
    return np.asarray(distance + 0.25 * radius * noise(rng, shape, max(2, radius / 2)) < radius)


def line(shape: tuple[int, int], points: Array, width: float) -> Array:
    """Mask of a line through points (N, 2), a pixel apart."""
    places = np.rint(points).astype(int)
    places = places[((places >= 0) & (places < shape)).all(1)]
    free = np.ones(shape, dtype=bool)
    free[tuple(places.T)] = False
    return np.asarray(ndimage.distance_transform_edt(free) <= width / 2)


def soft(mask: Array, sigma: float) -> Array:
    """Coverage of a mask with a soft border."""
    return np.asarray(ndimage.gaussian_filter(mask.astype(float), sigma))


def blowhole(rng: np.random.Generator, image: Array) -> Drawn:
    mask = blob(rng, image.shape, rng.uniform(4, 9), rng.uniform(0.2, 0.8, 2) * image.shape)
    cover = soft(mask, 1)
    return image * (1 - cover) + cover * rng.uniform(0.08, 0.2), mask


def crack(rng: np.random.Generator, image: Array) -> Drawn:
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.12, rng.integers(60, 140)))
    path = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], 1), 0)
    path += rng.uniform(0.3, 0.7, 2) * image.shape - path.mean(0)
    drawn = soft(line(image.shape, path, rng.uniform(1.5, 3)), 0.7)
    return image - rng.uniform(0.12, 0.22) * drawn, line(image.shape, path, 4)


def fray(rng: np.random.Generator, image: Array) -> Drawn:
    mask = blob(rng, image.shape, rng.uniform(18, 34), rng.uniform(0.3, 0.7, 2) * image.shape)
    fibres = 0.07 * noise(rng, image.shape, 2) + rng.uniform(0.03, 0.08)
    return image + soft(mask, 2) * fibres, mask


def broken(rng: np.random.Generator, image: Array) -> Drawn:
    axis = int(rng.integers(2))
    depth = np.indices(image.shape)[axis] + 8 * noise(rng, image.shape, 15)
    mask = depth < rng.uniform(0.18, 0.35) * image.shape[axis]
    ground = rng.uniform(0.1, 0.25) + 0.03 * noise(rng, image.shape, 4)
    cover = soft(mask, 1.5)
    return image * (1 - cover) + cover * ground, mask


def pits(rng: np.random.Generator, image: Array) -> Drawn:
    place, mask = rng.uniform(0.1, 0.9, 2) * image.shape, np.zeros(image.shape, dtype=bool)
    for _ in range(rng.integers(2, 6)):
        mask |= blob(rng, image.shape, rng.uniform(2, 4.5), place + rng.normal(0, 12, 2))
    return image * (1 - 0.7 * soft(mask, 0.7)), mask


def scratch(rng: np.random.Generator, image: Array) -> Drawn:
    angle, along = rng.normal(0, 0.1), np.arange(rng.integers(150, 420))[:, None]
    start = rng.uniform((10, -50), (118, 500))
    path = start + along * np.array([np.sin(angle), np.cos(angle)])
    drawn = soft(line(image.shape, path, 1.6), 0.6)
    return image + rng.uniform(0.15, 0.3) * drawn, line(image.shape, path, 3)


def patch(rng: np.random.Generator, image: Array) -> Drawn:
    centre = np.array([rng.choice([0, 64, 128]), rng.uniform(60, 740)])
    mask = blob(rng, image.shape, rng.uniform(20, 50), centre)
    return image + soft(mask, 2.5) * (0.05 * noise(rng, image.shape, 1.5) - 0.1), mask


Kinds = dict[str, tuple[Callable[[np.random.Generator, Array], Drawn], int]]  # and how many
TILES: Kinds = {"blowhole": (blowhole, 12), "crack": (crack, 10), "fray": (fray, 6)}
TILES |= {"break": (broken, 6)}
STRIPS: Kinds = {"pits": (pits, 18), "scratch": (scratch, 18), "patch": (patch, 18)}


def tiles(rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Files of the category `tile`, and what they show."""

    def shape() -> tuple[int, int]:
        return int(rng.integers(170, 420)), int(rng.integers(140, 330))

    yield from _good(60, 30, lambda: surface(rng, shape()))
    for name, (draw, parts) in TILES.items():
        for part in range(parts):
            image, mask = draw(rng, surface(rng, shape()))
            for shot in range(_SHOTS):
                seen = image * rng.uniform(0.85, 1.15) + rng.normal(0, 0.01, image.shape)
                yield from _pair(name, f"part{part:02}_{shot}", seen, mask)


def strips(rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Files of the category `strip`, and what they show."""
    yield from _good(40, 20, lambda: surface(rng, _STRIP))
    for name, (draw, count) in STRIPS.items():
        for number in range(count):
            yield from _pair(name, f"{number:03}", *draw(rng, surface(rng, _STRIP)))


def _good(train: int, test: int, draw: Callable[[], Array]) -> Iterator[tuple[str, Array]]:
    for split, count in (("train", train), ("test", test)):
        for number in range(count):
            yield f"{split}/good/{number:03}.png", draw()


def _pair(name: str, stem: str, image: Array, mask: Array) -> Iterator[tuple[str, Array]]:
    yield f"test/{name}/{stem}.png", image
    yield f"ground_truth/{name}/{stem}_mask.png", mask


CORPORA = {"tiles": ("tile", tiles), "strips": ("strip", strips)}


def main() -> None:
    """Write the corpus asked for, in MVTec's layout."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", choices=CORPORA)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    category, files = CORPORA[options.corpus]
    for name, values in files(np.random.default_rng(0)):
        shown = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
        save(options.folder / category / name, shown)


if __name__ == "__main__":
    main()
