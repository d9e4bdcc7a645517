"""What detectors are trained on, how, and how they are compared."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from defectsynth_pipeline.bounds import (
    Batch,
    Contradiction,
    Count,
    Counts,
    Few,
    Images,
    LearningRate,
    Names,
    Options,
    Seed,
    Seeds,
    Share,
    Side,
    Steps,
    one_length,
)

_LEAST_STEPS, _MOST_STEPS = 130, 500  # of a category where `steps` is "auto"


class ExternalOptions(Options):
    """A folder of image-mask pairs made by another system."""

    path: str
    layout: Literal["auto", "folders", "mvtec", "suffix"] = "auto"


class ArmOptions(Options):
    """What the training sets are made of; `names` are arms, `a+b` mixtures, `a@n` n images."""

    names: Names = Field(["base", "normals_only", "crop_paste_matched", "defectsynth"])
    accepted_only: bool = True
    external: dict[str, ExternalOptions] = Field(default_factory=dict)
    ratio: Counts | None = None
    ratio_arm: str = "defectsynth"
    seed: Seed = 0

    @model_validator(mode="after")
    def _names_are_well_formed(self) -> ArmOptions:
        for name in self.names:
            parts = [part.strip() for part in name.split("+")]
            if len(set(parts)) < len(parts):
                raise Contradiction(f"names: {name}", "mix different arms")
            for part in parts:
                if not re.fullmatch(r"[^@]+(@[0-9]{1,6})?", part):
                    remedy = "write a, a+b or a@n with n from 0 to 999999 images"
                    raise Contradiction(f"names: {name}", remedy)
                kind, _, given = part.partition("@")[0].partition(":")
                if kind == "external" and given not in self.external:
                    remedy = f"give its folder: external.{given or '<name>'}.path"
                    raise Contradiction(f"names: {name}", remedy)
        return self


class SetOptions(Options):
    """How many images a training set has, the same in every arm, per category."""

    count: Images = Field(200, description="the arm's own images")
    per: Literal["category", "type"] = "category"
    real: Count | None = Field(200, description="real base images, repeated; None: each once")
    normals: Count = Field(100, description="defect-free images")


class AugmentOptions(Options):
    """On-line augmentation of every arm; "auto" is learnt from the category's base and normals."""

    flip_x: bool | Literal["auto"] = "auto"
    flip_y: bool | Literal["auto"] = "auto"
    quarter_turns: bool | Literal["auto"] = "auto"
    turn: float = Field(10.0, ge=0, le=45, description="degrees either way")
    scale: float = Field(0.1, ge=0, le=0.5, description="share by which windows grow or shrink")
    gain: Annotated[float, Field(ge=1, le=4)] | Literal["auto"] = "auto"


class TrainingOptions(Options):
    """What both detectors' training shares; exactly one of `steps` and `epochs` is given."""

    steps: Steps | Literal["auto"] | None = Field(150, description="see `steps_among`")
    epochs: int | None = Field(None, ge=1, le=10**5)
    batch_size: Batch = 8
    learning_rate: LearningRate = 1e-3
    encoder_rate: float = Field(0.1, gt=0, le=1, description="of a pretrained encoder, relative")
    average: float = Field(0.1, ge=0, le=1, description="share of the steps that is averaged")
    weights: str = "auto"
    validate_every: Steps = 50
    checkpoint_every: Steps = 500

    @model_validator(mode="after")
    def _one_length(self) -> TrainingOptions:
        one_length(self.steps, self.epochs)
        return self

    def steps_among(self, categories: int) -> int | None:
        """Return `steps`, of each of so many categories where it is "auto".

        Few categories share what four have at the least: in a run's time, which then hardly
        changes, each is trained for longer.
        """
        if self.steps != "auto":
            return self.steps
        return min(_MOST_STEPS, max(_LEAST_STEPS, 4 * _LEAST_STEPS // max(1, categories)))


class PaperOptions(Options):
    """The paper's detector (Sec. V-A), trained beside the main one with few arms and seeds."""

    network: Literal["resnet18", "resnet34"] = "resnet34"
    side: Side = 96
    steps: Steps = 150
    arms: Names = Field(["base", "defectsynth"])
    seeds: Few = Field(1, description="how many of protocol.seeds")


class PaperUNetOptions(PaperOptions):
    """The paper's localizer; `patch` as in `LocalizationOptions`."""

    network: Literal["resnet18", "resnet34"] = "resnet18"
    side: Side = 256
    steps: Steps = 100
    patch: Side | None = 96


class ClassificationOptions(Options):
    """Which network tells the defect types of a category apart."""

    network: Literal["auto", "linear", "lite0", "resnet18", "resnet34"] = "auto"
    side: Side = 384
    training_set: SetOptions = SetOptions(normals=0)
    training: TrainingOptions = TrainingOptions()
    paper: PaperOptions | None = PaperOptions()


class LocalizationOptions(Options):
    """U-Net on all defect types of a category (Sec. V-A)."""

    side: Side = Field(512, description="longer side of the image as the network sees it")
    patch: Side | None = Field(128, description="side of training windows; None: all of it")
    encoder: Literal["auto", "lite0", "resnet18", "resnet34"] = "auto"
    training_set: SetOptions = SetOptions()
    training: TrainingOptions = TrainingOptions(steps="auto")
    paper: PaperUNetOptions | None = PaperUNetOptions()

    @model_validator(mode="after")
    def _windows_fit(self) -> LocalizationOptions:
        for name, one in (("", self), ("paper.", self.paper)):
            if one is not None and one.patch is not None and one.patch > one.side:
                values = f"{name}patch = {one.patch}, {name}side = {one.side}"
                raise Contradiction(values, "use windows that are no larger than the image")
        return self


class ShareOptions(Options):
    """What a batch holds, the same in every arm; the arm's own images have the rest."""

    real: float = Field(0.5, ge=0, le=1, description="real base images")
    normals: float = Field(0.25, ge=0, le=1, description="defect-free images")

    @model_validator(mode="after")
    def _room(self) -> ShareOptions:
        if self.real + self.normals >= 1:
            values = f"real = {self.real:g}, normals = {self.normals:g}"
            raise Contradiction(values, "leave a share of the batch for the arm's own images")
        return self

    def by_kind(self) -> dict[str, float]:
        """Return the share of every kind of row."""
        rest = 1 - self.real - self.normals
        return {"real": self.real, "normal": self.normals, "own": rest}


class ProtocolOptions(Options):
    """How arms are compared: paired seeds, no look at the test set, intervals by bootstrap."""

    seeds: Seeds = Field([0, 1])
    shares: ShareOptions | None = Field(ShareOptions(), description="None: every row once an epoch")
    augment: AugmentOptions = AugmentOptions()
    select: Literal["last", "validation"] = "last"
    folds: int = Field(1, ge=1, le=100, description="trainings with a part of the base held out")
    validation_share: float = Field(0.25, gt=0, lt=1)
    patience: Few = Field(4, description="judgements without a gain that end such a training")
    legacy: bool = False
    bootstrap: int = Field(1000, ge=100, le=10**5)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    ceiling: Share = 0.95
    smallest_difference: float = Field(0.01, ge=0, lt=1)
    largest_detectable: Share = 0.15

    @model_validator(mode="after")
    def _agree(self) -> ProtocolOptions:
        if self.smallest_difference > self.largest_detectable:
            values = (
                f"smallest_difference = {self.smallest_difference:g}, "
                f"largest_detectable = {self.largest_detectable:g}"
            )
            raise Contradiction(values, "ask for no larger difference than must be detectable")
        return self
