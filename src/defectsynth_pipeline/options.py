"""Typed parameters, one model per stage; Kedro builds them before any node runs."""

from __future__ import annotations

import re
from difflib import get_close_matches
from math import ceil
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from defectsynth_pipeline.bounds import (
    Batch,
    Contradiction,
    Count,
    Counts,
    Few,
    Images,
    LearningRate,
    Names,
    NoiseLevels,
    Options,
    Seed,
    Seeds,
    Share,
    Side,
    Steps,
    distinct,
    words,
)


class IngestOptions(Options):
    """How raw folders become samples.

    `random_third` and `lowest_third` are the paper's two protocols (Sec. IV-A, V-A);
    `base_share` of 1.0 keeps every defect for the generator and leaves no test set.
    """

    protocol: Literal["random_third", "lowest_third"] = "random_third"
    partition: int = Field(0, ge=0, le=2)
    base_share: Share = 1 / 3
    max_base: int = Field(30, ge=2, le=10**6)
    shots: int | None = Field(
        None, ge=2, le=10**6, description="base images kept per type, the rest unused; null: all"
    )
    seed: Seed = 0
    categories: Names | None = None
    defect_types: Names | None = None
    max_defects: int | None = Field(
        None,
        ge=2,
        le=10**6,
        description="per type, lowest ids; 21 is the paper's DeepCrack (Sec. IV-A1)",
    )
    radiograph_context: float = Field(2.0, ge=1, le=100)
    group_by: str | None = Field(None, description="regex on the file stem; group 1 is the part")
    licence: str | None = Field(
        None, min_length=1, max_length=80, description="of all images; None: as their folders say"
    )

    labels: Names | None = Field(None, description="label files to read where a folder has several")
    boxes: Literal["refuse", "fill"] = "refuse"
    line_width: int | None = Field(None, ge=1, le=1000, description="px, of labels that are lines")

    @model_validator(mode="after")
    def _agree(self) -> IngestOptions:
        if self.shots is not None and self.shots > self.max_base:
            values = f"shots = {self.shots}, max_base = {self.max_base}"
            raise Contradiction(values, "keep no more shots than max_base lets in")
        if self.max_defects is not None and (self.shots or 0) > self.max_defects:
            values = f"shots = {self.shots}, max_defects = {self.max_defects}"
            raise Contradiction(values, "keep no more shots than max_defects reads")
        if self.protocol == "lowest_third" and self.partition:
            values = f"protocol = lowest_third, partition = {self.partition}"
            raise Contradiction(values, "the lowest third is one: use partition 0")
        return self


class LatentMaskOptions(Options):
    """Eq. 4: DDIM inversion, slerp, DDIM sampling."""

    steps: int = Field(20, ge=2, le=1000)
    batch_size: Batch = 16
    prompt: str = "a binary mask"
    threshold: float = Field(0.5, gt=0, lt=1)


class MaskOptions(Options):
    """Stage 1, Hybrid Mask Interpolation; `method: geometric` is the paper's "without HMI"."""

    count: Images = 1000
    per: Literal["run", "type"] = "run"
    method: Literal["hybrid", "image", "latent", "perlin", "geometric"] = "hybrid"
    tau: float = Field(0.053, gt=0, lt=1)
    estimator: Literal["distance", "coordinates"] = "distance"
    frames_per_pair: Few = 10
    max_side: Side = 512
    tolerance: float = Field(0.25, gt=0, le=10)
    pairs: dict[str, list[tuple[str, str]]] = Field(default_factory=dict)
    latent: LatentMaskOptions = LatentMaskOptions()
    seed: Seed = 0

    @model_validator(mode="after")
    def _pairs_fit(self) -> MaskOptions:
        if self.pairs and self.method in ("perlin", "geometric"):
            values = f"method = {self.method}, pairs of {', '.join(self.pairs)}"
            raise Contradiction(values, "leave the pairs out, or use a method that interpolates")
        for key, pairs in self.pairs.items():
            if any(first == second for first, second in pairs):
                raise Contradiction(f"pairs of {key}: {pairs}", "pair two different masks")
        return self


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


def _one_of_steps_and_epochs(steps: int | None, epochs: int | None) -> None:
    if (steps is None) == (epochs is None):
        values = f"steps = {steps}, epochs = {epochs}"
        raise Contradiction(values, "give one of them, and null for the other")


class FinetuneOptions(Options):
    """Few-shot adaptation of the ControlNet (Sec. III-B); `adapt` says what else moves."""

    adapt: Literal["frozen", "joint", "lora"] = "joint"
    lora_rank: Few = 8
    steps: Steps | None = 400
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
    checkpoint_every: Steps = 100
    seed: Seed = 0

    @model_validator(mode="after")
    def _one_length(self) -> FinetuneOptions:
        _one_of_steps_and_epochs(self.steps, self.epochs)
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


class SaeOptions(Options):
    """Selective Attention Enhancement, Eq. 5-8."""

    enabled: bool = True
    weights: Literal["eq7", "minmax"] = "minmax"
    cap: float | None = Field(None, gt=1, le=1000)
    angles: Few = 72


class SffOptions(Options):
    """Similarity-based Feature Fusion, Eq. 9; `group` images of one type are fused together."""

    enabled: bool = True
    similarity: Literal["cosine", "dot"] = "cosine"
    rate: Share = 0.2
    base_weight: float = Field(0.7, ge=0, le=1)
    group: int = Field(4, ge=1, le=64)


class ComposeOptions(Options):
    """How a generated latent becomes pixels of the user's image."""

    mode: Literal["delta", "feather", "exemplar"] = "exemplar"
    collar: float = Field(2.0, ge=0, le=100, description="feather outside the mask, native pixels")
    relative: bool = True


