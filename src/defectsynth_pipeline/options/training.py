"""What the diffusion networks learn, and at which window of the image."""

from __future__ import annotations

from math import ceil
from typing import Literal

from pydantic import Field, model_validator

from defectsynth_pipeline.bounds import (
    Batch,
    Contradiction,
    Few,
    LearningRate,
    Options,
    Seed,
    Steps,
    one_length,
)


class PromptOptions(Options):
    """One wording for training and synthesis; underscores of names become spaces."""

    defect: str = "a photo of a {category} surface with {defect_type}"
    normal: str = "a photo of a {category} surface"

    @model_validator(mode="after")
    def _can_be_filled_in(self) -> PromptOptions:
        for key, template in (("defect", self.defect), ("normal", self.normal)):
            try:
                template.format(category="part", defect_type="dent")
            except (AttributeError, LookupError, ValueError) as error:
                remedy = "use only {category} and {defect_type}, and {{ for a brace"
                raise Contradiction(f"{key} = {template}", remedy) from error
        return self


class FinetuneOptions(Options):
    """Few-shot adaptation of the ControlNet (Sec. III-B); `adapt` says what else moves."""

    adapt: Literal["frozen", "joint", "lora"] = "joint"
    lora_rank: Few = 8
    steps: Steps | None = 150
    epochs: int | None = Field(None, ge=1, le=10**5, description="over the base images")
    batch_size: Batch = 16
    gradient_accumulation: Few = 1
    learning_rate: LearningRate = 2e-4
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    gradient_checkpointing: bool = False
    strength: float = Field(0.3, gt=0, le=1, description="noise levels trained, as synthesis has")
    mask_weight: float = Field(5.0, ge=1, le=1000)
    normal_share: float = Field(0.25, ge=0, lt=1)
    crops_per_sample: Few = 16
    flip: bool = True
    held_out: int = Field(1, ge=0, le=1000)
    validate_every: Steps = 50
    patience: Few = 6
    checkpoint_every: Steps = 50
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_length(self) -> FinetuneOptions:
        one_length(self.steps, self.epochs)
        return self

    def optimizer_steps(self, images: int) -> int:
        """Return how many there are at most; an epoch shows each trained base image once."""
        if self.epochs is None:
            assert self.steps is not None  # one of the two is given
            return self.steps
        of_defects = (1 - self.normal_share) * self.batch_size * self.gradient_accumulation
        return self.epochs * max(1, ceil(images / of_defects))


class FramingOptions(Options):
    """Which window of the background the model sees (see `appearance.framing`)."""

    mode: Literal["roi", "full"] = "roi"
    context: float = Field(2.0, ge=1, le=100)
    resolution: int | None = Field(None, ge=32, le=4096, description="None: the model's own")
    minimum: int | None = Field(
        None, ge=16, le=16384, description="smallest side, native px; None likewise"
    )

    @model_validator(mode="after")
    def _agree(self) -> FramingOptions:
        if self.mode == "full" and self.minimum is not None:
            values = f"mode = full, minimum = {self.minimum}"
            raise Contradiction(values, "leave minimum out: the window is the whole image")
        return self


class PretrainOptions(Options):
    """The compact base, trained from nothing on procedural scenes drawn afresh at every step."""

    vae_steps: Steps = 4000
    unet_steps: Steps = 4200
    vae_batch_size: Batch = 8
    unet_batch_size: Batch = 16
    vae_learning_rate: LearningRate = 1.5e-3
    unet_learning_rate: LearningRate = 4e-4
    mask_weight: float = Field(3.0, ge=1, le=1000)
    ema: float = Field(0.999, ge=0, lt=1)
    checkpoint_every: Steps = 250
    seed: Seed = 0
