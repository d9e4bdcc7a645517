"""Where other systems put their image-mask pairs, as their published code writes them.

folders   <category>/<type>/image/12.jpg, mask/12.jpg        AnomalyDiffusion
          <category>/<type>/image/012.png, mask/012.png      SeaS, DualAnoDiff after U2-Net
          images/samples_image_*.png, masks/samples_mask_*   Defect-Gen
suffix    <category>_<type>/12_img.png, 12_mask.png          DFMGAN
          <category> <type>_0.5.png, ..._0.5_mask.png        DefectDiffu
mvtec     <category>/test/<type>, ground_truth/<type>        MVTec AD, and what imitates it

Other folders beside them (ori, recon, fg, image-mask, masks_converted_dir) are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import numpy as np

from defectsynth_pipeline.corpora.files import list_images
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.rectangle import Rectangle

Kind = tuple[str, str]
Files = tuple[list[Path], list[Path]]

IMAGE_FOLDERS = ("image", "images", "img", "imgs")
MASK_FOLDERS = ("mask", "masks", "masks_converted_dir", "label", "labels")
LAYOUTS = (
    "<category>/<type>/image and mask, <category>/<type>/N_img.png and N_mask.png, "
    "or <category>/test/<type> and ground_truth/<type>"
)
_WORD = re.compile(r"(?:^|(?<=[_\-. ]))(?:converted_mask|images?|imgs?|masks?)(?=[_\-. ]|$)")
_MASK = re.compile(r"[_\-. ]mask$")
_NOT_AN_IMAGE = re.compile(r"[_\-. ](mask|good)$")  # of a defect
_NO_TYPES = {"good", "train", "test", "ground_truth", "ori", "recon", "fg", "image-mask"}
_NO_TYPES |= {*IMAGE_FOLDERS, *MASK_FOLDERS}
_TILES = (256, 512)
_TILE_GAP = 2


def find_pairs(
    root: Path, kind: Kind, kinds: Sequence[Kind], layout: str
) -> list[tuple[Path, Path]]:
    """The image and mask files of one defect type.

    The folder of a category may be left out where there is only one category, that of a type
    where its category has only one.

    Args:
        root: Folder of the other system's output.
        kind: Category and defect type.
        kinds: All that are wanted.
        layout: "auto", "folders", "mvtec" or "suffix".

    Returns:
        Pairs in natural order of the image; none if nothing is there.

    Raises:
        InputError: An image without mask, a mask without image, or two of one name.
    """
    finders = {"mvtec": _mvtec, "folders": _folders, "suffix": _suffix}
    for finder in finders.values() if layout == "auto" else [finders[layout]]:
        for images, masks in finder(root, kind, kinds):
            if images or masks:
                return _pair(images, masks)
    return []


def unknown_types(root: Path, category: str, types: Collection[str]) -> Path | None:
    """The first folder of a category that holds images and is named after none of its types."""
    places = [root / category, root / category / "test"]
    for place in places:
        for folder in sorted(place.iterdir()) if place.is_dir() else []:
            if folder.name in {*types, *_NO_TYPES} or not folder.is_dir():
                continue
            inside = [folder, *(folder / name for name in IMAGE_FOLDERS)]
            if any(list_images(one) for one in inside):
                return folder
    return None


def sheet_windows(image: np.ndarray, mask: np.ndarray) -> list[Rectangle]:
    """Windows of a sheet as torchvision's `save_image` lays a batch out, row by row.

    DefectDiffu writes its batches so. The whole image where there are no black lines between tiles
    of 256 or 512 px.
    """
    height, width = mask.shape
    for tile in _TILES:
        pitch = tile + _TILE_GAP
        columns, left = divmod(width - _TILE_GAP, pitch)
        rows, top = divmod(height - _TILE_GAP, pitch)
        if left or top or columns * rows < 2:
            continue
        gaps = [np.arange(n) % pitch < _TILE_GAP for n in (height, width)]
        if not (image[gaps[0]].any() or image[:, gaps[1]].any() or mask[gaps[0]].any()):
            return [
                Rectangle.at(_TILE_GAP + column * pitch, _TILE_GAP + row * pitch, tile, tile)
                for row in range(rows)
                for column in range(columns)
            ]
    return [Rectangle(0, 0, height, width)]


def _mvtec(root: Path, kind: Kind, kinds: Sequence[Kind]) -> Iterator[Files]:
    category, defect_type = kind
    for base in [root / category, *([root] if _one_category(kinds) else [])]:
        test, truth = base / "test" / defect_type, base / "ground_truth" / defect_type
        yield list_images(test), list_images(truth)


def _folders(root: Path, kind: Kind, kinds: Sequence[Kind]) -> Iterator[Files]:
    for place in _places(root, kind, kinds):
        images, masks = (
            next((found for name in names if (found := list_images(place / name))), [])
            for names in (IMAGE_FOLDERS, MASK_FOLDERS)
        )
        yield images, masks


def _suffix(root: Path, kind: Kind, kinds: Sequence[Kind]) -> Iterator[Files]:
    for place in _places(root, kind, kinds):
        yield _by_suffix(list_images(place))
    yield _by_suffix([path for path in list_images(root) if _named(path.stem, kinds) == kind])


def _by_suffix(files: list[Path]) -> Files:
    images = [path for path in files if not _NOT_AN_IMAGE.search(path.stem)]
    return images, [path for path in files if _MASK.search(path.stem)]


def _places(root: Path, kind: Kind, kinds: Sequence[Kind]) -> list[Path]:
    """Folders that may be the type's own, one that names it most fully first."""
    category, defect_type = kind
    places = [root / category / defect_type]
    places += [root / f"{category}{joint}{defect_type}" for joint in ("_", " ", "-")]
    if sum(other == category for other, _ in kinds) == 1:
        places.append(root / category)
    if _one_category(kinds):
        places.append(root / defect_type)
    if len(kinds) == 1:
        places.append(root)
    return places


def _one_category(kinds: Sequence[Kind]) -> bool:
    return len({category for category, _ in kinds}) == 1


def _named(stem: str, kinds: Sequence[Kind]) -> Kind | None:
    """The category and type a file name begins with; the longest, so that no type hides another."""
    fitting = [
        kind
        for kind in kinds
        if re.match(rf"{'[ _-]'.join(map(re.escape, kind))}([ _\-.]|$)", stem)
    ]
    return max(fitting, key=lambda kind: len(" ".join(kind)), default=None)


def _pair(images: list[Path], masks: list[Path]) -> list[tuple[Path, Path]]:
    mask_of, image_of = _by_key(masks), _by_key(images)
    lone_image = next((file for key, file in image_of.items() if key not in mask_of), None)
    lone_mask = next((file for key, file in mask_of.items() if key not in image_of), None)
    if lone := lone_image or lone_mask:
        remedy = "make its mask with the system that made the image, or remove it"
        raise InputError(
            "the image has no mask" if lone_image else "the mask has no image",
            file=lone,
            value=f"{len(images)} images, {len(masks)} masks",
            remedy=f"{remedy if lone_image else 'add the image, or remove the mask'}; {LAYOUTS}",
        )
    return [(image, mask_of[key]) for key, image in image_of.items()]


def _by_key(paths: list[Path]) -> dict[str, Path]:
    """Files by their name without the words that tell an image from its mask."""
    found: dict[str, Path] = {}
    for path in paths:
        key = re.sub(r"[_\-. ]+", "_", _WORD.sub("", path.stem)).strip("_")
        if key in found:
            raise InputError(
                "two files belong to one pair",
                file=path,
                value=found[key].name,
                remedy="rename or remove one of them",
            )
        found[key] = path
    return found
