"""Typed parameters, one model per stage; Kedro builds them before any node runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator


class Options(BaseModel):
    """Base of all options: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _words(value: Any) -> Any:
    """Return "a b" as a list: `--params` splits at commas, so it cannot hold one."""
    if isinstance(value, str):
        return value.split()
    return [value] if isinstance(value, int) else value


Names = Annotated[list[str], BeforeValidator(_words)]
Numbers = Annotated[list[int], BeforeValidator(_words)]


class IngestOptions(Options):
    """How raw folders become samples.

    `random_third` and `lowest_third` are the paper's two protocols (Sec. IV-A, V-A);
    `base_share` of 1.0 keeps every defect for the generator and leaves no test set.
    """

    protocol: Literal["random_third", "lowest_third"] = "random_third"
    partition: int = Field(0, ge=0, le=2)
    base_share: float = Field(1 / 3, gt=0, le=1)
    max_base: int = Field(30, ge=2)
    shots: int | None = Field(
        None, ge=2, description="base images kept per type, the rest unused; null: all"
    )
    seed: int = Field(0, ge=0)
    categories: Names | None = None
    defect_types: Names | None = None
    max_defects: int | None = Field(
        None, ge=2, description="per type, lowest ids; 21 is the paper's DeepCrack (Sec. IV-A1)"
    )
    radiograph_context: float = Field(2.0, ge=1)
    group_by: str | None = Field(None, description="regex on the file stem; group 1 is the part")


class LatentMaskOptions(Options):
    """Eq. 4: DDIM inversion, slerp, DDIM sampling."""

    steps: int = Field(20, ge=2)
    batch_size: int = Field(16, ge=1)
    prompt: str = "a binary mask"
    threshold: float = Field(0.5, gt=0, lt=1)


class MaskOptions(Options):
    """Stage 1, Hybrid Mask Interpolation; `method: geometric` is the paper's "without HMI"."""

    count: int = Field(1000, ge=1)
    per: Literal["run", "type"] = "run"
    method: Literal["hybrid", "image", "latent", "perlin", "geometric"] = "hybrid"
    tau: float = Field(0.053, gt=0, lt=1)
    estimator: Literal["distance", "coordinates"] = "distance"
    frames_per_pair: int = Field(10, ge=1)
    max_side: int = Field(512, ge=32)
    tolerance: float = Field(0.25, gt=0)
    pairs: dict[str, list[tuple[str, str]]] = Field(default_factory=dict)
    latent: LatentMaskOptions = LatentMaskOptions()
    seed: int = Field(0, ge=0)


class PromptOptions(Options):
    """One wording for training and synthesis; underscores of names become spaces."""

    defect: str = "a photo of a {category} surface with {defect_type}"
    normal: str = "a photo of a {category} surface"


class FinetuneOptions(Options):
    """Few-shot adaptation of the ControlNet (Sec. III-B); `adapt` says what else moves."""

    adapt: Literal["frozen", "joint", "lora"] = "joint"
    lora_rank: int = Field(8, ge=1)
    steps: int = Field(400, ge=1)
    batch_size: int = Field(16, ge=1)
    gradient_accumulation: int = Field(1, ge=1)
    learning_rate: float = Field(2e-4, gt=0)
    mixed_precision: Literal["auto", "no", "fp16", "bf16"] = "auto"
    gradient_checkpointing: bool = False
    strength: float = Field(0.3, gt=0, le=1, description="noise levels trained, as synthesis has")
    mask_weight: float = Field(5.0, ge=1)
    normal_share: float = Field(0.25, ge=0, lt=1)
    crops_per_sample: int = Field(16, ge=1)
    flip: bool = True
    held_out: int = Field(1, ge=0)
    validate_every: int = Field(50, ge=1)
    patience: int = Field(6, ge=1)
    checkpoint_every: int = Field(100, ge=1)
    seed: int = Field(0, ge=0)


class FramingOptions(Options):
    """Which window of the background the model sees (see `appearance.framing`)."""

    mode: Literal["roi", "full"] = "roi"
    context: float = Field(2.0, ge=1)
    resolution: int | None = Field(None, ge=32, description="None is the base model's own")
    minimum: int | None = Field(None, ge=16, description="smallest side, native px; None likewise")


