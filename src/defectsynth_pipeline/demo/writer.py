"""The demo corpora: procedural, deterministic, in the three native layouts.

mvtec/{flange,fabric}/...   types pinhole (tiny), dent (blob), scratch (thin), stain (large)
gdxray/Welds/W0001, W0002   radiographs of a weld with pores
deepcrack/{train,test}_img, {train,test}_lab   cracked pavement
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from defectsynth_pipeline.demo import flange, textures
from defectsynth_pipeline.demo.textures import draw_pavement, draw_weld
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import encode_png

MARKER = ".demo.json"
VERSION = 1
LICENCE = b"MIT License, as that of the program that draws these images\n"
DEFECTS_PER_TYPE = 16
TRAIN_GOOD, TEST_GOOD = 36, 10
RADIOGRAPHS = 6
CRACKS_TRAIN, CRACKS_TEST = 14, 7

Scene = Callable[[np.random.Generator, str | None], tuple[np.ndarray, np.ndarray]]


def write_demo(folder: Path | str, seed: int = 0) -> Path:
    """Write the demo corpora, all or nothing; nothing is done if they are already there.

    Args:
        folder: Where they go; created, must otherwise be empty.
        seed: The same seed gives the same files.

    Returns:
        The folder.

    Raises:
        InputError: The folder holds something else.
    """
    target = Path(folder)
    mark = {"demo": VERSION, "seed": seed}
    if _is_written(target, mark):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    try:
        _write_category(partial / "mvtec" / "flange", flange.draw_flange, flange.DEFECT_TYPES, seed)
        _write_category(
            partial / "mvtec" / "fabric", textures.draw_fabric, textures.FABRIC_DEFECTS, seed
        )
        _write_welds(partial / "gdxray" / "Welds", seed)
        _write_cracks(partial / "deepcrack", seed)
        for corpus in ("mvtec", "gdxray", "deepcrack"):
            _save(partial / corpus / "LICENSE", LICENCE)
        (partial / MARKER).write_text(json.dumps(mark), encoding="utf-8")
        partial.chmod(0o755)
        os.replace(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _is_written(target: Path, mark: dict[str, int]) -> bool:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return False
    marker = target / MARKER
    found = marker.read_text(encoding="utf-8") if marker.is_file() else "no demo corpora"
    if found == json.dumps(mark):
        return True
    raise InputError(
        "the demo folder holds something else",
        file=target,
        value=found,
        remedy="name an empty folder, or remove this one",
    )


def _write_category(folder: Path, draw: Scene, defect_types: tuple[str, ...], seed: int) -> None:
    name = folder.name
    for part, count in (("train", TRAIN_GOOD), ("test", TEST_GOOD)):
        for index in range(count):
            image, _ = draw(_rng(seed, name, part, index), None)
            _save(folder / part / "good" / f"{index:03d}.png", encode_png(image))
    for defect_type in defect_types:
        for index in range(DEFECTS_PER_TYPE):
            image, mask = draw(_rng(seed, name, defect_type, index), defect_type)
            _save(folder / "test" / defect_type / f"{index:03d}.png", encode_png(image))
            _save(folder / "ground_truth" / defect_type / f"{index:03d}_mask.png", encode_png(mask))


def _write_welds(folder: Path, seed: int) -> None:
    for index in range(1, RADIOGRAPHS + 1):
        image, mask = draw_weld(_rng(seed, "weld", "", index))
        _save(folder / "W0001" / f"W0001_{index:04d}.png", encode_png(image))
        _save(folder / "W0002" / f"W0002_{index:04d}.png", encode_png(mask))


def _write_cracks(folder: Path, seed: int) -> None:
    for index in range(CRACKS_TRAIN + CRACKS_TEST):
        part = "train" if index < CRACKS_TRAIN else "test"
        image, mask = draw_pavement(_rng(seed, "pavement", "", index))
        name = f"IMG{7001 + 3 * index}"
        jpeg = io.BytesIO()
        Image.fromarray(image).save(jpeg, format="JPEG", quality=92)
        _save(folder / f"{part}_img" / f"{name}.jpg", jpeg.getvalue())
        _save(folder / f"{part}_lab" / f"{name}.png", encode_png(mask))


def _rng(seed: int, *key: str | int) -> np.random.Generator:
    return np.random.default_rng([seed, *"/".join(map(str, key)).encode()])


def _save(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
