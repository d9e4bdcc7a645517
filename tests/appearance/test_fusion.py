"""SFF against Eq. 9 written with loops, and what it must leave alone."""

from __future__ import annotations

import logging

import pytest
import torch

from defectsynth_pipeline.appearance.fusion import Similarity, fuse
from defectsynth_pipeline.errors import InputError


def group(batch: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    latents = torch.randn(batch, 5, 6, 7, generator=draw, dtype=torch.float64)
    return latents, torch.rand(batch, 6, 7, generator=draw) > 0.6


def naive(
    latents: torch.Tensor,
    masks: torch.Tensor,
    rate: float,
    base_weight: float,
    seeds: list[int],
    dot: bool,
) -> torch.Tensor:
    """Eq. 9 in turn for every image, one point and one reference at a time."""
    fused = latents.clone()
    count, _, _, width = latents.shape
    for i in range(count):
        inside = [divmod(int(p), width) for p in masks[i].flatten().nonzero()[:, 0]]
        order = torch.randperm(len(inside), generator=torch.Generator().manual_seed(seeds[i]))
        points = [inside[int(o)] for o in order[: max(1, round(rate * len(inside)))]]
        weights = [(1 - base_weight) / (count - 1)] * count
        weights[i] = base_weight
        assert sum(weights) == pytest.approx(1)
        before = fused[i].clone()
        for y, x in points:
            feature = before[:, y, x]
            value = weights[i] * feature
            for j in range(count):
                if j == i:
                    continue
                places = [divmod(int(p), width) for p in masks[j].flatten().nonzero()[:, 0]]
                scale = (lambda v: 1.0) if dot else (lambda v: float(v.norm()))
                best = max(
                    places,
                    key=lambda p: (
                        float(feature @ fused[j][:, p[0], p[1]]) / scale(fused[j][:, p[0], p[1]])
                    ),
                )
                value = value + weights[j] * fused[j][:, best[0], best[1]]
            fused[i][:, y, x] = value
    return fused


@pytest.mark.parametrize("similarity", ["dot", "cosine"])
@pytest.mark.parametrize(("batch", "rate"), [(2, 0.2), (4, 0.5), (3, 1.0)])
def test_agrees_with_eq9(batch: int, rate: float, similarity: Similarity) -> None:
    latents, masks = group(batch)
    seeds = [11, 7, 5, 3][:batch]
    fused = fuse(latents, masks, rate=rate, base_weight=0.7, seeds=seeds, similarity=similarity)
    expected = naive(latents, masks, rate, 0.7, seeds, similarity == "dot")
    torch.testing.assert_close(fused, expected, atol=1e-6, rtol=0)
    assert float((fused - latents).abs().max()) > 0.01


def test_nothing_outside_the_masks_changes_and_the_share_is_kept() -> None:
    latents, masks = group()
    fused = fuse(latents, masks, rate=0.25, base_weight=0.5, seeds=[0, 1, 2, 3])
    changed = (fused != latents).any(dim=1)
    assert not bool((changed & ~masks).any())
    for i in range(4):
        assert int(changed[i].sum()) == max(1, round(0.25 * int(masks[i].sum())))


def test_equal_features_stay_equal_because_weights_sum_to_one() -> None:
    latents = torch.ones(3, 4, 5, 5)
    latents[:, :, 0, 0] = torch.arange(3.0)[:, None]  # the images differ, outside their masks
    masks = torch.zeros(3, 5, 5, dtype=torch.bool)
    masks[:, 2:4, 2:4] = True
    fused = fuse(latents, masks, rate=1.0, base_weight=0.7, seeds=[0, 1, 2])
    torch.testing.assert_close(fused, latents)


def test_base_weight_one_changes_nothing() -> None:
    latents, masks = group()
    fused = fuse(latents, masks, rate=1.0, base_weight=1.0, seeds=[0] * 4)
    torch.testing.assert_close(fused, latents)


def test_later_images_see_fused_earlier_ones() -> None:
    latents, masks = group(2)
    fused = fuse(latents, masks, rate=1.0, base_weight=0.0, seeds=[0, 1])
    features = {tuple(v.tolist()) for v in latents[1].flatten(1).T}
    taken = fused[1][:, masks[1]].T
    assert all(tuple(v.tolist()) in features for v in taken)


def test_seeds_decide_and_the_input_is_kept() -> None:
    latents, masks = group()
    copy = latents.clone()
    settings = {"rate": 0.3, "base_weight": 0.7}
    one = fuse(latents, masks, seeds=[1, 2, 3, 4], **settings)
    assert torch.equal(one, fuse(latents, masks, seeds=[1, 2, 3, 4], **settings))
    assert not torch.equal(one, fuse(latents, masks, seeds=[5, 2, 3, 4], **settings))
    assert torch.equal(latents, copy)


def test_memory_layout_does_not_matter() -> None:
    latents, masks = group()
    settings = {"rate": 0.5, "base_weight": 0.7, "seeds": [1, 2, 3, 4]}
    strided = latents.contiguous(memory_format=torch.channels_last)
    assert torch.equal(fuse(strided, masks, **settings), fuse(latents, masks, **settings))


def lonely(case: str) -> dict[str, object]:
    latents, masks = group(3)
    if case == "batch of one":
        return {"latents": latents[:1], "masks": masks[:1], "seeds": [0]}
    if case == "copies":
        return {"latents": latents[:1].repeat(3, 1, 1, 1), "masks": masks, "seeds": [0, 1, 2]}
    masks[1:] = False
    return {"latents": latents, "masks": masks, "seeds": [0, 1, 2]}


@pytest.mark.parametrize("case", ["batch of one", "copies", "one mask"])
def test_without_another_image_nothing_happens_and_it_is_said(
    case: str, caplog: pytest.LogCaptureFixture
) -> None:
    arguments = lonely(case)
    with caplog.at_level(logging.DEBUG, logger=fuse.__module__):
        fused = fuse(**arguments, rate=0.5, base_weight=0.7)  # type: ignore[arg-type]
    assert torch.equal(fused, arguments["latents"])  # type: ignore[arg-type]
    assert "SFF changes nothing" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rate": 0.0}, "rate 0.0"),
        ({"base_weight": 1.5}, "base_weight 1.5"),
        ({"seeds": [1]}, "1 seeds for 4"),
        ({"masks": torch.ones(4, 6, 6, dtype=torch.bool)}, r"\(4, 6, 6\)"),
        ({"masks": torch.ones(4, 6, 7)}, "float32"),
    ],
)
def test_bad_input_names_value_and_remedy(change: dict[str, object], message: str) -> None:
    latents, masks = group()
    arguments = {"masks": masks, "rate": 0.2, "base_weight": 0.7, "seeds": [0] * 4} | change
    with pytest.raises(InputError, match=message + r"[\s\S]*remedy: \w+"):
        fuse(latents, **arguments)  # type: ignore[arg-type]


def test_cosine_prefers_the_like_where_the_product_prefers_the_large() -> None:
    latents, masks = torch.zeros(2, 2, 1, 2), torch.ones(2, 1, 2, dtype=torch.bool)
    latents[0] = torch.tensor([1.0, 0.0])[:, None, None]
    latents[1, :, 0, 0] = torch.tensor([1.0, 0.1])  # alike
    latents[1, :, 0, 1] = torch.tensor([9.0, 9.0])  # large
    settings = {"rate": 1.0, "base_weight": 0.5, "seeds": [0, 1]}
    cosine = fuse(latents, masks, **settings)
    dot = fuse(latents, masks, **settings, similarity="dot")
    assert cosine[0, 1, 0].tolist() == pytest.approx([0.05, 0.05])
    assert dot[0, 1, 0].tolist() == pytest.approx([4.5, 4.5])
