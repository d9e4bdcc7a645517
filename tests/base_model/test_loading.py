"""Folders in, ranges and shapes out, and every way in which a folder can be unusable."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import pytest
import torch
from diffusers import UNet2DConditionModel
from pydantic import ValidationError
from safetensors.torch import load_file, save_file

from defectsynth_pipeline.base_model.denoising import build_controlnet
from defectsynth_pipeline.base_model.loading import (
    COMPACT,
    BaseModel,
    find_base_model,
    load_base_model,
    prompt_for,
    save_base_model,
)
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import PromptOptions
from refusals import refused
from small_models import pictures


@pytest.fixture
def folder(sd15_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sd15_folder, tmp_path / "model"))


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def same_weights(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


@pytest.mark.parametrize(
    ("name", "channels", "factor", "resolution", "kind"),
    [("sd15", 4, 8, 64, "epsilon"), ("small", 8, 4, 32, "v_prediction")],
)
def test_shapes_and_ranges(name, channels, factor, resolution, kind, request) -> None:
    base: BaseModel = request.getfixturevalue(name)
    assert (base.resolution, base.latent_factor) == (resolution, factor)
    assert base.scheduler.config.prediction_type == kind
    latents = base.encode(pictures(base))
    assert latents.shape == (2, channels, resolution // factor, resolution // factor)
    shown = base.decode(latents * 50)
    assert shown.shape == (2, 3, resolution, resolution)
    assert shown.dtype == torch.float32
    assert shown.min() >= -1
    assert shown.max() <= 1
    assert torch.equal(base.encode(pictures(base)), latents)


def test_latents_are_scaled_once_each_way(sd15: BaseModel) -> None:
    images = pictures(sd15)
    with torch.no_grad():
        raw = sd15.vae.encode(images).latent_dist.mode()
        expected = sd15.vae.decode(raw).sample.clamp(-1, 1)
    torch.testing.assert_close(sd15.encode(images), raw * 0.18215)
    torch.testing.assert_close(sd15.decode(raw * 0.18215), expected)


def test_embedding_repeats_equal_prompts(sd15: BaseModel) -> None:
    states = sd15.embed(["a crack", "Größe / 你好", "a crack"])
    assert states.shape == (3, 77, 32)
    assert torch.equal(states[0], states[2])
    assert not torch.equal(states[0], states[1])
    assert sd15.embed(["crack " * 200]).shape == (1, 77, 32)


def test_the_scheduler_of_a_pndm_folder_is_its_ddim(sd15: BaseModel) -> None:
    config = sd15.scheduler.config
    assert type(sd15.scheduler).__name__ == "DDIMScheduler"
    betas = (config.beta_schedule, config.beta_start, config.beta_end)
    assert betas == ("scaled_linear", 0.00085, 0.012)
    assert (config.steps_offset, config.set_alpha_to_one, config.clip_sample) == (1, False, False)
    sd15.scheduler.set_timesteps(20)
    assert sd15.scheduler.timesteps[0] == 951
    assert sd15.scheduler.timesteps[-1] == 1


def test_nothing_learns_and_no_controlnet_is_made_up(sd15: BaseModel, small: BaseModel) -> None:
    assert sd15.controlnet is None
    assert small.controlnet is not None
    for module in (sd15.vae, sd15.unet, sd15.text_encoder, small.controlnet):
        assert not module.training
        assert not any(parameter.requires_grad for parameter in module.parameters())


def test_the_shipped_base_loads_by_name() -> None:
    base = load_base_model("compact", device="cpu")
    assert (base.resolution, base.latent_factor, base.dtype) == (64, 4, torch.float32)
    assert base.controlnet is not None
    assert base.encode(torch.zeros(1, 3, 64, 64)).shape == (1, 8, 16, 16)
    assert base.embed(["a binary mask"]).shape == (1, 77, 64)
    size = sum(path.stat().st_size for path in COMPACT.rglob("*") if path.is_file())
    assert size <= 20e6
    assert not [path for path in COMPACT.rglob("*") if path.suffix in {".bin", ".ckpt", ".pt"}]


def test_half_precision_files_by_their_variant_name(folder: Path, sd15: BaseModel) -> None:
    for name in ("vae", "unet", "text_encoder"):
        for path in (folder / name).glob("*.safetensors"):
            path.unlink()
        part = getattr(sd15, name)
        part.save_pretrained(folder / name, variant="fp16", safe_serialization=True)
    assert (folder / "unet" / "diffusion_pytorch_model.fp16.safetensors").is_file()
    base = load_base_model(folder, device="cpu")
    for name in ("vae", "unet", "text_encoder"):
        assert same_weights(getattr(base, name), getattr(sd15, name))


@pytest.mark.parametrize("variant", [None, "fp16"])
def test_weights_in_shards(folder: Path, sd15: BaseModel, variant: str | None) -> None:
    shutil.rmtree(folder / "unet")
    sd15.unet.save_pretrained(folder / "unet", max_shard_size="200KB", variant=variant)
    assert len(list((folder / "unet").glob("*-of-*.safetensors"))) > 1
    assert same_weights(load_base_model(folder, device="cpu").unet, sd15.unet)


def test_half_precision_on_request(sd15_folder: Path, sd15: BaseModel) -> None:
    base = load_base_model(sd15_folder, device="cpu", dtype="float16")
    assert base.unet.dtype == base.vae.dtype == base.text_encoder.dtype == torch.float16
    latents = base.encode(pictures(base))
    assert latents.dtype == torch.float16
    torch.testing.assert_close(latents.float(), sd15.encode(pictures(sd15)), atol=0.02, rtol=0.02)
    assert base.decode(latents).dtype == torch.float32


def test_saved_models_load_again(tmp_path: Path, small_folder: Path) -> None:
    base = load_base_model(small_folder, device="cpu")
    names = ("vae", "unet", "controlnet", "text_encoder", "tokenizer", "scheduler")
    save_base_model({name: getattr(base, name) for name in names}, tmp_path / "saved", "# Card\n")
    again = load_base_model(tmp_path / "saved", device="cpu")
    assert (tmp_path / "saved" / "README.md").read_text() == "# Card\n"
    assert again.resolution == base.resolution
    torch.testing.assert_close(
        again.unet.conv_in.weight, base.unet.conv_in.weight.float(), atol=1e-3, rtol=1e-3
    )


def test_the_fingerprint_follows_the_content(folder: Path, sd15: BaseModel) -> None:
    assert load_base_model(folder, device="cpu").fingerprint == sd15.fingerprint
    other = folder.with_name("other")
    shutil.copytree(folder, other)
    torch.manual_seed(9)
    config = UNet2DConditionModel.load_config(other / "unet")
    UNet2DConditionModel.from_config(config).save_pretrained(other / "unet")
    assert load_base_model(other, device="cpu").fingerprint != sd15.fingerprint


def test_defect_and_normal_wording() -> None:
    options = PromptOptions(defect="{category}: {defect_type}", normal="good {category}")
    assert prompt_for(options, "metal_nut", "bent_pin") == "metal nut: bent pin"
    assert prompt_for(options, "Größe", "good") == "good Größe"


@pytest.mark.parametrize("template", ["a {colour}", "{0}", "{category", "{category.x}"])
def test_a_template_that_names_something_else(template: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"defect = {template}: use only")):
        PromptOptions(defect=template)


class TestBadFolders:
    @pytest.mark.parametrize("name", ["vae", "unet", "text_encoder", "tokenizer", "scheduler"])
    def test_a_missing_component(self, folder: Path, name: str) -> None:
        shutil.rmtree(folder / name)
        with refused("lacks a component", str(folder), f"value: {name}/", remedy="save_pretrained"):
            load_base_model(folder)

    def test_pickled_weights_are_never_opened(self, folder: Path, sd15: BaseModel) -> None:
        (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
        torch.save(sd15.unet.state_dict(), folder / "unet" / "diffusion_pytorch_model.bin")
        named = (str(folder / "unet"), "diffusion_pytorch_model.bin")
        with refused("only pickled weights", *named, remedy="safe_serialization=True"):
            load_base_model(folder)

    def test_an_inpainting_model_is_no_base(self, folder: Path) -> None:
        config = dict(UNet2DConditionModel.load_config(folder / "unet")) | {"in_channels": 9}
        UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
        named = (str(folder / "unet" / "config.json"), "in_channels 9, latents 4")
        with refused("inpainting model", *named, remedy="text-to-image"):
            load_base_model(folder, device="cpu")

    def test_no_weights_at_all(self, folder: Path) -> None:
        (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
        with pytest.raises(InputError, match=r"no weights[\s\S]*vae[\s\S]*remedy"):
            load_base_model(folder)

    @pytest.mark.parametrize("name", ["/no/such/folder", "./sd15", "sd15", "a/b/c"])
    def test_neither_folder_nor_hub_id(self, name: str) -> None:
        with refused("not found", f"file: {name}", remedy="hub id"):
            load_base_model(name)

    def test_a_hub_id_without_internet_fails_at_once(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        began = time.monotonic()
        name = "stable-diffusion-v1-5/not-in-any-cache"
        with refused("cannot be fetched", f"value: {name}", remedy="base_model=/path/to/folder"):
            load_base_model(name)
        assert time.monotonic() - began < 30

    @pytest.mark.parametrize("text", ["", "{", "[1]"])
    def test_broken_settings(self, folder: Path, text: str) -> None:
        (folder / "unet" / "config.json").write_text(text)
        with refused("settings", str(folder / "unet" / "config.json"), remedy="copy"):
            load_base_model(folder)

    def test_settings_that_build_nothing(self, folder: Path) -> None:
        change(folder / "vae" / "config.json", norm_num_groups=7)
        with refused("no network can be built", str(folder / "vae" / "config.json")):
            load_base_model(folder)

    def test_truncated_weights(self, folder: Path) -> None:
        file = folder / "unet" / "diffusion_pytorch_model.safetensors"
        file.write_bytes(file.read_bytes()[:-100])
        with refused("truncated", str(file), f"{file.stat().st_size} bytes", remedy="copy"):
            load_base_model(folder)

    def test_a_renamed_pickle_is_not_opened(self, folder: Path, sd15: BaseModel) -> None:
        file = folder / "vae" / "diffusion_pytorch_model.safetensors"
        torch.save(sd15.vae.state_dict(), file)
        with refused("no safetensors", str(file)):
            load_base_model(folder)

    def test_weights_of_another_width(self, folder: Path) -> None:
        change(folder / "unet" / "config.json", block_out_channels=[32, 32, 32, 32])
        with refused("another width", "unet/config.json", "weights (", remedy="of one model"):
            load_base_model(folder)

    def test_components_of_two_models(self, folder: Path, sd15: BaseModel) -> None:
        config = dict(UNet2DConditionModel.load_config(folder / "unet")) | {
            "cross_attention_dim": 48
        }
        UNet2DConditionModel.from_config(config).save_pretrained(folder / "unet")
        with refused("do not fit", "hidden_size 32, cross_attention_dim 48"):
            load_base_model(folder)

    def test_weights_that_are_missing(self, folder: Path) -> None:
        file = folder / "text_encoder" / "model.safetensors"
        tensors = load_file(file)
        lost = next(name for name in tensors if "final_layer_norm" in name)
        save_file({k: v for k, v in tensors.items() if k != lost}, file, {"format": "pt"})
        with refused("not complete", str(folder / "text_encoder"), "1 tensors", lost):
            find_base_model(folder)

    def test_weights_that_are_no_numbers(self, folder: Path) -> None:
        file = folder / "vae" / "diffusion_pytorch_model.safetensors"
        tensors = load_file(file)
        tensors["decoder.conv_in.weight"][0] = float("nan")
        save_file(tensors, file, {"format": "pt"})
        with refused("not numbers", str(file), "decoder.conv_in.weight"):
            load_base_model(folder)

    @pytest.mark.parametrize("text", ["", "{}"])
    def test_an_empty_tokenizer(self, folder: Path, text: str) -> None:
        for file in (folder / "tokenizer").glob("tokenizer.json"):
            file.unlink()
        (folder / "tokenizer" / "vocab.json").write_text(text)
        with refused("tokenizer", str(folder / "tokenizer"), remedy="copy"):
            load_base_model(folder)

    def test_a_controlnet_of_pickles(self, folder: Path, sd15: BaseModel) -> None:
        build_controlnet(sd15.unet).save_pretrained(folder / "controlnet", safe_serialization=False)
        with refused("only pickled weights", str(folder / "controlnet")):
            load_base_model(folder)
