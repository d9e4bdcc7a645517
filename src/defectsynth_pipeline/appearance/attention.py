"""Selective Attention Enhancement: cross-attention re-weighted by defect difference.

Paper Sec. III-D, Eq. 7-8 and Algorithm 1. Eq. 8 multiplies whole rows of the attention matrix by
one number per query, and (w * A) V = w * (A V): the input of the layer's output projection,
multiplied by w. So the fused kernel stays, and a weight of 1 is plain attention.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn

from defectsynth_pipeline.errors import InputError


def sae_weights(
    z_ref: torch.Tensor,
    z_t: torch.Tensor,
    mask: torch.Tensor,
    mode: Literal["eq7", "minmax"] = "eq7",
    cap: float | None = None,
) -> torch.Tensor:
    """The weight map of Eq. 7, sample by sample.

    With d = mean over channels of (M * (z'_r - z_t))^2:

    * "eq7", the paper's own: |M|_1 * softmax(d) + 1 over all positions. Positions outside the mask
      have d = 0 and therefore, literally read, keep exp(0) of the softmax's mass: their weight is
      a little above 1, the same for all, and never above one inside. The peak can reach |M|_1 + 1;
      `cap` limits it.
    * "minmax": 1 + d / max(d), so in [1, 2] in the mask and exactly 1 outside. It is the min-max
      scaling of d, whose minimum is the 0 outside the mask; a mask of one cell gets 2.

    Args:
        z_ref: (B, C, h, w) reference latents, aligned (Eq. 6).
        z_t: (B, C, h, w) current latents, noisy as in Algorithm 1.
        mask: (B, h, w) or (B, 1, h, w) bool or in [0, 1], M_g at latent resolution.
        mode: "eq7" or "minmax".
        cap: Upper limit of the weights, at least 1.

    Returns:
        (B, h*w) weights >= 1, float32 (float64 for float64 latents). An empty mask gives ones.
    """
    dtype = torch.float64 if z_t.dtype == torch.float64 else torch.float32
    weight = mask.reshape(mask.shape[0], 1, *mask.shape[-2:]).to(dtype)
    difference = (weight * (z_ref.to(dtype) - z_t.to(dtype))).square().mean(dim=1).flatten(1)
    if mode == "eq7":
        area = weight.flatten(1).sum(dim=1, keepdim=True)
        weights = area * difference.softmax(dim=1) + 1
    elif mode == "minmax":
        peak = difference.amax(dim=1, keepdim=True)
        weights = difference / peak.clamp_min(torch.finfo(dtype).tiny) + 1
    else:
        raise InputError("unknown SAE weights", value=mode, remedy="use eq7 or minmax")
    return weights if cap is None else weights.clamp_max(cap)


class SaeState:
    """The weights of the current denoising step, shared by every SAE layer of one image batch.

    Set it before every step (Algorithm 1, step 2).
    """

    def __init__(self) -> None:
        self._weights: torch.Tensor | None = None
        self._cache: dict[tuple[int, int, torch.dtype, torch.device], torch.Tensor] = {}

    def update(self, weights: torch.Tensor, size: tuple[int, int]) -> None:
        """Take over (B, h*w) weights on a latent grid of `size` (h, w)."""
        self._weights = weights.reshape(weights.shape[0], 1, *size)
        self._cache.clear()

    def clear(self) -> None:
        """Back to plain attention."""
        self._weights = None
        self._cache.clear()

    def rows(self, hidden: torch.Tensor) -> torch.Tensor | None:
        """The weight of each query row of a layer, (batch, tokens, 1); None without weights.

        Args:
            hidden: (batch, tokens, channels) of the layer. Its tokens are the latent grid halved
                some number of times; its batch is this state's or a whole multiple of it
                (classifier-free guidance stacks the batch, so both halves get the same weights).
        """
        if self._weights is None:
            return None
        key = (hidden.shape[0], hidden.shape[1], hidden.dtype, hidden.device)
        if key not in self._cache:
            self._cache[key] = self._resize(*key)
        return self._cache[key]

    def _resize(
        self, batch: int, tokens: int, dtype: torch.dtype, device: torch.device
    ) -> torch.Tensor:
        weights = self._weights
        assert weights is not None
        repeats, rest = divmod(batch, weights.shape[0])
        if rest:
            raise InputError(
                "SAE weights do not fit the batch",
                value=f"{weights.shape[0]} weight maps for {batch} latents",
                remedy="update the state with one weight map per image of the batch",
            )
        size = _layer_size(weights.shape[-2:], tokens)
        rows = F.interpolate(weights, size=size, mode="area").reshape(-1, tokens, 1)
        return rows.repeat(repeats, 1, 1).to(device=device, dtype=dtype)


def _layer_size(latent: torch.Size, tokens: int) -> tuple[int, int]:
    """The (h, w) of a layer with that many tokens: the latent grid, halved upwards."""
    height, width = latent
    while height * width > tokens:
        height, width = (height + 1) // 2, (width + 1) // 2
    if height * width != tokens:
        raise InputError(
            "SAE weights do not fit the layer",
            value=f"latent {tuple(latent)} for {tokens} tokens",
            remedy="update the state with weights on the grid of the latents being denoised",
        )
    return height, width


@contextmanager
def install_sae(model: nn.Module, state: SaeState) -> Iterator[SaeState]:
    """Give a model's cross-attention layers (attn2) SAE for the length of a `with` block.

    Hooks on the output projections multiply the rows of their input by the state's weights;
    self-attention is left alone. The hooks go at the end, also after an error. Nest the call to
    cover a UNet and its ControlNet with one state.
    """

    def reweigh(_: nn.Module, attended: tuple[torch.Tensor]) -> torch.Tensor:
        weights = state.rows(attended[0])
        return attended[0] if weights is None else weights * attended[0]

    layers: list[Any] = [layer for name, layer in model.named_modules() if name.endswith("attn2")]
    hooks = [layer.to_out[0].register_forward_pre_hook(reweigh) for layer in layers]
    try:
        yield state
    finally:
        for hook in hooks:
            hook.remove()
        state.clear()
