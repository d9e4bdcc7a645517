"""Files of a corpus: listed in natural order, kept inside the root, decoded once, paired."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from defectsynth_pipeline.corpora.thumbnails import thumbnail
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import IMAGE_SUFFIXES, decode_image, decode_mask

_UNREADABLE_SUFFIXES = frozenset(
    {".gif", ".webp", ".heic", ".jp2", ".dcm", ".dicom", ".exr", ".npy", ".raw", ".svg", ".pgm"}
)
_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True)
class SourceImage:
    """One decoded image file: what the manifest needs to know of it."""

    path: Path
    sha256: str
    pixels: str
    width: int
    height: int
    thumbnail: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class SourceMask:
    """One decoded mask file; `area_ratio` is the share of defect pixels, in (0, 1)."""

    path: Path
    width: int
    height: int
    area_ratio: float


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts `9` before `10` and works for names without digits."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def list_folders(folder: Path) -> list[Path]:
    """Visible sub-folders in natural order; none if the folder is missing.

    Raises:
        InputError: A name is not UTF-8.
    """
    if not folder.is_dir():
        return []
    found = (path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    return sorted(map(check_name, found), key=lambda path: natural_key(path.name))


def check_name(path: Path) -> Path:
    """The path, after checking that tables can hold its name.

    Raises:
        InputError: The name is not UTF-8.
    """
    shown = os.fsencode(path).decode(errors="backslashreplace")
    if shown != str(path):
        raise InputError(
            "a name is not UTF-8",
            file=shown,
            value=os.fsencode(path.name),
            remedy="rename the file or folder, for example with convmv -t utf8",
        )
    return path


def list_images(folder: Path) -> list[Path]:
    """Visible image files of a folder in natural order; none if the folder is missing.

    A hidden image is not read either, and a warning says so, but for `._*`, which macOS writes.

    Raises:
        InputError: A file of an image format that is not supported, two with one stem, a name
            that is not UTF-8.
    """
    if not folder.is_dir():
        return []
    stems: dict[str, Path] = {}
    for path in sorted(folder.iterdir(), key=lambda path: natural_key(path.name)):
        suffix = path.suffix.lower()
        if path.is_dir():
            continue
        if path.name.startswith("."):
            if suffix in IMAGE_SUFFIXES and not path.name.startswith("._"):
                _log.warning("%s is not read: its name begins with a dot", check_name(path))
            continue
        if suffix in _UNREADABLE_SUFFIXES:
            raise InputError(
                "unsupported image format",
                file=path,
                value=suffix,
                remedy="convert it to PNG, TIFF, BMP or JPEG",
            )
        if suffix not in IMAGE_SUFFIXES:
            continue
        if path.stem in stems:
            raise InputError(
                "two files share one name",
                file=path,
                value=stems[path.stem].name,
                remedy="rename or remove one of them",
            )
        stems[path.stem] = check_name(path)
    return list(stems.values())


def inside(root: Path, path: Path) -> Path:
    """The path, after checking that it stays inside the root when links are followed.

    Raises:
        InputError: A link or a `..` leads out of the corpus root.
    """
    target = path.resolve()
    if not target.is_relative_to(root.resolve()):
        raise InputError(
            "the path leaves the corpus root",
            file=path,
            value=target,
            remedy=f"copy the file into {root}",
        )
    return path


def read_bytes(root: Path, path: Path) -> bytes:
    """Content of a file inside the root.

    Raises:
        InputError: The file leaves the root, is missing, is no file, or cannot be read.
    """
    try:
        kind = inside(root, path).stat().st_mode
        if stat.S_ISREG(kind):
            return path.read_bytes()
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before 3.13
        raise InputError(
            "the file cannot be read",
            file=path,
            value=getattr(error, "strerror", None) or error,
            remedy="restore the file, or run ingest again",
        ) from error
    raise InputError(
        "this is no file that can be read",  # reading a pipe would wait for ever
        file=path,
        value=stat.filemode(kind),
        remedy="replace it by an image, or remove it",
    )


def probe_images(root: Path, paths: Sequence[Path]) -> list[SourceImage]:
    """Decode every image once, with a few threads.

    Returns:
        In the order of `paths`. `pixels` is a hash of the decoded content: equal for one picture
        saved in two lossless formats, or as grey and as grey RGB.
    """
    return _threaded(lambda path: _probe_image(root, path), paths)


def probe_masks(root: Path, paths: Sequence[Path]) -> list[SourceMask]:
    """Decode every mask once, with a few threads, in the order of `paths`."""
    return _threaded(lambda path: _probe_mask(root, path), paths)


def _probe_image(root: Path, path: Path) -> SourceImage:
    data = read_bytes(root, path)
    array = decode_image(data, path)
    height, width = array.shape[:2]
    grey = array.ndim == 3 and (array == array[..., :1]).all()
    pixels = np.ascontiguousarray(array[..., 0] if grey else array)
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=16)
    digest.update(f"{width}x{height}".encode())
    sha256 = hashlib.sha256(data).hexdigest()
    return SourceImage(path, sha256, digest.hexdigest(), width, height, thumbnail(array))


def _probe_mask(root: Path, path: Path) -> SourceMask:
    mask = decode_mask(read_bytes(root, path), path)
    return SourceMask(path, mask.shape[1], mask.shape[0], float(mask.mean()))


def _threaded(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    with ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))


def match_masks(
    images: Path,
    masks: Path,
    *,
    key: Callable[[str], str] = str,
    endings: Sequence[str] = ("",),
    layout: str = "",
) -> list[tuple[Path, Path]]:
    """Find the mask of every image.

    Args:
        images: Folder of the images.
        masks: Folder of the masks.
        key: What the stems of an image and of its mask share, from either.
        endings: What a mask's key may have after its image's, the usual one first.
        layout: Added to the remedies.

    Returns:
        Image and mask files, in natural order of the images.

    Raises:
        InputError: An image without mask, or a mask without image.
    """
    waiting = {key(path.stem): path for path in list_images(masks)}
    pairs = []
    for image in list_images(images):
        names = [key(image.stem) + ending for ending in endings]
        found = next((name for name in names if name in waiting), None)
        if found is None:
            raise InputError(
                "the image has no mask",
                file=image,
                value=f"no {' or '.join(f'{name}.png' for name in names)} in {masks}",
                remedy="; ".join(filter(None, ("add the mask, or remove the image", layout))),
            )
        pairs.append((image, waiting.pop(found)))
    for name, mask in waiting.items():
        raise InputError(
            "the mask has no image",
            file=mask,
            value=f"no {name.removesuffix(endings[0])}.* in {images}",
            remedy="; ".join(filter(None, ("add the image, or remove the mask", layout))),
        )
    return pairs


def read_pairs(
    root: Path, pairs: Sequence[tuple[Path, Path]]
) -> list[tuple[SourceImage, SourceMask]]:
    """Decode image and mask files of a corpus.

    Raises:
        InputError: A file is unreadable or leaves the root, or a mask has not its image's size.
    """
    images = probe_images(root, [image for image, _ in pairs])
    masks = probe_masks(root, [mask for _, mask in pairs])
    for image, mask in zip(images, masks, strict=True):
        if (image.width, image.height) != (mask.width, mask.height):
            raise InputError(
                "the mask has another size than its image",
                file=mask.path,
                value=f"mask {mask.width}x{mask.height}, image {image.width}x{image.height}",
                remedy="export the mask at the size of the image",
            )
    return list(zip(images, masks, strict=True))
