"""SAE against references written straight from Eq. 7-8, and inside real diffusers networks."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from defectsynth_pipeline.appearance.attention import SaeState, install_sae, sae_weights
from defectsynth_pipeline.errors import InputError


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=12,
        attention_head_dim=2,
        norm_num_groups=4,
    ).eval()


def inputs(batch: int, size: tuple[int, int] = (8, 8)) -> dict[str, torch.Tensor | int]:
    draw = torch.Generator().manual_seed(5)
    return {
        "sample": torch.randn(batch, 4, *size, generator=draw),
        "timestep": 7,
        "encoder_hidden_states": torch.randn(batch, 5, 12, generator=draw),
    }


def latents(batch: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    z_ref, z_t = torch.randn(2, batch, 4, 6, 5, generator=draw, dtype=torch.float64)
    return z_ref, z_t, torch.rand(batch, 6, 5, generator=draw) > 0.6


def naive_eq7(z_ref: torch.Tensor, z_t: torch.Tensor, mask: torch.Tensor) -> list[float]:
    """Eq. 7 for one sample with loops: |M| * softmax(mean_c (M (z'r - zt))^2) + 1."""
    channels, height, width = z_t.shape
    scores = []
    for i in range(height):
        for j in range(width):
            terms = [
                (float(mask[i, j]) * (float(z_ref[c, i, j]) - float(z_t[c, i, j]))) ** 2
                for c in range(channels)
            ]
            scores.append(sum(terms) / channels)
    total = sum(math.exp(s) for s in scores)
    area = sum(float(v) for v in mask.flatten())
    return [area * math.exp(s) / total + 1 for s in scores]


def test_eq7_agrees_with_the_formula() -> None:
    z_ref, z_t, mask = latents()
    weights = sae_weights(z_ref, z_t, mask)
    for b in range(3):
        expected = torch.tensor(naive_eq7(z_ref[b], z_t[b], mask[b]), dtype=torch.float64)
        torch.testing.assert_close(weights[b], expected, atol=1e-6, rtol=0)


def test_eq7_keeps_the_softmax_mass_outside_the_mask() -> None:
    z_ref, z_t, mask = latents()
    weights, flat = sae_weights(z_ref, z_t, mask), mask.flatten(1)
    for b in range(3):
        outside = weights[b][~flat[b]]
        assert float(outside.max() - outside.min()) == 0
        assert float(outside[0]) > 1
        assert float(weights[b][flat[b]].min()) >= float(outside[0])
        assert float(weights[b].sum()) == pytest.approx(30 + int(flat[b].sum()))


@pytest.mark.parametrize("mode", ["eq7", "minmax"])
def test_a_sample_does_not_depend_on_its_batch(mode: str) -> None:
    z_ref, z_t, mask = latents()
    together = sae_weights(z_ref, z_t, mask, mode)
    alone = torch.cat(
        [sae_weights(z_ref[b : b + 1], z_t[b : b + 1], mask[b : b + 1], mode) for b in range(3)]
    )
    torch.testing.assert_close(together, alone, atol=1e-12, rtol=0)


def test_minmax_lies_in_one_to_two_inside_and_is_one_outside() -> None:
    z_ref, z_t, mask = latents()
    weights, flat = sae_weights(z_ref, z_t, mask[:, None], "minmax"), mask.flatten(1)
    assert bool((weights[~flat] == 1).all())
    assert bool(((weights >= 1) & (weights <= 2)).all())
    torch.testing.assert_close(weights.amax(dim=1), torch.full((3,), 2.0, dtype=torch.float64))


@pytest.mark.parametrize("mode", ["eq7", "minmax"])
def test_empty_masks_and_equal_latents_give_finite_weights(mode: str) -> None:
    z = torch.zeros(2, 4, 3, 3)
    empty = torch.zeros(2, 3, 3, dtype=torch.bool)
    assert bool((sae_weights(z + 1, z, empty, mode) == 1).all())
    assert bool(sae_weights(z, z, ~empty, mode).isfinite().all())


def test_cap_limits_the_peak() -> None:
    z_ref, z_t, mask = latents()
    assert float(sae_weights(z_ref * 9, z_t, mask).max()) > 3
    assert float(sae_weights(z_ref * 9, z_t, mask, cap=3).max()) == 3


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(InputError, match=r"softest[\s\S]*eq7 or minmax"):
        sae_weights(*latents(), mode="softest")  # type: ignore[arg-type]


def cross_attention(
    dtype: torch.dtype,
) -> tuple[Attention, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """A layer, hidden states, context, weights, and the layer's result with SAE."""
    torch.manual_seed(2)
    attn = Attention(query_dim=12, cross_attention_dim=10, heads=3, dim_head=4).to(dtype)
    hidden, context = torch.randn(2, 6, 12, dtype=dtype), torch.randn(2, 5, 10, dtype=dtype)
    weights = 1 + 3 * torch.rand(2, 6, dtype=dtype)
    with torch.no_grad(), install_sae(nn.ModuleDict({"attn2": attn}), SaeState()) as state:
        state.update(weights, (2, 3))
        return attn, hidden, context, weights, attn(hidden, context)


@torch.no_grad()
def test_a_layer_agrees_with_eq8_on_explicit_attention() -> None:
    attn, hidden, context, weights, result = cross_attention(torch.float64)
    query, key, value = attn.to_q(hidden), attn.to_k(context), attn.to_v(context)
    rows = torch.zeros(2, 6, 12, dtype=torch.float64)
    for b in range(2):
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            for i in range(6):
                scores = [float(query[b, i, part] @ key[b, k, part]) / 2.0 for k in range(5)]
                total = sum(math.exp(s) for s in scores)
                for k, score in enumerate(scores):
                    row_weight = float(weights[b, i]) * math.exp(score) / total
                    rows[b, i, part] += row_weight * value[b, k, part]
    torch.testing.assert_close(result, attn.to_out[0](rows), atol=1e-6, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_layer_is_the_weighted_fused_attention_bit_by_bit(dtype: torch.dtype) -> None:
    attn, hidden, context, weights, result = cross_attention(dtype)
    query, key, value = (
        values.unflatten(-1, (3, 4)).transpose(1, 2)
        for values in (attn.to_q(hidden), attn.to_k(context), attn.to_v(context))
    )
    attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    assert torch.equal(result, attn.to_out[0](weights[..., None] * attended))


@torch.no_grad()
def test_weight_one_equals_plain_attention_in_a_unet(unet: UNet2DConditionModel) -> None:
    plain = unet(**inputs(2)).sample
    with install_sae(unet, SaeState()) as state:
        assert torch.equal(unet(**inputs(2)).sample, plain)
        state.update(torch.ones(2, 64), (8, 8))
        torch.testing.assert_close(unet(**inputs(2)).sample, plain, atol=1e-6, rtol=1e-6)
        state.update(torch.full((2, 64), 2.0), (8, 8))
        assert float((unet(**inputs(2)).sample - plain).abs().max()) > 1e-4


def test_only_cross_attention_changes_and_everything_comes_back(
    unet: UNet2DConditionModel,
) -> None:
    controlnet = ControlNetModel.from_unet(unet, conditioning_embedding_out_channels=(8, 8))
    for model in (unet, controlnet):
        state = SaeState()
        with pytest.raises(RuntimeError, match="stop"):
            interrupted(model, state)
        assert state.rows(torch.zeros(1, 64, 8)) is None
        assert not hooked(model)


def interrupted(model: UNet2DConditionModel | ControlNetModel, state: SaeState) -> None:
    with install_sae(model, state):
        state.update(torch.ones(1, 64), (8, 8))
        layers = {name.removesuffix(".processor") for name in model.attn_processors}
        assert hooked(model) == {f"{name}.to_out.0" for name in layers if ".attn2" in name}
        raise RuntimeError("stop")


def hooked(model: nn.Module) -> set[str]:
    return {name for name, module in model.named_modules() if module._forward_pre_hooks}


@torch.no_grad()
@pytest.mark.parametrize("size", [(8, 12), (6, 10), (7, 9)])
def test_non_square_latents_and_guidance(unet: UNet2DConditionModel, size: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(3)
    weights = 1 + torch.rand(2, size[0] * size[1], generator=draw)
    with install_sae(unet, SaeState()) as state:
        state.update(weights, size)
        doubled = {
            key: torch.cat([value] * 2) if isinstance(value, torch.Tensor) else value
            for key, value in inputs(2, size).items()
        }
        single, both = unet(**inputs(2, size)).sample, unet(**doubled).sample
    torch.testing.assert_close(both, torch.cat([single] * 2), atol=1e-5, rtol=1e-5)


def test_coarser_layers_get_the_area_mean() -> None:
    state = SaeState()
    weights = 1 + torch.arange(24.0).reshape(1, 24)
    state.update(weights, (4, 6))
    rows = state.rows(torch.zeros(1, 6, 3, dtype=torch.float16))
    assert rows is not None
    assert rows.dtype == torch.float16
    expected = weights.reshape(2, 2, 3, 2).mean((1, 3)).reshape(1, 6, 1)
    torch.testing.assert_close(rows.float(), expected)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((3, 64, 8), "2 weight maps for 3 latents"), ((2, 60, 8), "for 60 tokens")],
)
def test_weights_that_do_not_fit_are_refused(shape: tuple[int, ...], message: str) -> None:
    state = SaeState()
    state.update(torch.ones(2, 64), (8, 8))
    with pytest.raises(InputError, match=message + r"[\s\S]*remedy: update the state"):
        state.rows(torch.zeros(shape))
