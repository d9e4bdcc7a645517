"""Which label files lie in a folder, what they say, and the mask that they give an image."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, urlencode

import numpy as np

from defectsynth_pipeline.corpora.files import natural_key, read_bytes
from defectsynth_pipeline.corpora.labels.coco import is_coco, read_coco
from defectsynth_pipeline.corpora.labels.cvat import is_cvat, read_cvat
from defectsynth_pipeline.corpora.labels.label_studio import is_label_studio, read_label_studio
from defectsynth_pipeline.corpora.labels.labelme import is_labelme, read_labelme
from defectsynth_pipeline.corpora.labels.regions import Labelled, covered, unreadable
from defectsynth_pipeline.corpora.labels.yolo import CLASSES, class_names, read_yolo
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import IMAGE_SUFFIXES

Kind = Literal["COCO", "LabelMe", "CVAT", "Label Studio", "YOLO"]
# Where label files are looked for, below the folder itself.
_PARTS = ("annotations", "images", "labels", "train", "valid", "val", "test")
_TOLD_APART = 3  # JSON files beside images that are opened to see whether they are of LabelMe
_QUERY = "?image="


@dataclass(frozen=True)
class LabelMask:
    """A mask that is drawn from a label file when it is asked for.

    As text, in the column `mask` of samples: `annotations.json?image=001.png`.

    Attributes:
        file: The label file, relative to the corpus root.
        image: What the file calls the image.
        line_width: Px, of lines.
    """

    file: str
    image: str
    line_width: int = 0

    def __str__(self) -> str:
        """The text that `of` reads."""
        width = {"line_width": self.line_width} if self.line_width else {}
        return f"{self.file}?{urlencode({'image': self.image, **width}, safe='/')}"

    @classmethod
    def of(cls, mask: str) -> LabelMask | None:
        """What the text names; None if it is the path of a mask file."""
        file, found, query = mask.rpartition(_QUERY)
        if not found:
            return None
        told = parse_qs(f"image={query}", keep_blank_values=True)
        return cls(file, told["image"][0], int(told.get("line_width", ["0"])[0]))

    def draw(self, root: Path, shape: tuple[int, int]) -> np.ndarray:
        """Return all that is labelled on the image, (height, width) bool.

        Raises:
            InputError: The file is gone, was changed, or no longer labels the image.
        """
        labelled = {one.name: one for one in read_labels(root, self.file)}.get(self.image)
        mask = np.zeros(shape, dtype=bool)
        for region in labelled.regions if labelled else ():
            mask |= covered(region, shape, max(self.line_width, 1))[0]
        if not mask.any():
            raise InputError(
                "the image is no longer labelled",
                file=root / self.file,
                value=self.image,
                remedy="the label file was changed after ingest: run ingest again",
            )
        return mask


def find_labels(folder: Path) -> dict[str, Kind]:
    """Return the label files of a folder, relative to it in natural order, and their formats.

    Looked for in the folder and in `annotations`, `images`, `labels`, `train`, `valid`, `val` and
    `test`, in one another too.

    Raises:
        InputError: A file that might hold labels cannot be read.
    """
    found: dict[str, Kind] = {}
    for place in _places(folder):
        files = sorted(
            (p for p in place.iterdir() if p.name[0] != "." and p.is_file()),
            key=lambda path: natural_key(path.name),
        )
        pictured = {path.stem for path in files if path.suffix.lower() in IMAGE_SUFFIXES}
        beside = [p for p in files if p.suffix.lower() == ".json" and p.stem in pictured]
        shapes = any(_kind(folder, path) == "LabelMe" for path in beside[:_TOLD_APART])
        for path in files:
            known: Kind | None = "LabelMe" if shapes and path in beside else _kind(folder, path)
            if known is not None:
                found[path.relative_to(folder).as_posix()] = known
    listed = [file for file, kind in found.items() if kind == "YOLO"]
    for file in listed:
        if file.endswith(CLASSES) and len(listed) > 1:  # what data.yaml says better
            del found[file]
    return found


def read_labels(root: Path, file: str) -> list[Labelled]:
    """Return what a label file says of each of its images; kept while the file is not changed.

    Args:
        root: Of the corpus.
        file: Relative to it.

    Raises:
        InputError: It cannot be read, is of no known format or malformed.
    """
    stat = (root / file).stat() if (root / file).is_file() else None
    return _read(root, file, (stat.st_mtime_ns, stat.st_size) if stat else (0, 0))


def all_files(root: Path) -> list[str]:
    """Visible files below a folder, relative to it, in natural order."""
    found = _walk(root, root)
    return sorted((path.relative_to(root).as_posix() for path in found), key=natural_key)


@lru_cache(maxsize=4)
def _read(root: Path, file: str, stamp: tuple[int, int]) -> list[Labelled]:
    path, suffix = root / file, Path(file).suffix.lower()
    if suffix == ".json":
        content = _json(root, file, stamp)
        for is_one, read in (
            (is_coco, read_coco),
            (is_labelme, read_labelme),
            (is_label_studio, read_label_studio),
        ):
            if is_one(content):
                try:
                    return read(content, file, root)
                except (AttributeError, KeyError, TypeError, ValueError) as error:
                    if isinstance(error, InputError):
                        raise
                    raise unreadable(path, f"{type(error).__name__}: {error}") from error
    elif suffix == ".xml":
        return read_cvat(read_bytes(root, path), file, root)
    elif names := class_names(read_bytes(root, path), path):
        images = [name for name in all_files(root) if Path(name).suffix.lower() in IMAGE_SUFFIXES]
        return read_yolo(names, file, root, images, lambda text: read_bytes(root, text))
    raise unreadable(path, "neither COCO, LabelMe, CVAT, Label Studio nor YOLO")


@lru_cache(maxsize=4)
def _json(root: Path, file: str, stamp: tuple[int, int]) -> Any:
    try:
        return json.loads(read_bytes(root, root / file))
    except (ValueError, RecursionError) as error:
        raise unreadable(root / file, error, "export the labels again, or remove it") from error


def _kind(root: Path, path: Path) -> Kind | None:
    """The format of a file; None if it holds no labels."""
    file, suffix, stat = path.relative_to(root).as_posix(), path.suffix.lower(), path.stat()
    if suffix == ".json":
        content = _json(root, file, (stat.st_mtime_ns, stat.st_size))
        if is_coco(content):
            return "COCO"
        if is_labelme(content):
            return "LabelMe"
        return "Label Studio" if is_label_studio(content) else None
    if suffix == ".xml":
        return "CVAT" if is_cvat(read_bytes(root, path)) else None
    if suffix in (".yaml", ".yml") or path.name == CLASSES:
        return "YOLO" if class_names(read_bytes(root, path), path) else None
    return None


def _places(folder: Path) -> Iterator[Path]:
    yield folder
    for name in _PARTS:
        if (folder / name).is_dir():
            yield from _places(folder / name)


def _walk(folder: Path, root: Path) -> Iterable[Path]:
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, root)
        elif path.is_file():
            yield path
