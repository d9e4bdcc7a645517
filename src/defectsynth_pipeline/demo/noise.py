"""Building blocks of the procedural surfaces: noise, curves, shading."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates y, x, each float32 (height, width)."""
    y, x = np.mgrid[0:height, 0:width]
    return y.astype(np.float32), x.astype(np.float32)


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], sigma: float | tuple[float, float]
) -> np.ndarray:
    """Gaussian-filtered white noise with mean 0 and standard deviation 1, float32.

    Broad noise is made on a coarse grid and enlarged, which is much faster and looks the same.
    """
    wide = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
    factor = [max(1, int(s // 2)) for s in wide]
    small = [-(-n // f) + 2 for n, f in zip(shape, factor, strict=True)]
    noise = rng.standard_normal(small).astype(np.float32)
    noise = ndimage.gaussian_filter(
        noise, [s / f for s, f in zip(wide, factor, strict=True)], mode="wrap"
    )
    if max(factor) > 1:
        size = (small[1] * factor[1], small[0] * factor[0])
        noise = np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
    noise = noise[: shape[0], : shape[1]]
    return (noise - noise.mean()) / (noise.std() + 1e-6)


def octaves(
    rng: np.random.Generator, shape: tuple[int, int], sigmas: tuple[float, ...], fall: float = 0.7
) -> np.ndarray:
    """Sum of smooth noises from coarse to fine with falling weights, standard deviation 1."""
    total = sum(fall**i * smooth_noise(rng, shape, s) for i, s in enumerate(sigmas))
    return np.asarray(total / (np.std(total) + 1e-6), np.float32)


def step(edge: np.ndarray, softness: float = 0.7) -> np.ndarray:
    """Anti-aliased indicator of `edge > 0` for a distance in pixels, in [0, 1]."""
    return np.clip(0.5 + edge / (2 * softness), 0, 1)


def light_on(height: np.ndarray, direction: float, strength: float = 1.0) -> np.ndarray:
    """Shading of a relief lit from an angle: the slope towards the light, about [-1, 1]."""
    dy, dx = np.gradient(height)
    return strength * -(np.cos(direction) * dx + np.sin(direction) * dy)


def wander(
    rng: np.random.Generator,
    start: tuple[float, float],
    angle: float,
    length: float,
    *,
    turn: float,
    pace: float = 2.0,
) -> np.ndarray:
    """A curve (n, 2) of x, y whose direction drifts and jitters around a course."""
    count = max(int(length / pace), 3)
    drift = np.cumsum(rng.normal(0, turn * 0.35, count))
    drift -= np.linspace(0, drift[-1], count) * 0.5
    angles = angle + drift + rng.normal(0, turn, count)
    moves = pace * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.asarray(start) + np.cumsum(moves, axis=0)


def stroke(
    shape: tuple[int, int], points: np.ndarray, widths: np.ndarray, scale: int = 4
) -> np.ndarray:
    """Coverage in [0, 1] of a line with varying width, drawn `scale` times finer."""
    height, width = shape
    canvas = Image.new("L", (width * scale, height * scale))
    draw = ImageDraw.Draw(canvas)
    fine = points * scale
    for (x0, y0), (x1, y1), w in zip(fine[:-1], fine[1:], widths[1:] * scale, strict=True):
        draw.line([(x0, y0), (x1, y1)], fill=255, width=max(1, round(w)))
        r = w / 2
        draw.ellipse([x1 - r, y1 - r, x1 + r, y1 + r], fill=255)
    small = canvas.resize((width, height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255


def photograph(
    rng: np.random.Generator, scene: np.ndarray, *, blur: float = 0.55, noise: float = 0.008
) -> np.ndarray:
    """What a camera makes of a scene: slight blur, vignette, sensor noise.

    Args:
        rng: Source of the noise.
        scene: float (H, W) or (H, W, 3), about [0, 1].
        blur: Standard deviation of the blur in pixels.
        noise: Standard deviation of the noise.

    Returns:
        uint8 of the same shape.
    """
    size = (blur, blur, 0)[: scene.ndim]
    values = ndimage.gaussian_filter(scene.astype(np.float32), size)
    y, x = grid(*scene.shape[:2])
    radius = np.hypot(y / scene.shape[0] - 0.5, x / scene.shape[1] - 0.5)
    fall = 1 - 0.22 * radius**2
    values = values * (fall[..., None] if scene.ndim == 3 else fall)
    values = values + rng.normal(0, noise, values.shape) * np.sqrt(np.clip(values, 0.05, 1)) * 1.4
    return np.rint(values.clip(0, 1) * 255).astype(np.uint8)
