"""How folders become samples."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from defectsynth_pipeline.bounds import Contradiction, Names, Options, Seed, Share


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
