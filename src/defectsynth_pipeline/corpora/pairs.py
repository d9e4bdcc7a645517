"""Images and their masks, matched by name in both directions, then decoded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from defectsynth_pipeline.corpora.files import (
    SourceImage,
    SourceMask,
    check_pair,
    list_images,
    probe_images,
    probe_masks,
)
from defectsynth_pipeline.errors import InputError


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
        check_pair(image, mask)
    return list(zip(images, masks, strict=True))
