"""16 bits per colour channel, which Pillow silently reads as 8 and cannot write."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from defectsynth_pipeline.errors import InputError

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = (2, 6)
_BITS_PER_SAMPLE = 258


def is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Whether Pillow has cut the colour of this file down to 8 bits.

    Args:
        image: The file as Pillow opened it.
        data: The file's content.
    """
    if data.startswith(_PNG_SIGNATURE):
        return data[24] == 16 and data[25] in _COLOUR_TYPES
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    return len(bits) >= 3 and max(bits) > 8


def decode_deep_colour(data: bytes, file: Path) -> np.ndarray:
    """Decode a 16-bit colour PNG or TIFF.

    Args:
        data: The file's content.
        file: Its path, for messages.

    Returns:
        uint16 (H, W, 3).

    Raises:
        InputError: It cannot be decoded, or holds more than three opaque channels.
    """
    try:
        array = _decode_png(data) if data.startswith(_PNG_SIGNATURE) else _decode_tiff(data)
    except Exception as error:  # libpng and tifffile raise many kinds
        raise InputError(
            "the 16-bit colour image cannot be decoded",
            file=file,
            value=error,
            remedy="save it as uncompressed TIFF or as PNG",
        ) from error
    if array.ndim == 3 and array.shape[2] == 4 and (array[..., 3] == 65535).all():
        array = np.ascontiguousarray(array[..., :3])
    if array.dtype != np.uint16 or array.ndim != 3 or array.shape[2] != 3:
        raise InputError(
            "unsupported image mode or bit depth",
            file=file,
            value=f"{array.dtype}, {array.shape}",
            remedy="save it as RGB, 8 or 16 bit, without transparency, PNG",
        )
    return array


def encode_deep_png(array: np.ndarray) -> bytes:
    """Encode as 16-bit colour PNG, without row filters.

    Args:
        array: uint16 (H, W, 3).

    Returns:
        The file's bytes.
    """
    height, width, _ = array.shape
    rows = np.ascontiguousarray(array.astype(">u2")).view(np.uint8).reshape(height, width * 6)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 4)), (b"IEND", b""))
    return _PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


def _decode_png(data: bytes) -> np.ndarray:
    import torch
    from torchvision.io import ImageReadMode, decode_image

    buffer = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    return decode_image(buffer, ImageReadMode.UNCHANGED).permute(1, 2, 0).contiguous().numpy()


def _decode_tiff(data: bytes) -> np.ndarray:
    import tifffile

    return np.asarray(tifffile.imread(io.BytesIO(data)))
