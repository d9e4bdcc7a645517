"""Ways to spoil files, each a function of the folder, or of the one file, that it is done in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from PIL import Image

Spoil: TypeAlias = Callable[[Path], Any]


def _one(place: Path, pattern: str) -> Path:
    """The first that a pattern fits; the place itself without one."""
    return sorted(place.glob(pattern))[0] if pattern else place


def remove(pattern: str) -> Spoil:
    """Delete a file, or a folder with all that is in it."""

    def spoil(place: Path) -> None:
        path = _one(place, pattern)
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    return spoil


def cut(pattern: str = "", keep: float = 0.5) -> Spoil:
    """Keep only the beginning of a file."""

    def spoil(place: Path) -> None:
        data = (path := _one(place, pattern)).read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])

    return spoil


def write(data: bytes, pattern: str = "") -> Spoil:
    """Replace what a file holds."""
    return lambda place: _one(place, pattern).write_bytes(data)


def put(name: str, data: bytes) -> Spoil:
    """Add a file."""
    return lambda place: (place / name).write_bytes(data)


def paint(name: str, pixels: np.ndarray) -> Spoil:
    """Write a picture, or a mask as 0 and 255, under a name, which may be new."""
    shown = pixels.astype(np.uint8) * 255 if pixels.dtype == bool else pixels
    return lambda place: Image.fromarray(shown).save(place / name)


def blacken(pattern: str) -> Spoil:
    """Make a picture black all over."""

    def spoil(place: Path) -> None:
        path = _one(place, pattern)
        Image.fromarray(np.zeros_like(np.asarray(Image.open(path)))).save(path)

    return spoil


def shrink(pattern: str) -> Spoil:
    """Replace a picture by one of another size."""
    return lambda place: Image.fromarray(np.zeros((9, 9), np.uint8)).save(_one(place, pattern))


def draw(name: str, mode: str, **how: Any) -> Spoil:
    """Add an even picture of one of Pillow's modes."""
    return lambda place: Image.new(mode, (64, 64)).save(place / name, **how)


def copy(source: str, target: str) -> Spoil:
    """Copy a file."""
    return lambda place: shutil.copy(place / source, place / target)


def pipe(name: str) -> Spoil:
    """Replace a file by a FIFO, which nobody writes into."""

    def spoil(place: Path) -> None:
        (place / name).unlink()
        os.mkfifo(place / name)

    return spoil


def link(name: str, to: str) -> Spoil:
    """Put a link in the place of a file."""

    def spoil(place: Path) -> None:
        (place / name).unlink(missing_ok=True)
        (place / name).symlink_to(to)

    return spoil


def every(*ways: Spoil) -> Spoil:
    """Do all of them."""
    return lambda place: [way(place) for way in ways]


def set_json(name: str, **values: Any) -> Spoil:
    """Change values of a JSON object."""

    def spoil(place: Path) -> None:
        found = json.loads((place / name).read_text(encoding="utf-8"))
        (place / name).write_text(json.dumps(found | values), encoding="utf-8")

    return spoil


def set_manifest(**values: Any) -> Spoil:
    """Change the first row of an image set's manifest."""

    def spoil(place: Path) -> None:
        manifest = pd.read_parquet(place / "manifest.parquet")
        for name, value in values.items():
            manifest.loc[manifest.index[0], name] = value
        manifest.to_parquet(place / "manifest.parquet")

    return spoil


def drop_column(name: str) -> Spoil:
    """Take a column out of a CSV."""

    def spoil(path: Path) -> None:
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table.drop(columns=name).to_csv(path, index=False)

    return spoil


def set_tensors(name: str, change: Callable[[dict[str, Any]], Any]) -> Spoil:
    """Change the tensors of a safetensors file."""

    def spoil(place: Path) -> None:
        from safetensors.torch import load_file, save_file

        change(tensors := load_file(place / name))
        save_file(tensors, place / name, {"format": "pt"})

    return spoil


def pickle_tensors(name: str, to: str) -> Spoil:
    """Write the tensors of a safetensors file as a pickle, under a name beside it."""

    def spoil(place: Path) -> None:
        import torch
        from safetensors.torch import load_file

        tensors = load_file(place / name)
        (place / name).unlink()
        torch.save(tensors, (place / name).with_name(to))

    return spoil
