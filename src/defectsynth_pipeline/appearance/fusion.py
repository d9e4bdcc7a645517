"""Similarity-Based Feature Fusion of a group of finished latents (paper Sec. III-E, Eq. 9).

Each image in turn takes up features of the others, at sampled points of its own defect, from the
places in the others' defects that are most similar: by dot product in the paper, which prefers
whatever is large (a stain turns violet), or by cosine. Later images see the fused earlier ones, as
in the paper's loop. Points and matches stay inside the masks: the paper samples
the whole map, which spends nearly all points on background that is not kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

import torch

from defectsynth_pipeline.errors import InputError

logger = logging.getLogger(__name__)
Similarity = Literal["cosine", "dot"]


def fuse(
    latents: torch.Tensor,
    masks: torch.Tensor,
    *,
    rate: float,
    base_weight: float,
    seeds: Sequence[int],
    similarity: Similarity = "cosine",
) -> torch.Tensor:
    """Fuse a group of images of one defect type (Eq. 9).

    The base weighs `base_weight` and each of its n references (1 - base_weight) / n: the sum is 1.
    The result depends on the group's members, order and seeds only.

    Args:
        latents: (B, C, h, w) denoised latents z_0.
        masks: (B, h, w) bool, where each image's defect is; empty ones take no part.
        rate: Share of a mask's positions that is fused, in (0, 1]; at least one position.
        base_weight: Weight of the image's own features, in [0, 1].
        seeds: One per image; draws its points.
        similarity: By which the matches are chosen; the paper's is the dot product.

    Returns:
        (B, C, h, w) fused latents, a new tensor. Equal to the input, and logged, where no image
        has another one to learn from.

    Raises:
        InputError: Shapes, seeds, rate or weight do not fit.
    """
    _check_group(latents, masks, seeds)
    _check_settings(rate, base_weight)
    fused = latents.clone(memory_format=torch.contiguous_format)
    references = [_references(i, latents, masks) for i in range(len(latents))]
    if not any(references):
        logger.debug("SFF changes nothing: no second image among %d to learn from", len(latents))
        return fused
    for i, others in enumerate(references):
        if others:
            points = _sample(masks[i], rate, seeds[i])
            best = _matches(fused, masks, i, others, points, similarity)
            share = (1 - base_weight) / len(others)
            pool = fused[others].flatten(2)  # (R, C, h*w)
            matched = pool.gather(2, best[:, None, :].expand(-1, pool.shape[1], -1))  # (R, C, np)
            own = fused.flatten(2)[i]
            own[:, points] = base_weight * own[:, points] + share * matched.sum(dim=0)
    return fused


def _matches(
    fused: torch.Tensor,
    masks: torch.Tensor,
    base: int,
    others: list[int],
    points: torch.Tensor,
    similarity: Similarity,
) -> torch.Tensor:
    """The most similar position in each other defect of each of image `base`'s points, (R, np)."""
    features = fused.flatten(2)
    selected, pool = features[base][:, points], features[others]  # (C, np), (R, C, h*w)
    if similarity == "cosine":
        pool = torch.nn.functional.normalize(pool, dim=1)
    likeness = torch.einsum("cn,rcp->rnp", selected, pool)
    outside = ~masks[others].flatten(1)[:, None, :].to(likeness.device)
    return likeness.masked_fill(outside, -torch.inf).argmax(dim=-1)


def _sample(mask: torch.Tensor, rate: float, seed: int) -> torch.Tensor:
    """Draw np = rate * |mask| flat positions inside the mask, without repetition."""
    inside = mask.flatten().nonzero()[:, 0].cpu()
    count = max(1, round(rate * len(inside)))
    order = torch.randperm(len(inside), generator=torch.Generator().manual_seed(seed))
    return inside[order[:count]].to(mask.device)


def _references(base: int, latents: torch.Tensor, masks: torch.Tensor) -> list[int]:
    """The images that image `base` may learn from: not its own twin."""
    if not bool(masks[base].any()):
        return []
    return [
        j
        for j in range(len(latents))
        if j != base and bool(masks[j].any()) and not torch.equal(latents[j], latents[base])
    ]


def _check_group(latents: torch.Tensor, masks: torch.Tensor, seeds: Sequence[int]) -> None:
    if masks.shape != (latents.shape[0], *latents.shape[2:]) or masks.dtype != torch.bool:
        raise InputError(
            "SFF masks must be bool, one per latent and of its size",
            value=f"{tuple(masks.shape)} {masks.dtype} for {tuple(latents.shape)}",
            remedy="resize the masks to the latent grid and threshold them",
        )
    if len(latents) != len(seeds):
        raise InputError(
            "SFF needs one seed per image",
            value=f"{len(seeds)} seeds for {len(latents)} images",
            remedy="pass as many seeds as latents",
        )


def _check_settings(rate: float, base_weight: float) -> None:
    if not 0 < rate <= 1 or not 0 <= base_weight <= 1:
        raise InputError(
            "SFF rate must be in (0, 1] and base_weight in [0, 1]",
            value=f"rate {rate}, base_weight {base_weight}",
            remedy="the paper's code uses 0.2 and 0.7",
        )
