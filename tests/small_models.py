"""Small random models of the real component classes, small parts with masks; as pytest plugin."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from categories import NUMBERED, SHAPES, publish_job, surface, surface16, write_category
from defectsynth_pipeline.appearance.adaptation import FinetunedModel
from defectsynth_pipeline.appearance.crops import Crops, make_crops
from defectsynth_pipeline.appearance.finetune import finetune
from defectsynth_pipeline.base_model.denoising import build_controlnet
from defectsynth_pipeline.base_model.loading import BaseModel, load_base_model
from defectsynth_pipeline.compact import networks as compact
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import (
    FinetuneOptions,
    FramingOptions,
    IngestOptions,
    PromptOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.rendering import ImageSetJob, Rendered
from defectsynth_pipeline.shape.geometry import measure

FRAMING = FramingOptions()
TRAINING = FinetuneOptions(
    steps=6,
    batch_size=2,
    crops_per_sample=2,
    validate_every=2,
    checkpoint_every=3,
    learning_rate=1e-3,
    mixed_precision="no",
)
SYNTHESIS = SynthesisOptions.model_validate(
    {
        "engine": "diffusion",
        "strength": 0.5,
        "count": 8,
        "steps": 2,
        "batch_size": 4,
        "sae": {"angles": 8},
        "sff": {"group": 2},
    }
)
# As in the scheduler folder of stable-diffusion-v1-5 on the hub.
PNDM = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.6.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "trained_betas": None,
}


def changed(options: Any, **values: Any) -> Any:
    """Options with some values replaced and checked; nested ones as dicts."""
    merged = options.model_dump()
    for key, value in values.items():
        merged[key] = merged[key] | value if isinstance(value, dict) else value
    return type(options).model_validate(merged)


def write_stable_diffusion(folder: Path) -> Path:
    """Random weights in the component classes, settings and files of SD 1.5, 64 px."""
    torch.manual_seed(0)
    tokenizer = compact.build_tokenizer(folder / "tokenizer")
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": compact.CONTEXT}
    (folder / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(settings))
    vae = AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        sample_size=64,
        scaling_factor=0.18215,
    )
    unet = UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(16, 16, 32, 32),
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        layers_per_block=1,
        cross_attention_dim=32,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    vae.save_pretrained(folder / "vae")
    unet.save_pretrained(folder / "unet")
    text_encoder(len(tokenizer), tokenizer.eos_token_id).save_pretrained(folder / "text_encoder")
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(PNDM))
    return folder


def write_small_compact(folder: Path) -> Path:
    """Random weights with the compact base's settings, narrower, 32 px, ControlNet not zero."""
    of_vae, of_unet = compact.build_vae().config, compact.build_unet().config
    torch.manual_seed(1)
    tokenizer = compact.build_tokenizer(folder / "tokenizer")
    tokenizer.save_pretrained(folder / "tokenizer")
    vae = AutoencoderKL.from_config(of_vae, block_out_channels=(8, 8, 16), sample_size=32)
    unet = UNet2DConditionModel.from_config(
        of_unet,
        sample_size=8,
        block_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D",) * 2,
        up_block_types=("CrossAttnUpBlock2D",) * 2,
        cross_attention_dim=32,
        norm_num_groups=8,
    )
    controlnet = build_controlnet(unet)
    awaken(controlnet)
    encoder = text_encoder(len(tokenizer), tokenizer.eos_token_id)
    parts = {"vae": vae, "unet": unet, "controlnet": controlnet, "text_encoder": encoder}
    for name, part in (parts | {"scheduler": compact.build_scheduler()}).items():
        part.save_pretrained(folder / name)
    return folder


def text_encoder(vocabulary: int, end: int) -> CLIPTextModel:
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=vocabulary,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=compact.CONTEXT,
            hidden_act="quick_gelu",
            bos_token_id=end - 1,
            eos_token_id=end,
        )
    )


def awaken(controlnet: ControlNetModel) -> None:
    """Give a fresh ControlNet's zero convolutions weights, as training would."""
    for name, parameter in controlnet.named_parameters():
        if not parameter.any() and name.endswith("weight"):
            torch.nn.init.normal_(parameter, std=0.2)


