"""A detector written as ONNX and read back."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from defectsynth_pipeline.detect.onnx import write_onnx
from defectsynth_pipeline.inspection.localization import Localization, score_maps
from defectsynth_pipeline.inspection.normals_only import MemoryDetector
from refusals import refused

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def test_maps_are_those_of_torch(tmp_path, rng):
    torch.manual_seed(0)
    model, _ = Localization.build("resnet18", 1, "none")
    model.eval()
    file = tmp_path / "new" / "detector.onnx"
    assert write_onnx(model, (60, 64), {"category": "plate", "threshold": 1.5}, file) < 1e-3
    told = {one.key: json.loads(one.value) for one in onnx.load(str(file)).metadata_props}
    assert told["category"] == "plate"
    assert told["threshold"] == 1.5
    photographs = rng.integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    session = runtime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    pixels = photographs.transpose(0, 3, 1, 2).astype(np.float32)
    (logits,) = session.run(None, {"images": pixels})
    expected = score_maps(model, photographs).numpy()
    # torch may compute in bfloat16 here, onnxruntime does not.
    assert np.abs(logits[:, 0] - expected).max() < 0.1 * max(1, np.abs(expected).max())


def test_a_memory_is_refused(tmp_path):
    with refused("cannot be written as ONNX", remedy="--arm base"):
        write_onnx(MemoryDetector(), (64, 64), {}, tmp_path / "m.onnx")
