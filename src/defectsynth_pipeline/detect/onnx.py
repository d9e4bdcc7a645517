"""A detector as ONNX: photographs in, maps out, for whatever runs it without Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.features.encoder import normalised
from defectsynth_pipeline.inspection.localization import STRIDE
from defectsynth_pipeline.inspection.normals_only import MemoryDetector
from defectsynth_pipeline.publishing import written_whole

INPUT, OUTPUT = "images", "logits"
ALIKE = 1e-3  # logits by which the two may differ


class _Whole(nn.Module):
    """A localizer that takes pixels as they are, float32 (B, 3, h, w) in [0, 255]."""

    shift: Tensor
    scale: Tensor

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        black, white = (normalised(np.full((1, 1, 1, 3), v, np.uint8)) for v in (0, 255))
        self.register_buffer("shift", black)
        self.register_buffer("scale", (white - black) / 255)
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (B, 1, h, w)."""
        found: Tensor = self.model(images * self.scale + self.shift)
        return found


def write_onnx(model: nn.Module, shape: tuple[int, int], told: dict[str, Any], file: Path) -> float:
    """Write a localizer and read it back.

    Args:
        model: From `DetectorSet.model`.
        shape: (h, w) of photographs at the network's scale; sides are rounded up to multiples of
            32, by which the reader has to reflect or pad.
        told: Kept in the file as metadata: category, types, threshold.
        file: To be written.

    Returns:
        The largest difference between the maps of torch and onnxruntime, in logits.

    Raises:
        InputError: The extra `onnx` is not installed, the detector is a memory of good images, or
            maps differ.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (torch's exporter wants it)
    except ImportError as error:
        raise InputError(
            "the packages for ONNX are not installed",
            value=error.name,
            remedy="pip install 'defectsynth-pipeline[onnx]'",
        ) from error
    if isinstance(model, MemoryDetector):
        raise InputError(
            "a memory of good images cannot be written as ONNX",
            value="normals_only",
            remedy="name the arm of a network: --arm base",
        )
    height, width = (-(-side // STRIDE) * STRIDE for side in shape)
    whole = _Whole(model).eval()
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (2, 3, height, width)).astype(np.float32)
    with written_whole(file) as aside:
        torch.onnx.export(
            whole,
            (torch.from_numpy(pixels),),
            str(aside),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        saved = onnx.load(str(aside))
        for key, value in told.items():
            saved.metadata_props.add(key=key, value=json.dumps(value))
        onnx.save(saved, str(aside))
        session = onnxruntime.InferenceSession(str(aside), providers=["CPUExecutionProvider"])
        with torch.no_grad():
            here = whole(torch.from_numpy(pixels)).numpy()
        (there,) = session.run([OUTPUT], {INPUT: pixels})
        difference = float(np.abs(here - there).max())
        if not difference <= ALIKE:
            raise InputError(
                "onnxruntime gives other maps than torch",
                value=f"they differ by {difference:.2g} logits",
                remedy="use another release of onnxruntime",
            )
    return difference