class SaeOptions(Options):
    """Selective Attention Enhancement, Eq. 5-8."""

    enabled: bool = True
    weights: Literal["eq7", "minmax"] = "minmax"
    cap: float | None = Field(None, gt=1)
    angles: int = Field(72, ge=1)


class SffOptions(Options):
    """Similarity-based Feature Fusion, Eq. 9; `group` images of one type are fused together."""

    enabled: bool = True
    rate: float = Field(0.2, gt=0, le=1)
    base_weight: float = Field(0.7, ge=0, le=1)
    group: int = Field(4, ge=1)


class ComposeOptions(Options):
    """How a generated latent becomes pixels of the user's image."""

    mode: Literal["delta", "feather", "exemplar"] = "exemplar"
    collar: float = Field(2.0, ge=0, description="feather outside the mask, native pixels")
    relative: bool = True


class SynthesisOptions(Options):
    """Stage 2 at inference (Sec. IV-A4: DDIM, 20 steps, eta 0), and what is published of it."""

    count: int = Field(1000, ge=1)
    per: Literal["run", "type"] = "run"
    attempts: int = Field(4, ge=1, description="at an image, until it is accepted")
    nulls: int = Field(900, ge=1, description="that a certificate is fitted on, per category")
    placement: Literal["part", "as_is"] = "part"
    engine: Literal["auto", "transfer", "paste", "patch", "mixture", "diffusion"] = "auto"
    trials: int = Field(16, ge=1, description="images per type and engine that `auto` makes")
    steps: int = Field(20, ge=1)
    strength: float = Field(0.3, gt=0, le=1)
    guidance: float = Field(1.0, ge=1)
    batch_size: int = Field(16, ge=1)
    sae: SaeOptions = SaeOptions()
    sff: SffOptions = SffOptions()
    compose: ComposeOptions = ComposeOptions()
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _engine_fits(self) -> SynthesisOptions:
        if self.engine != "diffusion" and self.compose.mode != "exemplar":
            raise ValueError(
                f"engine {self.engine} composes exemplars: with compose.mode {self.compose.mode} "
                "use engine: diffusion"
            )
        return self


class PretrainOptions(Options):
    """The compact base, trained from nothing on procedural scenes drawn afresh at every step."""

    vae_steps: int = Field(4000, ge=1)
    unet_steps: int = Field(4200, ge=1)
    vae_batch_size: int = Field(8, ge=1)
    unet_batch_size: int = Field(16, ge=1)
    vae_learning_rate: float = Field(1.5e-3, gt=0)
    unet_learning_rate: float = Field(4e-4, gt=0)
    mask_weight: float = Field(3.0, ge=1)
    ema: float = Field(0.999, ge=0, lt=1)
    checkpoint_every: int = Field(250, ge=1)
    seed: int = Field(0, ge=0)


class ExternalOptions(Options):
    """A folder of image-mask pairs made by another system."""

    path: str
    layout: Literal["auto", "folders", "mvtec", "suffix"] = "auto"


class ArmOptions(Options):
    """What the training sets are made of; `names` are arms, `a+b` mixtures, `a@n` n images."""

    names: Names = Field(["base", "normals_only", "crop_paste_matched", "defectsynth"])
    accepted_only: bool = True
    external: dict[str, ExternalOptions] = Field(default_factory=dict)
    ratio: Numbers | None = None
    ratio_arm: str = "defectsynth"
    seed: int = Field(0, ge=0)


class SetOptions(Options):
    """How many images a training set has, the same in every arm, per category."""

    count: int = Field(200, ge=1, description="the arm's own images")
    per: Literal["category", "type"] = "category"
    real: int | None = Field(200, ge=0, description="real base images, repeated; None: each once")
    normals: int = Field(100, ge=0, description="defect-free images")


