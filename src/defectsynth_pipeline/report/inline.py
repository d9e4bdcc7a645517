"""Pictures as data URIs, so that a page is one file."""

from __future__ import annotations

import base64
import io

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

_QUALITY = 80  # of a JPEG


def photograph(array: np.ndarray) -> str:
    """A JPEG of uint8 (H, W, 3), for photographs."""
    return _uri(_saved(Image.fromarray(array), "JPEG", quality=_QUALITY), "jpeg")


def drawing(figure: Figure, dpi: int = 110) -> str:
    """A PNG of few colours, for lines and letters."""
    return _uri(_saved(_rendered(figure, dpi).quantize(64), "PNG", optimize=True), "png")


def picture(figure: Figure, dpi: int = 110) -> str:
    """A JPEG of a figure that is made of photographs."""
    return _uri(_saved(_rendered(figure, dpi), "JPEG", quality=_QUALITY), "jpeg")


def _rendered(figure: Figure, dpi: int) -> Image.Image:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return Image.open(buffer).convert("RGB")


def _saved(image: Image.Image, kind: str, **how: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
