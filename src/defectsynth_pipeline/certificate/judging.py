"""The certificate as the renderer asks it, and the autoencoder as the certificate does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from defectsynth_pipeline.appearance.engines import Judged, Made
from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.certificate.certificate import REJECTED, Certificate
from defectsynth_pipeline.imaging.pixels import resize
from defectsynth_pipeline.options import FramingOptions
from defectsynth_pipeline.rendering import Spread


class Generator(NamedTuple):
    """What `render_plan` works with.

    Attributes:
        base: The base model with the fine-tuned networks in place.
        framing: Which window of a background the model sees.
        judge: Says of an image whether it may be published.
        spread: Lets the processes render that are there for it.
    """

    base: BaseModel
    framing: FramingOptions
    judge: Callable[[Made], Judged]
    spread: Spread


def judge_with(certificate: Certificate) -> Callable[[Made], Judged]:
    """Return what `render_plan` asks: whether an image is accepted, its mask, and why."""
    return partial(_judge, certificate)


def _judge(certificate: Certificate, made: Made) -> Judged:
    row, pictures = made.row, (made.image, made.background, made.mask)
    found = certificate.judge(row.category, row.defect_type, *pictures)
    told = {"verdict": found.verdict, "reason": found.reason} | found.record
    return Judged(found.verdict != REJECTED, found.mask, told, found.unlike)


def through_autoencoder(base: BaseModel, picture: np.ndarray) -> np.ndarray:
    """Return a picture (h, w, 3) in [0, 1] encoded and decoded at the base model's resolution."""
    side = (base.resolution, base.resolution)
    seen = torch.from_numpy(resize(picture, side)).permute(2, 0, 1)[None] * 2 - 1
    decoded = base.decode(base.encode(seen))[0].permute(1, 2, 0).cpu().numpy()
    return resize((decoded + 1) / 2, picture.shape[:2])
