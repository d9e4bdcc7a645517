"""Stage 2: how images are made, and which processes make them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from defectsynth_pipeline.bounds import (
    Batch,
    Contradiction,
    Few,
    Images,
    NoiseLevels,
    Options,
    Seed,
    Share,
)


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
