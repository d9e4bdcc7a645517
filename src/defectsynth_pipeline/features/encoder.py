"""The frozen encoder: ImageNet features of an image at several strides (EfficientNet-Lite0).

Loaded in one place; certificate, memories, classifiers and measures see through it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import timm
import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d, Conv2dSame
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from defectsynth_pipeline.features.weights import LITE0, TIMM_NAME, load_imagenet
from defectsynth_pipeline.imaging.pixels import to_float

STRIDES = (2, 4, 8, 16, 32)
CHANNELS = (16, 24, 40, 112, 320)
_MEAN = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)  # of ImageNet, as torchvision has it
_STD = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
_AT_ONCE = 4 * 224 * 224  # px: of more a processor's caches cannot hold a layer, and all wait


def as_rgb8(image: np.ndarray) -> np.ndarray:
    """Return an image, grey or RGB, uint8 or uint16, as uint8 (H, W, 3)."""
    return np.asarray(np.rint(to_float(image) * 255).astype(np.uint8))


def normalised(images: np.ndarray) -> Tensor:
    """Return uint8 (B, h, w, 3) as a network input, float32 (B, 3, h, w), channels last."""
    tensor = torch.tensor(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return (tensor.float() / 255 - _MEAN) / _STD


@lru_cache
def encoder() -> nn.Module:
    """Return the frozen encoder, on a GPU where there is one.

    Raises:
        InputError: Its weights are missing or changed.
    """
    model = timm.create_model(TIMM_NAME, features_only=True, out_indices=tuple(range(5)))
    load_imagenet(model, LITE0, "auto")
    fold_batch_norms(model.eval())
    fold_padding(model)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(memory_format=torch.channels_last).to(device)
    return model.requires_grad_(False)  # type: ignore[no-any-return]


def fold_batch_norms(model: nn.Module) -> None:
    """Let every convolution do the work of the batch norm behind it: a quarter less time.

    Args:
        model: In evaluation mode; its norms are timm's, which hold their activation.
    """
    for block in list(model.modules()):
        before = ""
        for name, layer in list(block.named_children()):
            if isinstance(layer, nn.Conv2d):
                before = name
            elif isinstance(layer, BatchNormAct2d) and before:
                setattr(block, before, fuse_conv_bn_eval(getattr(block, before), layer))
                setattr(block, name, layer.act)
                before = ""


def fold_padding(model: nn.Module) -> None:
    """Let strided convolutions pad even images themselves: a tenth less time.

    TensorFlow pads an even image by one row and column more behind it than before it, which torch
    can only do by a copy. With a zero row and column before the kernel both sides are alike.

    Args:
        model: In evaluation mode, with timm's convolutions of odd kernels.
    """
    for block in list(model.modules()):
        for name, layer in list(block.named_children()):
            if isinstance(layer, Conv2dSame) and layer.stride == (2, 2):
                setattr(block, name, _PaddingWithin(layer))


class _PaddingWithin(nn.Module):
    def __init__(self, layer: Conv2dSame) -> None:
        super().__init__()
        self.layer = layer
        self.weight = nn.Parameter(F.pad(layer.weight, (1, 0, 1, 0)))
        self.before = layer.kernel_size[0] // 2

    def forward(self, planes: Tensor) -> Tensor:
        if planes.shape[2] % 2 or planes.shape[3] % 2:
            return self.layer(planes)  # type: ignore[no-any-return]
        bias, groups = self.layer.bias, self.layer.groups
        return F.conv2d(planes, self.weight, bias, 2, self.before, 1, groups)


@torch.no_grad()
def levels_of(inputs: Tensor, strides: Sequence[int] = STRIDES) -> list[Tensor]:
    """Return the features of images at some strides.

    Args:
        inputs: float32 (B, 3, h, w), as `normalised` returns them.
        strides: Of `STRIDES`, in ascending order.

    Returns:
        A level per stride, float32 (B, C, ceil(h / stride), ceil(w / stride)), on the CPU; C is
        that of `CHANNELS`.
    """
    device = next(encoder().parameters()).device
    pixels = inputs.shape[-2] * inputs.shape[-1]
    count = _AT_ONCE // pixels if device.type == "cpu" else len(inputs)
    parts = inputs.split(max(1, count))
    found = [encoder()(part.to(device)) for part in parts]
    chosen = [STRIDES.index(stride) for stride in strides]
    return [torch.cat([levels[number] for levels in found]).float().cpu() for number in chosen]


def on_grid(inputs: Tensor, strides: Sequence[int], grid: int) -> Tensor:
    """Return several levels on the grid of one: finer ones averaged, coarser ones interpolated.

    Args:
        inputs: As in `levels_of`.
        strides: As in `levels_of`.
        grid: One of them.

    Returns:
        float32 (B, C, ceil(h / grid), ceil(w / grid)), C the sum over the levels.
    """
    levels = levels_of(inputs, strides)
    height, width = levels[strides.index(grid)].shape[-2:]
    even = [
        F.adaptive_avg_pool2d(level, (height, width))
        if stride <= grid
        else F.interpolate(level, (height, width), mode="bilinear", align_corners=False)
        for stride, level in zip(strides, levels, strict=True)
    ]
    return torch.cat(even, 1)


def feature_levels(images: np.ndarray, strides: Sequence[int] = STRIDES) -> list[Tensor]:
    """Return `levels_of` images as they are, uint8 (B, h, w, 3)."""
    return levels_of(normalised(images), strides)


def patches_of(levels: Sequence[Tensor]) -> Tensor:
    """Return what each patch looks like, with its surroundings.

    The levels are averaged over 3 x 3 patches, the coarser ones brought to the finest grid (Roth
    et al., "Towards total recall in industrial anomaly detection", CVPR 2022, Eq. 1-3), each
    divided by the square root of its number of channels.

    Args:
        levels: Two or more of `feature_levels`, the finest first.

    Returns:
        float32 (B, h, w, C), of the finest level's (h, w).
    """
    grid = levels[0].shape[-2:]
    means = [
        F.avg_pool2d(level, 3, 1, 1, count_include_pad=False) / level.shape[1] ** 0.5
        for level in levels
    ]
    even = [F.interpolate(mean, grid, mode="bilinear", align_corners=False) for mean in means]
    return torch.cat(even, 1).permute(0, 2, 3, 1).contiguous()


def patch_features(images: np.ndarray) -> Tensor:
    """Return `patches_of` 8 px: float32 (B, ceil(h / 8), ceil(w / 8), 152) of (B, h, w, 3)."""
    return patches_of(feature_levels(images, (8, 16)))
