"""A corpus with planted faults: each is found, and little else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy import ndimage

from categories import disc, write_category
from defectsynth_pipeline.cli.second_look import Doubt, doubts, draw_doubts, follow
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.options import IngestOptions

SHAPE = (96, 96)
STEMS = [f"{index:03d}" for index in range(10)]


def grain(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(*SHAPE, 3))
    return np.clip(150 + 60 * ndimage.gaussian_filter(noise, (2, 2, 0)), 0, 255).astype(np.uint8)


def spot(seed: int) -> np.ndarray:
    return disc(seed, SHAPE, radius=9, margin=20)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Ten defects, one with its mask elsewhere; twelve good parts, one with a spot."""
    folder = tmp_path_factory.mktemp("corpus") / "part"
    good = [*STEMS, "010", "011"]
    root = write_category(folder, grain, {"spot": spot}, good=good, defective=STEMS)
    spoilt = grain(500)
    spoilt[spot(500)] //= 4
    Image.fromarray(spoilt).save(folder / "train" / "good" / "005.png")
    mask = folder / "ground_truth" / "spot" / "003_mask.png"
    away = np.roll(np.asarray(Image.open(mask)), 48, axis=(0, 1))
    Image.fromarray(away).save(mask)
    return make_samples(root, IngestOptions())


@pytest.fixture(scope="module")
def found(samples: pd.DataFrame) -> list[Doubt]:
    return [*doubts(samples)]


def said(found: list[Doubt], kind: str) -> Iterator[str]:
    return (doubt.said for doubt in found if doubt.kind == kind)


def test_a_good_image_with_a_defect_comes_first(found: list[Doubt]) -> None:
    assert "good/train-005 counts as good" in next(said(found, "unlike"))


def test_a_mask_beside_its_defect_is_named_and_no_other(found: list[Doubt]) -> None:
    (only,) = said(found, "astray")
    assert "spot/003: the mask follows" in only


def test_types_with_few_images_are_named(found: list[Doubt]) -> None:
    few = [*said(found, "few")]
    assert len(few) == 2
    assert "3 base images" in few[0]


def test_what_is_meant_is_drawn(found: list[Doubt], tmp_path: Path) -> None:
    draw_doubts(found).savefig(tmp_path / "doctor.png")
    assert Image.open(tmp_path / "doctor.png").width > 300
    assert draw_doubts([]).texts


def test_a_mask_follows_what_it_covers() -> None:
    unlike = np.zeros((12, 12))
    unlike[2:4, 3:6] = 1
    mask = np.kron(unlike, np.ones((8, 8))) > 0
    assert follow(unlike, mask) == 1
    assert follow(unlike, mask[::-1]) < 0.6
