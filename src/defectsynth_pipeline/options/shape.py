"""Stage 1: how masks are made."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from defectsynth_pipeline.bounds import Batch, Contradiction, Few, Images, Options, Seed, Side


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
