"""Published sets of generated images: opened after a look at every file, and read one by one.

`rendering` makes and publishes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_image
from defectsynth_pipeline.provenance import png_text, read_png_text
from defectsynth_pipeline.setfiles import (
    MANIFEST,
    check_id,
    picture_names,
    read_manifest,
    wrong_files,
)

REJECTED = "rejected"


@dataclass(frozen=True)
class ImageSet:
    """A published set; pictures are read when asked for.

    Args:
        root: The folder of the set.
        manifest: One row per image, column `image_id` and what plan and records say.
        apart: What is rejected, where a person has decided; None: what the folder says.
    """

    root: Path
    manifest: pd.DataFrame
    apart: pd.DataFrame | None = None

    @classmethod
    def open(cls, root: Path) -> ImageSet:
        """Open the set published at `root`, after a look at every file of it.

        Raises:
            InputError: The manifest cannot be read, or a picture is missing or was changed.
        """
        manifest = read_manifest(root / MANIFEST)
        for folder, rows in _parts(root, manifest):
            for problem in wrong_files(folder, rows):
                raise problem
        return cls(root, manifest)

    @property
    def rejected(self) -> pd.DataFrame:
        """The manifest of what was rejected; without rows, and maybe columns, where nothing was."""
        if self.apart is not None:
            return self.apart
        path = self.root / REJECTED / MANIFEST
        return read_manifest(path) if path.exists() else self.manifest.iloc[:0]

    def array(self, image_id: str, name: str) -> np.ndarray:
        """Read the picture `name` of one image, published or rejected.

        Returns:
            bool for `name == "mask"`, else its own dtype.

        Raises:
            InputError: There is none, or the id is none.
        """
        file = f"{name}s/{check_id(image_id)}.png"
        path = self.root / file
        if not path.exists():
            path = self.root / REJECTED / file
        if not path.exists():
            raise InputError(
                f"the image set has no {name} of this image",
                file=path,
                value=image_id,
                remedy="take image_id from the manifest of the same version",
            )
        pixels = decode_image(path.read_bytes(), path)
        return pixels > 0 if name == "mask" else pixels

    def __len__(self) -> int:
        return len(self.manifest)


def verify(folder: Path) -> list[str]:
    """Look at everything in a published set; return what is wrong with it, a text per problem.

    Beyond what opening it looks at: files that no manifest names, and what the PNGs say of
    themselves.
    """
    try:
        manifest = read_manifest(folder / MANIFEST)
        parts = list(_parts(folder, manifest))
    except InputError as error:
        return [str(error)]
    problems: list[InputError] = []
    for place, rows in parts:
        wrong = list(wrong_files(place, rows))
        harmed = {problem.file for problem in wrong}
        problems += wrong
        for name in picture_names(rows):
            told = {str(row["image_id"]): row for row in rows.to_dict("records")}
            for path in sorted((place / f"{name}s").glob("*")):
                if path.stem not in told or path.suffix != ".png":
                    problems.append(_stranger(path))
                elif path not in harmed:
                    problems += _untrue(path, told[path.stem])
    return [str(problem) for problem in problems]


def _parts(root: Path, manifest: pd.DataFrame) -> Iterator[tuple[Path, pd.DataFrame]]:
    """The folders of a set with the manifests of what lies in them."""
    yield root, manifest
    if (root / REJECTED).is_dir():
        yield root / REJECTED, read_manifest(root / REJECTED / MANIFEST)


def _stranger(path: Path) -> InputError:
    return InputError(
        "a file in an image set is in no manifest",
        file=path,
        value=path.name,
        remedy="move it elsewhere: a set holds what was rendered, and nothing else",
    )


def _untrue(path: Path, row: Mapping[str, Any]) -> list[InputError]:
    """What a PNG says of itself that its row of the manifest does not, as a list of at most one."""
    try:
        told = read_png_text(path)
    except InputError as error:
        return [error]
    if told == png_text(row, str(row["of_set"])):
        return []
    problem = "a picture says of itself what the manifest does not"
    value = f"Set {told['Set']}, Image {told['Image']}, Plan row {told['Plan row']}"
    return [InputError(problem, file=path, value=value, remedy="restore the manifest")]
