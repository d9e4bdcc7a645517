"""What is measured of the images, and where they go."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from defectsynth_pipeline.bounds import (
    Contradiction,
    Few,
    Images,
    Names,
    Options,
    Seed,
    Side,
    distinct,
    words,
)


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