class SynthesisOptions(Options):
    """Stage 2 at inference (Sec. IV-A4: DDIM, 20 steps, eta 0), and what is published of it."""

    count: Images = 1000
    per: Literal["run", "type"] = "run"
    attempts: int = Field(4, ge=1, le=100, description="at an image, until it is accepted")
    nulls: int = Field(
        900, ge=1, le=10**5, description="that a certificate is fitted on, per category"
    )
    placement: Literal["part", "as_is"] = "part"
    engine: Literal["auto", "transfer", "paste", "patch", "mixture", "diffusion"] = "auto"
    trials: Few = Field(16, description="images per type and engine that `auto` makes")
    steps: NoiseLevels = 20
    strength: Share = 0.3
    guidance: float = Field(1.0, ge=1, le=100)
    batch_size: Batch = 16
    sae: SaeOptions = SaeOptions()
    sff: SffOptions = SffOptions()
    compose: ComposeOptions = ComposeOptions()
    seed: Seed = 0

    @model_validator(mode="after")
    def _agree(self) -> SynthesisOptions:
        if self.engine != "diffusion" and self.compose.mode != "exemplar":
            values = f"engine = {self.engine}, compose.mode = {self.compose.mode}"
            remedy = "use engine: diffusion with this mode; the others compose exemplars"
            raise Contradiction(values, remedy)
        if int(self.steps * self.strength) < 1:
            values = f"steps = {self.steps}, strength = {self.strength:g}"
            raise Contradiction(values, "raise one: less than one step would be run")
        return self


class ExecutionOptions(Options):
    """Which processes share the work; no result depends on it."""

    engine: Literal["local", "torchrun", "ray"] = "local"
    workers: int | None = Field(None, ge=1, le=4096, description="None: one per card or core")


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

    steps: Steps | None = 150
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
        _one_of_steps_and_epochs(self.steps, self.epochs)
        return self


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
    training: TrainingOptions = TrainingOptions(steps=130)
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


class QualityOptions(Options):
    """How generated images are measured against real ones, as the field does."""

    arms: Names = Field(["defectsynth", "crop_paste_matched"])
    images: Images = Field(100, description="of each arm and type, fewer where one has fewer")
    real: Literal["all", "base", "test"] = "all"
    inception: str = "auto"
    lpips: str = "auto"
    lpips_network: Literal["alex", "vgg"] = "alex"
    side: Side = Field(256, description="px to which a whole image is brought")
    region_side: Side = Field(128, description="px to which the window of a defect is brought")
    context: float = Field(2.0, ge=1, le=10, description="that window, in extents of the mask")
    estimated: Images = Field(10, description="whose background is estimated for a mask IoU")
    subset: int = Field(8, ge=2, le=1000, description="images of either in a subset of KID")
    subsets: Few = 100
    splits: Few = Field(1, description="of IS")
    neighbours: Few = Field(3, description="of precision and recall")
    halvings: Few = Field(10, description="of the real images, for the floor")
    seed: Seed = 0


ROWS = (
    *("all", "without_hmi", "without_sff", "without_sae"),
    *("masks_geometric", "masks_perlin", "masks_image", "masks_latent", "masks_hybrid"),
    *("steps_10", "steps_20", "steps_50"),
)
Parts = Annotated[
    list[Literal["table", "cost", "shots"]],
    BeforeValidator(words),
    Field(min_length=1),
    AfterValidator(distinct),
]
Shots = Annotated[
    list[Annotated[int, Field(ge=2, le=10**6)] | Literal["all"]],
    BeforeValidator(words),
    Field(min_length=1),
    AfterValidator(distinct),
]


class AblationOptions(Options):
    """What each idea is worth: which rows, how many images, and what is measured of them."""

    parts: Parts = Field(["table", "cost", "shots"])
    rows: Names = Field(list(ROWS))
    count: Images = Field(100, description="images of a row per defect type, one attempt at each")
    downstream: bool = Field(False, description="train detectors on every row's images too")
    shots: Shots = Field([3, 5, "all"], description="base images per type")
    shots_categories: Names | None = Field(None, description="None: all")
    cost_images: Few = Field(16, description="that are timed")
    cost_repeats: Few = Field(5, description="of every timing; the median is told")

    @model_validator(mode="after")
    def _rows_are_known(self) -> AblationOptions:
        for name in self.rows:
            if name in ROWS or re.fullmatch(r"steps_([1-9][0-9]{0,2}|1000)", name):
                continue
            close = get_close_matches(name, ROWS, n=1)
            known = f"use some of {', '.join(ROWS)}; steps_<n> with any n"
            raise Contradiction(f"rows: {name}", f"did you mean {close[0]}?" if close else known)
        return self


class ExportOptions(Options):
    """A set of images in the layout of another tool."""

    format: Literal["coco", "yolo", "voc", "mvtec", "hf", "labelstudio", "cvat"] = "coco"
    out: str | None = Field(None, min_length=1, description="folder; must be empty or new")
    rejected: bool = Field(False, description="what the certificate rejected comes along")
    normals: bool | None = Field(
        None, description="good images come along; None: only mvtec, which is of no use without"
    )
    real: bool = Field(False, description="the real defects of the base come along")
    instances: Literal["parts", "image"] = Field(
        "parts", description="an instance per part that touches no other, or one per image"
    )
    masks: Literal["auto", "rle", "polygon"] = Field(
        "auto", description="of coco; auto: a polygon where every reader gives the mask back"
    )
    commercial: bool = Field(False, description="for commercial use: sources must permit it")
    accept_licences: bool = Field(False, description="export for it whatever the sources say")
