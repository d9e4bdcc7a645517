"""The benchmark of sampling: steps, the autoencoder, fusion, whole images, the published way."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from measuring import Call, Material, Row, in_turns, medians, timed
from published import ExplicitAttention, published_image, use_explicit_attention
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from defectsynth_pipeline.appearance.attention import SaeState, install_sae, sae_weights
from defectsynth_pipeline.appearance.batching import batched
from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.appearance.fusion import fuse
from defectsynth_pipeline.appearance.render import region_maker, render_plan
from defectsynth_pipeline.base_model.denoising import build_controlnet, denoise
from defectsynth_pipeline.options import FramingOptions, SynthesisOptions

IMAGES = 16  # that are rendered at a time


def accepted(made: Made) -> Judged:
    """A judge that costs nothing: the published procedure has none."""
    return Judged(True, made.mask, {})


@torch.no_grad()
def steps(base: Any, name: str, repeats: int, batch: int, tops: dict[str, float]) -> Iterator[Row]:
    """One denoising step, ControlNet and UNet: plain, with SAE, and with the matrix made."""
    device, latent = base.device.type, int(base.unet.config.sample_size)
    shape = (batch, base.unet.config.in_channels, latent, latent)
    z_t, z_ref = (torch.randn(shape).to(base.device, base.dtype) for _ in range(2))
    width = base.unet.config.cross_attention_dim
    text = torch.randn(batch, 77, width).to(base.device, base.dtype)
    side = latent * base.latent_factor
    control = torch.zeros(batch, 3, side, side, device=base.device, dtype=base.dtype)
    cells = torch.zeros(batch, latent, latent, dtype=torch.bool, device=base.device)
    cells[:, latent // 4 : latent // 2, latent // 4 : -latent // 4] = True
    fused, written = SaeState(), SaeState()

    def step() -> None:
        denoise(base.unet, base.controlnet, z_t, torch.tensor(10), text, control)

    def plain() -> None:
        fused.clear()
        step()

    def sae() -> None:
        fused.update(sae_weights(z_ref, z_t, cells), (latent, latent))
        step()

    def explicit() -> None:
        fused.clear()
        kept = [(network, network.attn_processors) for network in (base.unet, base.controlnet)]
        for network, _ in kept:
            network.set_attn_processor(ExplicitAttention(written))
        written.update(sae_weights(z_ref, z_t, cells), (latent, latent))
        step()
        for network, processors in kept:
            network.set_attn_processor(dict(processors))

    with install_sae(base.unet, fused), install_sae(base.controlnet, fused):
        times = in_turns({"plain": plain, "sae": sae, "explicit": explicit}, repeats, device)
    paired = [b / a for a, b in zip(times["plain"], times["sae"], strict=True)]
    tops[f"sae_ratio {name}"] = statistics.median(paired)
    paired = [b / a for a, b in zip(times["plain"], times["explicit"], strict=True)]
    tops[f"explicit_sae_ratio {name}"] = statistics.median(paired)
    tops[f"step_seconds {name}"] = statistics.median(times["sae"])
    found = {key: batch / statistics.median(values) for key, values in times.items()}
    of = f"{name}, batch of {batch}"
    yield Row("denoising step", f"{of}, without SAE", found["plain"], "image steps")
    yield Row("denoising step", f"{of}, with SAE", found["sae"], "image steps",
              "SAE on the whole matrix", found["explicit"])  # fmt: skip
    with FlopCounterMode(display=False) as counter:
        step()
    done = counter.get_total_flops() * found["plain"] / batch / 1e9
    yield Row("denoising step", f"{of}, GFLOP", done, "GFLOP",
              "a product of matrices: the roofline", matrix_gflops(base))  # fmt: skip


def matrix_gflops(base: Any) -> float:
    """GFLOP a second of one large product of matrices: what the machine can at most."""
    side = 4096 if base.device.type == "cuda" else 1024
    one = torch.randn(side, side).to(base.device, base.dtype)
    seconds = medians({"": lambda: one @ one}, 5, base.device.type)[""]
    return 2 * side**3 / seconds / 1e9


def around_steps(base: Any, repeats: int) -> Iterator[Row]:
    """The autoencoder in batches and one by one; fusion of a group."""
    device, batch = base.device.type, 16
    images = torch.rand(batch, 3, base.resolution, base.resolution) * 2 - 1
    latents = base.encode(images)
    calls: dict[str, Call] = {
        "encode": lambda: base.encode(images),
        "encode one by one": lambda: [base.encode(images[i : i + 1]) for i in range(batch)],
        "decode": lambda: base.decode(latents),
        "decode one by one": lambda: [base.decode(latents[i : i + 1]) for i in range(batch)],
    }
    found = medians(calls, repeats, device)
    for name in ("encode", "decode"):
        yield Row("autoencoder", f"{name}, batch of {batch}", batch / found[name], "images",
                  "one by one", batch / found[f"{name} one by one"])  # fmt: skip
    masks = torch.zeros(4, *latents.shape[-2:], dtype=torch.bool, device=latents.device)
    masks[:, 4:9, 3:12] = True
    how: dict[str, Any] = {"rate": 0.2, "base_weight": 0.7, "seeds": [1, 2, 3, 4]}
    found = medians(
        {
            "ours": lambda: fuse(latents[:4], masks, **how),
            "naive": lambda: fuse_point_by_point(latents[:4], masks),
        },
        repeats,
        device,
    )
    yield Row("fusion", "a group of 4", 1 / found["ours"], "groups",
              "point by point", 1 / found["naive"])  # fmt: skip


def fuse_point_by_point(latents: Tensor, masks: Tensor) -> None:
    """Eq. 9 over a fifth of the whole map, a point at a time."""
    flat = latents.clone().flatten(2)
    for i in range(len(flat)):
        for point in torch.randperm(flat.shape[2])[: flat.shape[2] // 5].tolist():
            own = flat[i][:, point]
            best = [flat[j][:, (own @ flat[j]).argmax()] for j in range(len(flat)) if j != i]
            flat[i][:, point] = 0.7 * own + 0.3 * torch.stack(best).mean(0)


def images(material: Material, base: Any, repeats: int) -> Iterator[Row]:
    """Whole images by the size of batches, as `synthesis` makes them, unjudged."""
    options = SynthesisOptions(engine="diffusion")
    rates = {}
    for batch in (1, 2, 4, 8, 16):
        group = min(4, batch)
        chosen = options.model_copy(update={"batch_size": batch})
        groups = [f"{i // group:05d}" for i in range(len(material.plan))]
        plan = batched(material.plan.assign(group=groups), batch)
        rates[batch] = _rate(material._replace(plan=plan), base, chosen, repeats)
        yield Row("images", f"{options.steps} steps x {options.strength:g}, batch of {batch}",
                  rates[batch], "images", "batch of 1", rates[1])  # fmt: skip


def _rate(material: Material, base: Any, options: SynthesisOptions, repeats: int) -> float:
    """Images a second, the median of some runs over a batch of 16."""
    plan = material.plan.iloc[:IMAGES]
    seconds = medians({"": lambda: _render(material, plan, base, options)}, repeats)[""]
    return len(plan) / seconds


def _render(material: Material, plan: Any, base: Any, options: SynthesisOptions) -> None:
    given: dict[str, Any] = {"samples": material.samples, "masks": material.masks, "base": base}
    given |= {"options": options, "framing": FramingOptions(), "judge": accepted}
    list(render_plan(plan, plan, **given))


def published(material: Material, base: Any, count: int, tops: dict[str, float]) -> Iterator[Row]:
    """Images a second from noise, at 20 and at 50 steps, against the published procedure's 50."""
    options = SynthesisOptions.model_validate(
        {"engine": "diffusion", "strength": 1.0, "compose": {"mode": "feather"}}
    )
    make = region_maker(material.samples, material.masks, base, options, FramingOptions())
    rows = list(material.plan.itertuples(index=False))
    regions = [make(row) for row in rows[:: max(1, len(rows) // count)]][:count]
    state, rng = SaeState(), np.random.default_rng(0)
    networks = (base.unet, base.controlnet)
    kept = [network.attn_processors for network in networks]

    def theirs() -> None:
        use_explicit_attention(base, state)
        for region in regions:
            published_image(base, region, 50, state, rng)
        for network, processors in zip(networks, kept, strict=True):
            network.set_attn_processor(dict(processors))

    plan = material.plan.iloc[:IMAGES]

    def ours(steps: int) -> Call:
        chosen = options.model_copy(update={"steps": steps})
        return lambda: _render(material, plan, base, chosen)

    found = medians({"theirs": theirs, "20": ours(20), "50": ours(50)}, 2, base.device.type)
    naive = count / found["theirs"]
    for steps in ("20", "50"):
        rate = len(plan) / found[steps]
        tops[f"published_ratio {steps} steps"] = rate / naive
        yield Row("images from noise", f"{steps} steps, batch of {options.batch_size}", rate,
                  "images", "the published procedure, 50 steps", naive)  # fmt: skip


def sd15(device: str, repeats: int, tops: dict[str, float]) -> Iterator[Row]:
    """Single steps of SD 1.5's architecture at 512 px with random weights, and images by them."""
    dtype = torch.float16 if device == "cuda" else torch.float32
    with torch.device(device):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768).to(dtype).eval()
    model: Any = SimpleNamespace(
        unet=unet.requires_grad_(False),
        controlnet=build_controlnet(unet, 8).to(device, dtype).eval().requires_grad_(False),
        latent_factor=8,
        device=torch.device(device),
        dtype=dtype,
    )
    batch = 1 if device == "cpu" else 8
    yield from steps(model, "sd15", repeats, batch, tops)
    seconds = tops["step_seconds sd15"]
    del model, unet
    with torch.device(device):
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=4,
            layers_per_block=2,
        )
    vae = vae.to(dtype).eval()
    with torch.no_grad():
        pixels = torch.zeros(batch, 3, 512, 512, device=device, dtype=dtype)
        latents = torch.zeros(batch, 4, 64, 64, device=device, dtype=dtype)
        coded = timed(lambda: vae.encode(pixels), device)
        decoded = timed(lambda: vae.decode(latents), device)
    yield Row("autoencoder", f"sd15, encode, batch of {batch}", batch / coded, "images")
    yield Row("autoencoder", f"sd15, decode, batch of {batch}", batch / decoded, "images")
    # An image: 20 steps, three encodings (background, start, reference), two decodings.
    whole = (20 * seconds + 3 * coded + 2 * decoded) / batch
    # The published one: 50 steps of two samples on whole matrices, 4 encodings, 6 decodings.
    explicit = seconds * tops["explicit_sae_ratio sd15"] / tops["sae_ratio sd15"]
    theirs = (100 * explicit + 4 * coded + 6 * decoded) / batch
    yield Row("images from noise", "sd15, 20 steps, by single steps", 1 / whole, "images",
              "the published procedure, likewise", 1 / theirs)  # fmt: skip