class AugmentOptions(Options):
    """On-line augmentation of every arm; "auto" is learnt from the category's base and normals."""

    flip_x: bool | Literal["auto"] = "auto"
    flip_y: bool | Literal["auto"] = "auto"
    quarter_turns: bool | Literal["auto"] = "auto"
    turn: float = Field(10.0, ge=0, le=45, description="degrees either way")
    scale: float = Field(0.1, ge=0, le=0.5, description="share by which windows grow or shrink")
    gain: float | Literal["auto"] = "auto"


class TrainingOptions(Options):
    """What both detectors' training shares; exactly one of `steps` and `epochs` is given."""

    steps: int | None = Field(150, ge=1)
    epochs: int | None = Field(None, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    encoder_rate: float = Field(0.1, gt=0, le=1, description="of a pretrained encoder, relative")
    average: float = Field(0.1, ge=0, le=1, description="share of the steps that is averaged")
    weights: str = "auto"
    validate_every: int = Field(50, ge=1)
    checkpoint_every: int = Field(500, ge=1)

    @model_validator(mode="after")
    def _one_length(self) -> TrainingOptions:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give steps or epochs, and null for the other")
        return self


class PaperOptions(Options):
    """The paper's detector (Sec. V-A), trained beside the main one with few arms and seeds."""

    network: Literal["resnet18", "resnet34"] = "resnet34"
    side: int = Field(96, ge=32)
    steps: int = Field(150, ge=1)
    arms: Names = ["base", "defectsynth"]
    seeds: int = Field(1, ge=1, description="how many of protocol.seeds")


class PaperUNetOptions(PaperOptions):
    """The paper's localizer; `patch` as in `LocalizationOptions`."""

    network: Literal["resnet18", "resnet34"] = "resnet18"
    side: int = Field(256, ge=32)
    steps: int = Field(100, ge=1)
    patch: int | None = Field(96, ge=32)


class ClassificationOptions(Options):
    """Which network tells the defect types of a category apart."""

    network: Literal["auto", "linear", "lite0", "resnet18", "resnet34"] = "auto"
    side: int = Field(384, ge=32)
    training_set: SetOptions = SetOptions(normals=0)
    training: TrainingOptions = TrainingOptions()
    paper: PaperOptions | None = PaperOptions()


class LocalizationOptions(Options):
    """U-Net on all defect types of a category (Sec. V-A)."""

    side: int = Field(512, ge=32, description="longer side of the image as the network sees it")
    patch: int | None = Field(128, ge=32, description="side of training windows; None: all of it")
    encoder: Literal["auto", "lite0", "resnet18", "resnet34"] = "auto"
    training_set: SetOptions = SetOptions()
    training: TrainingOptions = TrainingOptions(steps=130)
    paper: PaperUNetOptions | None = PaperUNetOptions()


class ShareOptions(Options):
    """What a batch holds, the same in every arm; the arm's own images have the rest."""

    real: float = Field(0.5, ge=0, le=1, description="real base images")
    normals: float = Field(0.25, ge=0, le=1, description="defect-free images")

    @model_validator(mode="after")
    def _room(self) -> ShareOptions:
        if self.real + self.normals >= 1:
            raise ValueError("real and normals leave no share for the arm's own images")
        return self

    def by_kind(self) -> dict[str, float]:
        """Return the share of every kind of row."""
        rest = 1 - self.real - self.normals
        return {"real": self.real, "normal": self.normals, "own": rest}


class ProtocolOptions(Options):
    """How arms are compared: paired seeds, no look at the test set, intervals by bootstrap."""

    seeds: Numbers = Field([0, 1], min_length=1)
    shares: ShareOptions | None = Field(ShareOptions(), description="None: every row once an epoch")
    augment: AugmentOptions = AugmentOptions()
    select: Literal["last", "validation"] = "last"
    folds: int = Field(1, ge=1, description="trainings with a part of the base held out")
    validation_share: float = Field(0.25, gt=0, lt=1)
    patience: int = Field(4, ge=1, description="judgements without a gain that end such a training")
    legacy: bool = False
    bootstrap: int = Field(1000, ge=100)
    confidence: float = Field(0.95, gt=0.5, lt=1)
    ceiling: float = Field(0.95, gt=0, le=1)
    smallest_difference: float = Field(0.01, ge=0, lt=1)
    largest_detectable: float = Field(0.15, gt=0, le=1)
