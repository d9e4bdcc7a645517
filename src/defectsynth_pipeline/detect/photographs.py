"""Photographs of a folder, as large as those a detector knows; what cannot be read is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import IMAGE_SUFFIXES, decode_image

_ASPECT = 0.02  # by which the ratio of the sides may differ


@dataclass(frozen=True)
class Photograph:
    """One file.

    Attributes:
        name: Below the folder.
        image: None where the file is left out.
        size: (height, width) of the file; `image` may be another.
        note: Why it is left out, or what was done to it; "".
    """

    name: str
    image: np.ndarray | None
    size: tuple[int, int]
    note: str


def find_photographs(folder: Path) -> list[Path]:
    """Return the image files below a folder, in order.

    Raises:
        InputError: It is no folder, or there are none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
    if paths:
        return paths
    there = folder.is_dir()
    raise InputError(
        "there are no photographs" if there else "there is no such folder",
        file=folder,
        value=f"no file ends in {', '.join(sorted(IMAGE_SUFFIXES))}" if there else None,
        remedy="name the folder that they lie in",
    )


def read_photographs(
    folder: Path, paths: list[Path], samples: pd.DataFrame
) -> Iterator[Photograph]:
    """Read files, brought to the size of the images that a detector was trained on.

    A file that cannot be read, or whose sides have another ratio, comes without an image.

    Args:
        folder: What names are given below.
        paths: The files.
        samples: Of the category; width and height.
    """
    known = sorted({(int(h), int(w)) for h, w in samples[["height", "width"]].to_numpy()})
    for path in paths:
        name = path.relative_to(folder).as_posix()
        try:
            image = decode_image(path.read_bytes(), path)
        except (InputError, OSError) as error:
            problem = error.problem if isinstance(error, InputError) else str(error.strerror)
            yield Photograph(name, None, (0, 0), f"left out: {problem}")
            continue
        size = image.shape[:2]
        fitting = [s for s in known if abs(s[1] / s[0] * size[0] / size[1] - 1) <= _ASPECT]
        if size in known:
            yield Photograph(name, image, size, "")
        elif fitting:
            wanted = min(fitting, key=lambda s: abs(s[0] - size[0]))
            note = f"brought from {_said(size)} to {_said(wanted)}, as the detector was trained"
            yield Photograph(name, _resized(image, wanted), size, note)
        else:
            sizes = ", ".join(map(_said, known[:3]))
            note = f"left out: {_said(size)}, the detector was trained on {sizes}"
            yield Photograph(name, None, size, note)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Any of our pictures at another size (h, w); 16 bit as 8, which is what detectors see."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    wide = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(wide)


def _said(size: tuple[int, int]) -> str:
    return f"{size[1]}x{size[0]}"