def engines_of(masks: ImageSet, *engines: str) -> pd.DataFrame:
    """An equal share of every type's images for each engine; "diffusion" where none is named."""
    kinds = masks.manifest[["category", "defect_type"]].drop_duplicates()
    given = pd.DataFrame({"engine": engines or ("diffusion",)})
    return kinds.merge(given, how="cross").assign(share=1 / len(given))


def make_masks(
    folder: Path, samples: pd.DataFrame, masks: dict[str, list[np.ndarray]] | None = None
) -> ImageSet:
    """A published set of generated masks: four per category and type, or the ones given."""
    rows, arrays = [], {}
    base = samples[samples["split"] == "base"]
    for (category, defect_type), parents in base.groupby(["category", "defect_type"]):
        made = (masks or {}).get(defect_type) or [SHAPES[defect_type](500 + i) for i in range(4)]
        for number, mask in enumerate(made):
            image_id = f"m{len(rows):03d}"
            arrays[image_id] = mask
            rows.append(
                {
                    "image_id": image_id,
                    "category": category,
                    "defect_type": defect_type,
                    "parents": "|".join(parents["sample_id"].iloc[:2]),
                    "alpha": 0.25 + 0.5 * (number % 2),
                    "stroke_width": measure(mask).width,
                }
            )
    job = ImageSetJob(
        "f00d",
        pd.DataFrame(rows),
        lambda missing: (Rendered(i, {"mask": arrays[i]}) for i in missing["image_id"]),
    )
    return publish_job(job, folder, name="masks")


def adapted(
    base: BaseModel, crops: Crops, options: FinetuneOptions, folder: Path
) -> tuple[FinetunedModel, pd.DataFrame]:
    """Fine-tuned; the curves go nowhere."""
    return finetune(base, crops, options, key="k", checkpoints=folder, on_metrics=lambda *_: None)


def pictures(base: BaseModel, count: int = 2, seed: int = 0) -> torch.Tensor:
    """Smooth images in [-1, 1], (count, 3, resolution, resolution)."""
    small = torch.rand((count, 3, 4, 4), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(small, size=base.resolution, mode="bilinear")


@pytest.fixture(scope="session")
def sd15_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder like the hub's SD 1.5: epsilon, PNDM, f=8, no ControlNet."""
    return write_stable_diffusion(tmp_path_factory.mktemp("models") / "sd15")


@pytest.fixture(scope="session")
def sd15(sd15_folder: Path) -> BaseModel:
    return load_base_model(sd15_folder, device="cpu")


@pytest.fixture(scope="session")
def small_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusers folder like the compact base: v-prediction, f=4, ControlNet with weights."""
    return write_small_compact(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="session")
def small(small_folder: Path) -> BaseModel:
    return load_base_model(small_folder, device="cpu")


@pytest.fixture(scope="session")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two MVTec categories of 64 x 80: RGB `plate` and 16-bit grey `x ray`."""
    root = tmp_path_factory.mktemp("parts")
    write_category(root / "plate", surface, SHAPES, tested=NUMBERED[:1])
    return write_category(root / "x ray", surface16, SHAPES, tested=NUMBERED[:1])


@pytest.fixture(scope="session")
def all_samples(parts: Path) -> pd.DataFrame:
    return make_samples(parts, IngestOptions(base_share=0.5))


@pytest.fixture(scope="session")
def samples(all_samples: pd.DataFrame) -> pd.DataFrame:
    """Three base and three test images of each of two types, five normals."""
    return all_samples[all_samples["category"] == "plate"].reset_index(drop=True)


@pytest.fixture(scope="session")
def masks(tmp_path_factory: pytest.TempPathFactory, all_samples: pd.DataFrame) -> ImageSet:
    """Four generated masks per category and type."""
    return make_masks(tmp_path_factory.mktemp("masks"), all_samples)


@pytest.fixture(scope="session")
def plates(masks: ImageSet) -> ImageSet:
    """Those of `plate` alone."""
    return ImageSet(masks.root, masks.manifest.query("category == 'plate'"))


@pytest.fixture(scope="session")
def crops(samples: pd.DataFrame, small: BaseModel) -> Crops:
    return make_crops(samples, small, TRAINING, FRAMING, PromptOptions())


@pytest.fixture
def seen(small: BaseModel) -> Iterator[list[torch.Tensor]]:
    """The images that go into the autoencoder's encoder."""
    images: list[torch.Tensor] = []
    hook = small.vae.encoder.register_forward_pre_hook(lambda _, args: images.append(args[0]))
    yield images
    hook.remove()
