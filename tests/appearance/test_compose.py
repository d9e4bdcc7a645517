"""Composition: what must not change, what must, in every kind of image; contrast of defects."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from categories import blob, round_spot
from defectsynth_pipeline.appearance.compose import compose, contrast
from defectsynth_pipeline.appearance.framing import roi_frame
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.pixels import crop, resize
from defectsynth_pipeline.imaging.rectangle import Rectangle

RES = 32
KINDS = [
    pytest.param(dtype, channels, id=f"{np.dtype(dtype)}-{'rgb' if channels else 'grey'}")
    for dtype in (np.uint8, np.uint16)
    for channels in ((), (3,))
]


def surface(dtype: type, channels: tuple[int, ...], shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(4)
    top = np.iinfo(dtype).max
    values = 0.5 + 0.05 * rng.normal(size=(*shape, *channels))
    return (values.clip(0, 1) * top).astype(dtype)


def even(
    level: int, side: int = 64, radius: float = 10, dtype: type = np.uint8
) -> tuple[np.ndarray, np.ndarray, Rectangle]:
    """An even surface, a disc in its middle as mask, and the whole as frame."""
    mask = round_spot((side, side), side / 2, side / 2, radius)
    return np.full((side, side), level, dtype), mask, Rectangle.at(0, 0, side, side)


def lowered(plain: np.ndarray, mask: np.ndarray, by: float) -> np.ndarray:
    """What the model makes of a crop that is darker in its mask."""
    return plain - by * resize(mask, (RES, RES))[..., None]


def decoded(image: np.ndarray, frame: Rectangle) -> np.ndarray:
    """A crop as a blurry autoencoder would give it back: (RES, RES, 3) in [0, 1]."""
    small = crop(image, frame, RES) / np.iinfo(image.dtype).max
    small = small if small.ndim == 3 else np.repeat(small[..., None], 3, axis=2)
    return ndimage.gaussian_filter(small, (1, 1, 0)).astype(np.float32)


def test_the_change_reaches_into_the_collar() -> None:
    ground, mask, frame = even(180)
    plain = np.full((RES, RES, 3), 180 / 255)
    image = compose(ground, mask, frame, lowered(plain, mask, 0.4), plain, collar=2.0)
    beside = ndimage.binary_dilation(mask) & ~mask  # of a weight below a half
    assert (image[beside] < ground[beside]).mean() > 0.5


@pytest.mark.parametrize(("dtype", "channels"), KINDS)
@pytest.mark.parametrize("mode", ["delta", "feather"])
@pytest.mark.parametrize("framing", ["roi", "full", "beyond"])
def test_outside_the_collar_no_pixel_differs(
    dtype: type, channels: tuple[int, ...], mode: str, framing: str
) -> None:
    background = surface(dtype, channels, (70, 110))
    mask = round_spot((70, 110), 8, 60, 7)
    frame = {
        "roi": roi_frame(mask, 2.0, 48),
        "full": Rectangle(0, 0, *background.shape[:2]),
        "beyond": Rectangle.at(20, -10, 96, 96),
    }[framing]
    generated = np.random.default_rng(1).random((RES, RES, 3)).astype(np.float32)
    image = compose(background, mask, frame, generated, decoded(background, frame), mode=mode)
    assert image.dtype == background.dtype
    assert image.shape == background.shape
    differs = (image != background).reshape(70, 110, -1).any(-1)
    assert not (differs & (ndimage.distance_transform_edt(~mask) > 2)).any()
    assert differs[mask].mean() > 0.9


@pytest.mark.parametrize(("dtype", "channels"), KINDS)
def test_no_change_by_the_model_gives_the_background_exactly(
    dtype: type, channels: tuple[int, ...]
) -> None:
    background = surface(dtype, channels, (64, 80))
    mask, frame = round_spot((64, 80), 30, 40, 9), Rectangle.at(8, 0, 64, 64)
    same = decoded(background, frame)
    assert (compose(background, mask, frame, same, same) == background).all()


def test_delta_keeps_the_grain_that_feather_blurs() -> None:
    background = surface(np.uint8, (), (64, 64))
    mask, frame = round_spot((64, 64), 32, 32, 14), Rectangle.at(0, 0, 64, 64)
    plain = decoded(background, frame)
    changed = lowered(plain, mask, 0.2)
    inner = round_spot((64, 64), 32, 32, 9)
    grain = {
        mode: compose(background, mask, frame, changed, plain, mode=mode)[inner].std()
        for mode in ("delta", "feather")
    }
    assert grain["delta"] > 0.9 * background[inner].std()
    assert grain["feather"] < 0.5 * background[inner].std()


@pytest.mark.parametrize("mode", ["delta", "feather"])
def test_drift_on_the_ring_is_taken_off(mode: str) -> None:
    background, mask, frame = even(128, radius=8)
    plain = decoded(background, frame)
    image = compose(background, mask, frame, plain + 0.1, plain, mode=mode, relative=False)
    assert np.abs(image.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("width", [1, 2, 3])
def test_thin_strokes_keep_the_contrast_the_model_meant(width: int) -> None:
    background, mask, frame = even(150, 128, radius=0)
    mask[10:118, 61 : 61 + width] = True
    plain = decoded(background, frame)
    diluted = lowered(plain, mask, 0.2)
    image = compose(background, mask, frame, diluted, plain)
    found = 150 - np.median(image[20:108, 61 : 61 + width])
    share = 1.0 if width > 1 else 0.25 + 0.75 * 0.75  # a quarter's coverage, gain limited to 3
    assert found == pytest.approx(0.2 * 255 * share, rel=0.06)


def test_wide_defects_are_not_amplified() -> None:
    background, mask, frame = even(150, 128, radius=30)
    plain = decoded(background, frame)
    changed = lowered(plain, mask, 0.2)
    image = compose(background, mask, frame, changed, plain)
    assert 150 - int(image[mask].min()) <= 0.2 * 255 * 1.15
    assert 150 - np.median(image[mask]) == pytest.approx(0.2 * 255, rel=0.05)


def test_changes_are_scaled_by_local_brightness() -> None:
    background, mask, frame = even(60)
    brighter = np.full((RES, RES, 3), 120 / 255, dtype=np.float32)
    changed = lowered(brighter, mask, 0.2)
    relative = compose(background, mask, frame, changed, brighter)[32, 32]
    absolute = compose(background, mask, frame, changed, brighter, relative=False)[32, 32]
    assert 60 - int(relative) == pytest.approx(0.1 * 255, abs=1)
    assert 60 - int(absolute) == pytest.approx(0.2 * 255, abs=1)


@pytest.mark.parametrize(("level", "shown", "ratio"), [(200, 20, 2.0), (20, 200, 0.5)])
def test_local_brightness_scales_by_two_at_most(level: int, shown: int, ratio: float) -> None:
    background, mask, frame = even(level)
    plain = np.full((RES, RES, 3), shown / 255, dtype=np.float32)
    changed = lowered(plain, mask, 0.05)
    image = compose(background, mask, frame, changed, plain)
    assert level - int(image[32, 32]) == pytest.approx(ratio * 0.05 * 255, abs=1)


def test_white_sets_the_native_scale() -> None:
    background, mask, frame = even(2000, dtype=np.uint16)
    plain = np.full((RES, RES, 3), 0.5, dtype=np.float32)
    changed = lowered(plain, mask, 0.25)
    image = compose(background, mask, frame, changed, plain, white=4000)
    assert int(image[32, 32]) == pytest.approx(1000, abs=2)


def test_without_undiluting_a_stroke_keeps_what_the_model_shows() -> None:
    background, mask, frame = even(150, 128, radius=0)
    mask[10:118, 61:63] = True
    plain = decoded(background, frame)
    diluted = lowered(plain, mask, 0.2)
    image = compose(background, mask, frame, diluted, plain, undilute=False)
    assert 150 - np.median(image[20:108, 61:63]) < 0.7 * 0.2 * 255


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "glue"}, r"glue[\s\S]*use one of"),
        ({"mask": np.ones((9, 8), dtype=bool)}, r"\(9, 8\)[\s\S]*resize the mask"),
    ],
)
def test_bad_input_is_refused(change: dict[str, object], message: str) -> None:
    plain = np.zeros((RES, RES, 3), dtype=np.float32)
    arguments = {
        "background": np.zeros((9, 9), dtype=np.uint8),
        "mask": np.ones((9, 9), dtype=bool),
        "frame": Rectangle.at(0, 0, 9, 9),
        "generated": plain,
        "decoded_background": plain,
    }
    with pytest.raises(InputError, match=message):
        compose(**(arguments | change))  # type: ignore[arg-type]


def scene(depth: float) -> tuple[np.ndarray, np.ndarray]:
    """A slanted surface with a spot darker by `depth`."""
    mask = blob(3)
    slope = np.linspace(0.4, 0.7, mask.shape[1])[None, :, None].repeat(3, 2)
    image = np.broadcast_to(slope, (*mask.shape, 3)).copy()
    image[mask] -= depth
    return image, mask


@pytest.mark.parametrize("depth", [0.0, 0.05, 0.3, -0.2])
def test_contrast_is_the_depth_of_a_spot_dark_or_bright(depth: float) -> None:
    assert contrast(*scene(depth)) == pytest.approx(abs(depth), abs=0.02)


def test_the_channel_with_most_contrast_counts() -> None:
    image, mask = scene(0.0)
    image[..., 1][mask] += 0.2
    assert contrast(image, mask) == pytest.approx(0.2, abs=0.02)


def test_a_mask_without_surroundings_has_no_contrast() -> None:
    assert contrast(np.random.default_rng(0).random((20, 20, 3)), np.ones((20, 20), bool)) == 0


def test_masks_at_the_border() -> None:
    image, mask = np.full((30, 30, 3), 0.5), np.zeros((30, 30), bool)
    mask[:3, :4] = True
    image[mask] = 0.1
    assert contrast(image, mask) == pytest.approx(0.4, abs=0.02)
