"""What SAE costs: one denoising step with and without its weights, and one alignment.

Both arms run the same hooks on the same network in one process; their repeats are interleaved
and the ratio of medians is reported, so a busy machine slows both alike. The arm with weights
includes what SAE does per step: Eq. 7 and the resizing to each layer.

    python benchmarks/attention.py [--repeats 60] [--batch 8] [--threads 1] [--device cpu] [--sd15]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from scipy import ndimage

from defectsynth_pipeline.appearance.alignment import align
from defectsynth_pipeline.appearance.attention import SaeState, install_sae, sae_weights
from defectsynth_pipeline.compact.networks import build_unet


def build(sd15: bool) -> tuple[UNet2DConditionModel, tuple[int, int, int]]:
    """A random network of the wanted architecture, and the (C, h, w) of its latents."""
    if sd15:
        return UNet2DConditionModel(sample_size=64, cross_attention_dim=768), (4, 64, 64)
    return build_unet(), (8, 16, 16)


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """Wall time of one call, the device's queue included."""
    begin = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - begin


@torch.no_grad()
def step_ratio(arguments: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a step in both arms, and their ratio."""
    device = torch.device(arguments.device)
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    unet, shape = build(arguments.sd15)
    unet = unet.to(device=device, dtype=dtype).eval()
    z_ref, z_t = torch.randn(2, arguments.batch, *shape, device=device, dtype=dtype)
    mask = torch.zeros(arguments.batch, *shape[1:], dtype=torch.bool, device=device)
    mask[:, 4:8, 4:12] = True
    width = unet.config["cross_attention_dim"]
    text = torch.randn(arguments.batch, 77, width, device=device, dtype=dtype)
    times: dict[str, list[float]] = {"plain": [], "sae": []}
    with install_sae(unet, SaeState()) as state:

        def plain() -> None:
            state.clear()
            unet(z_t, 10, text)

        def sae() -> None:
            state.update(sae_weights(z_ref, z_t, mask), (shape[1], shape[2]))
            unet(z_t, 10, text)

        for repeat in range(arguments.repeats + 3):
            arms = [("plain", plain), ("sae", sae)]
            for name, arm in arms if repeat % 2 else reversed(arms):
                elapsed = seconds(arm, device)
                if repeat >= 3:
                    times[name].append(elapsed)
    medians = {name: statistics.median(values) for name, values in times.items()}
    return {
        "plain_step_s": medians["plain"],
        "sae_step_s": medians["sae"],
        "ratio_of_medians": medians["sae"] / medians["plain"],
        "median_of_paired_ratios": statistics.median(
            b / a for a, b in zip(times["plain"], times["sae"], strict=True)
        ),
    }


def alignment_times(repeats: int) -> dict[str, float]:
    """Median milliseconds of one alignment at 64x64 with 72 angles, by kind of mask."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices((64, 64))

    def noise(share: float) -> np.ndarray:
        field = ndimage.gaussian_filter(rng.normal(size=(64, 64)), 3)
        return np.asarray(field > np.quantile(field, 1 - share))

    cases = {
        "blob": (np.hypot(rows - 20, columns - 20) < 9, np.hypot(rows - 40, columns - 44) < 11),
        "crack": (np.abs(rows - 32 - 8 * np.sin(columns / 7)) < 1, np.abs(columns - rows) < 2),
        "scattered": (noise(0.1), noise(0.1)),
        "whole_frame": (np.ones((64, 64), bool), np.ones((64, 64), bool)),
    }
    result = {}
    for name, (real, generated) in cases.items():
        align(real, generated)
        times = [
            seconds(lambda r=real, g=generated: align(r, g), torch.device("cpu"))  # type: ignore[misc]
            for _ in range(repeats)
        ]
        result[f"align_{name}_ms"] = 1000 * statistics.median(times)
    return result


def main() -> None:
    """Measure and write one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sd15", action="store_true", help="SD 1.5's architecture at 512 px")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    result = step_ratio(arguments) | alignment_times(arguments.repeats)
    json.dump({k: round(v, 5) for k, v in result.items()}, sys.stdout, indent=2)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
