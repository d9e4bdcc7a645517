"""Image and mask files as arrays, and back: what is accepted, and why not.

Pillow silently reads 16 bits per colour channel as 8 and cannot write them, so that is done here.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from scipy import ndimage

from defectsynth_pipeline.errors import InputError

IMAGE_SUFFIXES = frozenset({".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg"})
MAX_PIXELS = 80_000_000  # several copies of an image are in memory at once
_FORMATS = ("PNG", "TIFF", "BMP", "JPEG")  # Pillow would start Ghostscript for an EPS
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = (2, 6)
_BITS_PER_SAMPLE = 258
_SAVE_AS = "save it as grey or RGB, 8 or 16 bit, PNG"
_NEAR = 32
_SOLID_GREY_SHARE = 0.05
_INVERTED_SHARE = 0.95


def decode_image(data: bytes, file: Path) -> np.ndarray:
    """Decode the bytes of a photograph or radiograph.

    Palette images become grey or RGB; an alpha channel is dropped when it is opaque everywhere.
    The EXIF orientation is applied, as annotation tools do.

    Args:
        data: The file's content.
        file: Its path, for messages.

    Returns:
        uint8 or uint16, (H, W) or (H, W, 3).

    Raises:
        InputError: Empty, truncated, over `MAX_PIXELS`, several pages, another format than PNG,
            TIFF, BMP and JPEG, or a mode such as CMYK, 1 bit or float.
    """
    image = _open(data, file)
    if _is_deep_colour(image, data):
        return _decode_deep_colour(data, file)
    if image.mode == "1":
        raise InputError(
            "a 1-bit image holds no texture", file=file, value=image.mode, remedy=_SAVE_AS
        )
    return _to_array(image, file)


def decode_mask(data: bytes, file: Path) -> np.ndarray:
    """Decode the bytes of a mask: any two values, or near-binary with anti-aliased edges.

    Args:
        data: The file's content.
        file: Its path, for messages.

    Returns:
        bool (H, W), True on the defect.

    Raises:
        InputError: As `decode_image`; also an empty mask, grey areas, or an inverted mask.
    """
    mask = _binarise(decode_levels(data, file), file)
    if not mask.any():
        raise InputError(
            "the mask is empty",
            file=file,
            value="0 defect pixels",
            remedy="draw the defect in white on black, or move the image to the good ones",
        )
    if mask.mean() > _INVERTED_SHARE:
        raise InputError(
            "the mask covers almost the whole image; is it inverted?",
            file=file,
            value=f"{mask.mean():.1%} of the pixels",
            remedy="draw the defect in white on black",
        )
    return mask


def decode_levels(data: bytes, file: Path) -> np.ndarray:
    """Decode the bytes of a mask without deciding what is defect.

    Returns:
        uint8 (H, W), the brightest channel; 16 bit only where more than 8 are used are cut to 8.
    """
    image = _open(data, file)
    values = _to_array(image.convert("L") if image.mode == "1" else image, file)
    if values.ndim == 3:
        values = values.max(axis=2)
    if values.dtype == np.uint16:
        values = (values >> 8 if values.max() > 255 else values).astype(np.uint8)
    return values


def encode_png(array: np.ndarray, text: Mapping[str, str] | None = None) -> bytes:
    """Encode losslessly as PNG; Pillow has no 16-bit RGB, so that one is written here.

    Args:
        array: bool (H, W), or uint8 or uint16, (H, W) or (H, W, 3).
        text: Written into the file by key; what is not Latin-1 as iTXt, the rest as tEXt.

    Returns:
        The file's bytes; a bool array becomes 0 and 255.
    """
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype == np.uint16 and array.ndim == 3:
        return _encode_deep_png(array, text or {})
    buffer = io.BytesIO()
    chunks = _text_chunks(text or {})
    Image.fromarray(array).save(buffer, format="PNG", compress_level=2, pnginfo=chunks)
    return buffer.getvalue()


def _open(data: bytes, file: Path) -> Image.Image:
    if not data:
        raise InputError(
            "the file is empty", file=file, value="0 bytes", remedy="copy it again or remove it"
        )
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise Image.DecompressionBombError(f"{image.width} x {image.height}")
        pages = getattr(image, "n_frames", 1)
        image.load()
    except Image.DecompressionBombError as error:
        raise InputError(
            "the image is too large",
            file=file,
            value=f"{error}; at most {MAX_PIXELS // 10**6} million pixels are read",
            remedy="cut it into smaller images",
        ) from error
    except Exception as error:  # Pillow's plugins raise OSError, SyntaxError, struct.error, ...
        unknown = isinstance(error, UnidentifiedImageError)
        reason = f"no {', '.join(_FORMATS)}" if unknown else error
        raise InputError(
            "the image cannot be decoded: truncated or not an image",
            file=file,
            value=f"{len(data)} bytes, {reason}",
            remedy="copy it again or remove it",
        ) from error
    if pages > 1:
        raise InputError(
            "the image has several pages",
            file=file,
            value=f"{pages} pages",
            remedy="save each page as a file of its own",
        )
    if image.getexif().get(ExifTags.Base.Orientation, 1) != 1:
        if _is_deep_colour(image, data):
            raise InputError(
                "a 16-bit colour image is rotated by a tag",
                file=file,
                value="EXIF orientation",
                remedy="save it the way up it belongs, without the tag",
            )
        ImageOps.exif_transpose(image, in_place=True)
    return image


def _to_array(image: Image.Image, file: Path) -> np.ndarray:
    if image.mode == "P":
        image = _resolve_palette(image)
    if image.mode in ("RGBA", "LA"):
        _check_opaque(image, file)
        image = image.convert(image.mode[:-1])
    if image.mode in ("L", "RGB"):
        return np.array(image)
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16)
    if image.mode == "I" and image.format == "PNG":
        return np.array(image).clip(0, 65535).astype(np.uint16)
    raise InputError(
        "unsupported image mode or bit depth", file=file, value=image.mode, remedy=_SAVE_AS
    )


def _resolve_palette(image: Image.Image) -> Image.Image:
    """A palette image as L, LA, RGB or RGBA, whatever its colours need."""
    colour = image.convert("RGBA" if "transparency" in image.info else "RGB")
    values = np.array(colour)[..., :3]
    if (values == values[..., :1]).all():
        return colour.convert("LA" if colour.mode == "RGBA" else "L")
    return colour


def _check_opaque(image: Image.Image, file: Path) -> None:
    lowest = int(np.array(image)[..., -1].min())
    if lowest < 255:
        raise InputError(
            "the image has a transparent part",
            file=file,
            value=f"{image.mode}, alpha down to {lowest}",
            remedy="flatten it: " + _SAVE_AS,
        )


def _binarise(values: np.ndarray, file: Path) -> np.ndarray:
    counts = np.bincount(values.ravel(), minlength=256)
    levels = np.flatnonzero(counts)
    if len(levels) == 1 or (len(levels) == 2 and levels[0] == 0):
        return values > 0
    grey = (values > _NEAR) & (values < 255 - _NEAR)
    mask = values > 127
    # Anti-aliased edges are a few pixels wide; a grey area is still there after an erosion.
    solid = ndimage.minimum_filter(grey, size=7, mode="nearest").sum()
    if levels[-1] <= 127 or grey.mean() > 0.25 or solid > _SOLID_GREY_SHARE * mask.sum():
        shown = ", ".join(str(level) for level in levels[:6])
        raise InputError(
            "the mask is neither binary nor near-binary",
            file=file,
            value=f"{len(levels)} grey levels ({shown}, ...), {grey.mean():.1%} in between",
            remedy="save one mask per defect type with two values, 0 and 255",
        )
    return mask


def _is_deep_colour(image: Image.Image, data: bytes) -> bool:
    """Whether Pillow has cut the colour of this file down to 8 bits."""
    if data.startswith(_PNG_SIGNATURE):
        return data[24] == 16 and data[25] in _COLOUR_TYPES
    bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
    return len(bits) >= 3 and max(bits) > 8


def _decode_deep_colour(data: bytes, file: Path) -> np.ndarray:
    """Decode a 16-bit colour PNG or TIFF of three opaque channels: uint16 (H, W, 3)."""
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


def _text_chunks(text: Mapping[str, str]) -> PngInfo:
    chunks = PngInfo()
    for key, value in text.items():
        chunks.add_text(key, value)
    return chunks


def _encode_deep_png(array: np.ndarray, text: Mapping[str, str]) -> bytes:
    """Encode uint16 (H, W, 3) as 16-bit colour PNG, without row filters."""
    height, width, _ = array.shape
    rows = np.ascontiguousarray(array.astype(">u2")).view(np.uint8).reshape(height, width * 6)
    filtered = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    told = [(name, body) for name, body, *_ in _text_chunks(text).chunks]
    pixels = zlib.compress(filtered.tobytes(), 4)
    chunks = ((b"IHDR", header), *told, (b"IDAT", pixels), (b"IEND", b""))
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
