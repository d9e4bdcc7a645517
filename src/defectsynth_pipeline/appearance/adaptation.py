"""What fine-tuning leaves behind, and how it goes to disk and back onto a base model."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffusers import ControlNetModel, UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import load_file, save_file
from torch import Tensor

from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import fingerprint

LORA_TARGETS = ["to_q", "to_k", "to_v", "to_out.0"]


@dataclass(frozen=True)
class FinetunedModel:
    """A fine-tuned ControlNet and whatever was adapted beside it.

    Attributes:
        controlnet: Always adapted.
        unet: The UNet with its new weights (`joint`), else None.
        lora: The UNet's adapter (`lora`), else None.
        meta: adapt, lora_rank, base (fingerprint of the base it belongs to), key, steps,
            validation_loss.
    """

    controlnet: ControlNetModel
    unet: UNet2DConditionModel | None
    lora: dict[str, Tensor] | None
    meta: dict[str, Any]

    def attach(self, base: BaseModel) -> BaseModel:
        """Return the base model with these networks in place.

        Raises:
            InputError: The base is another one than this was trained on.
        """
        if base.fingerprint != self.meta["base"]:
            raise InputError(
                "the fine-tuned ControlNet belongs to another base model",
                value=f"base {base.fingerprint}, trained on {self.meta['base']}",
                remedy="run the controlnet stage again, or point base_model at the one it was "
                "trained on",
            )
        unet = self.unet
        if self.lora is not None:
            unet = add_lora(base.unet, self.meta["lora_rank"])
            set_peft_model_state_dict(unet, self.lora)
        return base.with_networks(
            controlnet=self.controlnet,
            unet=unet,
            fingerprint=fingerprint(base.fingerprint, self.meta["key"]),
        )

    def save(self, folder: Path) -> None:
        """Write controlnet/, unet/ (joint), lora.safetensors (lora) and meta.json."""
        folder.mkdir(parents=True, exist_ok=True)
        self.controlnet.save_pretrained(folder / "controlnet")
        if self.unet is not None:
            self.unet.save_pretrained(folder / "unet")
        if self.lora is not None:
            save_file(self.lora, folder / "lora.safetensors")
        (folder / "meta.json").write_text(json.dumps(self.meta, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FinetunedModel:
        """Read what `save` wrote."""
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        controlnet = ControlNetModel.from_pretrained(folder / "controlnet", use_safetensors=True)
        unet, lora = None, None
        if (folder / "unet").is_dir():
            unet = UNet2DConditionModel.from_pretrained(folder / "unet", use_safetensors=True)
        if (folder / "lora.safetensors").is_file():
            lora = load_file(folder / "lora.safetensors")
        return cls(controlnet, unet, lora, meta)


def add_lora(unet: UNet2DConditionModel, rank: int) -> UNet2DConditionModel:
    """Return a copy of the UNet with an untrained low-rank adapter on its attention layers."""
    adapted = copy.deepcopy(unet)
    adapted.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=LORA_TARGETS))
    return adapted


def lora_weights(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """Return the adapter's weights on the CPU, ready for safetensors."""
    return {k: v.detach().cpu().contiguous() for k, v in get_peft_model_state_dict(unet).items()}
