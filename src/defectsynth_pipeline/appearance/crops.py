"""The few real defects as training crops, their latents and text states computed once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from defectsynth_pipeline.appearance.framing import framing_sizes, roi_frame
from defectsynth_pipeline.base_model.loading import BaseModel, prompt_for
from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.imaging.pixels import crop, to_float
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.options import FinetuneOptions, FramingOptions, PromptOptions

log = logging.getLogger(__name__)
_AT_ONCE = 16


@dataclass(frozen=True)
class Crops:
    """Training crops of all categories.

    Attributes:
        latents: (N, C, h, w) float32.
        masks: (N, 1, H, W) uint8 coverage in [0, 255], the control image.
        text: (P, 77, D) float32, one row per prompt.
        table: A row per crop: sample_id, prompt (row of `text`), defect_type, held_out, normal.
    """

    latents: Tensor
    masks: Tensor
    text: Tensor
    table: pd.DataFrame

    def batch(self, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        """Return latents, masks (B, 1, H, W) in [0, 1] and text states of the given crops."""
        prompts = self.table["prompt"].to_numpy()[rows]
        return self.latents[rows], self.masks[rows].float() / 255, self.text[prompts]


def make_crops(
    samples: pd.DataFrame,
    base: BaseModel,
    options: FinetuneOptions,
    framing: FramingOptions,
    prompts: PromptOptions,
) -> Crops:
    """Cut, encode and describe `crops_per_sample` jittered crops of every base sample.

    Args:
        samples: Only rows of split base and normal are read.
        base: Encoder of images and prompts.
        options: Crops per sample, flips, held-out samples, seed.
        framing: Window around a defect.
        prompts: Wording.

    Raises:
        InputError: A category has no normal images.
    """
    defects = samples[samples["split"] == "base"]
    held = held_out_ids(defects, options)
    drawn = chain(
        _defect_crops(defects, base, options, framing),
        _normal_crops(samples, defects, base, options, framing),
    )
    shown, latents, masks = [], [], []
    while some := list(islice(drawn, _AT_ONCE)):  # pictures of a few only are held at a time
        shown += [sample for sample, _, _ in some]
        images = torch.from_numpy(np.stack([image for _, image, _ in some]))
        latents.append(base.encode(images * 2 - 1).float().cpu())
        masks.append(torch.from_numpy(np.stack([mask for _, _, mask in some]))[:, None])
    words = [prompt_for(prompts, sample.category, sample.defect_type) for sample in shown]
    unique = sorted(set(words))
    table = pd.DataFrame(
        {
            "sample_id": [sample.sample_id for sample in shown],
            "prompt": [unique.index(word) for word in words],
            "defect_type": [f"{s.category}/{s.defect_type}" for s in shown],
            "normal": [sample.defect_type == GOOD for sample in shown],
            "held_out": [sample.sample_id in held for sample in shown],
        }
    )
    log.info("%d training crops of %d real defects", len(table), len(defects))
    return Crops(torch.cat(latents), torch.cat(masks), base.embed(unique).float().cpu(), table)


def held_out_ids(defects: pd.DataFrame, options: FinetuneOptions) -> set[str]:
    """Return the base samples kept for validation: `held_out` per type that has two to spare."""
    ids: set[str] = set()
    for _, rows in defects.groupby(["category", "defect_type"], sort=True):
        spare = min(options.held_out, max(len(rows) - 2, 0))
        ids |= set(sorted(rows["sample_id"])[len(rows) - spare :])
    return ids


def _defect_crops(
    defects: pd.DataFrame, base: BaseModel, options: FinetuneOptions, framing: FramingOptions
) -> Iterator[tuple[Sample, np.ndarray, np.ndarray]]:
    for sample in each_sample(defects):
        image, mask = to_float(sample.image()), sample.mask()
        for number in range(options.crops_per_sample):
            rng = np.random.default_rng(counter_seed(options.seed, sample.sample_id, number))
            frame = _jittered(mask, framing, base, rng)
            yield sample, *_cut(image, mask, frame, framing, base, rng, options.flip)


def _normal_crops(
    samples: pd.DataFrame,
    defects: pd.DataFrame,
    base: BaseModel,
    options: FinetuneOptions,
    framing: FramingOptions,
) -> Iterator[tuple[Sample, np.ndarray, np.ndarray]]:
    """Yield as many defect-free crops per category as there are defects, at defects' places."""
    normals = samples[samples["split"] == "normal"]
    for category, rows in defects.groupby("category", sort=True):
        pool = normals[normals["category"] == category].sort_values("sample_id")
        if pool.empty:
            raise InputError(
                "no defect-free images to learn from",
                value=category,
                remedy="add images to the category's train/good folder",
            )
        count = len(rows) * options.crops_per_sample
        rng = np.random.default_rng(counter_seed(options.seed, category, "normals"))
        per_image = -(-count // min(len(pool), 40))
        likes = list(each_sample(rows))
        drawn = pool.iloc[rng.permutation(len(pool))[: -(-count // per_image)]]
        for sample in each_sample(drawn):
            image = to_float(sample.image())
            for _ in range(per_image):
                mask = _fitted(likes[rng.integers(len(likes))].mask(), image.shape[:2])
                frame = _jittered(mask, framing, base, rng)
                empty = np.zeros(image.shape[:2], bool)
                yield sample, *_cut(image, empty, frame, framing, base, rng, options.flip)


def _fitted(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return a mask brought to another image's size by nearest neighbour, never empty."""
    rows = np.arange(shape[0]) * mask.shape[0] // shape[0]
    columns = np.arange(shape[1]) * mask.shape[1] // shape[1]
    fitted: np.ndarray = mask[rows[:, None], columns[None, :]]
    if not fitted.any():
        fitted[shape[0] // 2, shape[1] // 2] = True
    return fitted


def _jittered(
    mask: np.ndarray, framing: FramingOptions, base: BaseModel, rng: np.random.Generator
) -> Rectangle:
    """Return the defect's frame, its size and place varied without losing the defect."""
    if framing.mode == "full":
        return Rectangle(0, 0, *mask.shape)
    _, minimum = framing_sizes(base, framing)
    context = max(1.0, framing.context * rng.uniform(0.8, 1.3))
    frame = roi_frame(mask, context, minimum)
    slack = 0.2 * frame.width
    if frame.width > min(mask.shape):
        return frame
    places = np.array([frame.left, frame.top]) + rng.uniform(-slack, slack, 2)
    limits = np.array([mask.shape[1] - frame.width, mask.shape[0] - frame.height])
    x0, y0 = (round(place) for place in np.clip(places, 0, limits))
    return Rectangle.at(x0, y0, frame.width, frame.height)


def _cut(
    image: np.ndarray,
    mask: np.ndarray,
    frame: Rectangle,
    framing: FramingOptions,
    base: BaseModel,
    rng: np.random.Generator,
    flip: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """Return one crop (3, H, W) in [0, 1] and its mask (H, W) as coverage in [0, 255]."""
    resolution, _ = framing_sizes(base, framing)
    pixels, cover = crop(image, frame, resolution), crop(mask, frame, resolution)
    if flip and rng.random() < 0.5:
        pixels, cover = pixels[:, ::-1], cover[:, ::-1]
    if flip and rng.random() < 0.5:
        pixels, cover = pixels[::-1], cover[::-1]
    planes = np.ascontiguousarray(np.moveaxis(pixels, -1, 0), dtype=np.float32)
    return planes, np.rint(cover * 255).astype(np.uint8)
