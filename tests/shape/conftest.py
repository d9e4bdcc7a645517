"""Small base masks written to disk, and a tiny latent diffusion model of real components."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from PIL import Image

WriteSamples = Callable[..., pd.DataFrame]


@pytest.fixture
def write_samples(tmp_path: Path) -> WriteSamples:
    """Write {defect type: masks} as PNG files and return the rows of `samples`."""

    def write(masks: dict[str, list[np.ndarray]], split: str = "base") -> pd.DataFrame:
        rows = []
        for defect_type, found in masks.items():
            for index, mask in enumerate(found):
                name = f"{split}_{defect_type}_{index:03d}.png"
                Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / name)
                rows.append(
                    {
                        "sample_id": f"tests/part/{defect_type}/{split}{index:03d}",
                        "corpus": "tests",
                        "category": "part",
                        "defect_type": defect_type,
                        "root": tmp_path.as_posix(),
                        "image": name,
                        "mask": name,
                        "x": 0,
                        "y": 0,
                        "width": mask.shape[1],
                        "height": mask.shape[0],
                        "derivation": "",
                        "mask_of": "",
                        "group": name,
                        "sha256": name,
                        "split": split,
                    }
                )
        return pd.DataFrame(rows)

    return write


@dataclass
class TinyModel:
    """What `base_model.loading.BaseModel` offers, with random weights and 4x4 latents."""

    vae: AutoencoderKL
    unet: UNet2DConditionModel
    scheduler: DDIMScheduler
    resolution: int = 16
    latent_factor: int = 2
    device: str = "cpu"
    dtype: torch.dtype = torch.float32

    @torch.no_grad()
    def encode(self, images: torch.Tensor) -> torch.Tensor:
        return self.vae.encode(images).latent_dist.mode() * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        return self.vae.decode(latents / self.vae.config.scaling_factor).sample.clamp(-1, 1)

    def embed(self, prompts: list[str]) -> torch.Tensor:
        return torch.ones(len(prompts), 3, 8)


@pytest.fixture(params=["epsilon", "v_prediction"])
def tiny_model(request: pytest.FixtureRequest) -> TinyModel:
    torch.manual_seed(0)
    blocks: dict[str, Any] = {"block_out_channels": (8, 8), "norm_num_groups": 4}
    vae = AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        scaling_factor=1.0,
        **blocks,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        layers_per_block=1,
        cross_attention_dim=8,
        attention_head_dim=2,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        **blocks,
    )
    with torch.no_grad():  # a smooth denoiser, as a trained one is
        unet.conv_out.weight *= 0.05
    schedule = "scaled_linear" if request.param == "epsilon" else "squaredcos_cap_v2"
    scheduler = DDIMScheduler(prediction_type=request.param, beta_schedule=schedule)
    return TinyModel(vae.eval(), unet.eval(), scheduler)
