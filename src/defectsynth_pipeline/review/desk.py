"""The review desk: a folder with a page that opens from the disk, without a network or a server.

`index.html` shows the set, `data.js` is all it knows, pictures lie beside it as JPEG.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.publishing import written_whole
from defectsynth_pipeline.resumable import Progress
from defectsynth_pipeline.review.decisions import FORMAT, fingerprint_of_pictures
from defectsynth_pipeline.review.scenes import (
    ACROSS,
    CROP,
    TILE,
    WHOLE,
    Scene,
    Sheets,
    before,
    save_jpeg,
)

logger = logging.getLogger(__name__)

PAGE = Path(__file__).parent / "page"
_ASSETS = ("index.html", "desk.css", "store.js", "grid.js", "panel.js", "blind.js", "desk.js")
_DATA = "data.js"
_BLIND = 50  # real ones of a type in the test at most, and as many synthetic ones
_NUMBERS = ("certainty", "contrast", "mask_pixels", "attempts")
_TEXTS = ("engine", "verdict", "reason", "background")


def write_desk(
    folder: Path, image_set: ImageSet, samples: pd.DataFrame, masks: pd.DataFrame, version: str
) -> int:
    """Write the desk of a set; a desk that is there is replaced.

    Real images are base samples only. One that cannot be read any more is left out, with a
    warning.

    Args:
        folder: Where; it must be a desk, empty, or not there.
        image_set: The set, its rejected images too.
        samples: The table `samples` that it was made from.
        masks: Manifest of the masks that it was made from, with their parents.
        version: Of the set, for people.

    Returns:
        How many images it shows.

    Raises:
        InputError: The folder holds something else, or cannot be written to.
    """
    if folder.exists() and not (folder / _DATA).is_file() and any(folder.iterdir()):
        raise InputError(
            "the folder holds something else, which a desk would replace",
            file=folder,
            value=f"no {_DATA}",
            remedy="name a folder that is empty or not there yet",
        )
    with written_whole(folder) as aside:
        aside.mkdir()
        for name in _ASSETS:
            shutil.copyfile(PAGE / name, aside / name)
        real = RealImages(samples, aside / "real")
        parents = dict(zip(masks["image_id"], masks["parents"].astype(str), strict=True))
        images = list(_write_images(aside, image_set, real, parents))
        told = {
            "format": FORMAT,
            "set": str(_every(image_set)["of_set"].iloc[0]),
            "pictures": fingerprint_of_pictures(image_set),
            "version": version,
            "sheet": {"tile": TILE, "across": ACROSS},
            "images": images,
            "real": real.told,
            "blind": list(_write_blind(aside / "blind", image_set, real)),
        }
        if real.unread:
            logger.warning("%d real images are not shown: %s", len(real.unread), real.unread[0])
        text = json.dumps(told, ensure_ascii=False, separators=(",", ":"))
        (aside / _DATA).write_text(f"const DESK = {text};\n", encoding="utf-8")
    return len(images)


class RealImages:
    """The samples that images were made from, read when they are first shown.

    Attributes:
        told: What the page is told of the defects that are shown.
        unread: Why some are not shown, a line each.
    """

    def __init__(self, samples: pd.DataFrame, folder: Path) -> None:
        shown = samples[samples["split"].isin(("base", "normal"))]
        self._samples = {sample.sample_id: sample for sample in each_sample(shown)}
        self._folder = folder
        self._numbers: dict[str, int | None] = {}
        self.told: list[dict[str, Any]] = []
        self.unread: list[str] = []

    def base(self, category: str, defect_type: str) -> list[Sample]:
        """The base samples of a type."""
        wanted = ("base", category, defect_type)
        every = self._samples.values()
        return [s for s in every if (s.split, s.category, s.defect_type) == wanted]

    def number(self, sample_id: str) -> int | None:
        """Where a base sample is in `told`; None if it is none or cannot be read."""
        if sample_id not in self._numbers:
            self._numbers[sample_id] = self._show(sample_id)
        return self._numbers[sample_id]

    def scene(self, sample: Sample) -> Scene | None:
        """Its picture and mask."""
        image = self.image(sample.sample_id)
        return None if image is None else Scene.of(image, sample.mask())

    def image(self, sample_id: str) -> np.ndarray | None:
        """Its pixels; None if it is no base or normal sample, or cannot be read any more."""
        if sample_id not in self._samples:
            return None
        try:
            return self._samples[sample_id].image()
        except InputError as error:
            self.unread.append(str(error))
            return None

    def _show(self, sample_id: str) -> int | None:
        sample = self._samples.get(sample_id)
        if sample is None or sample.split != "base" or (scene := self.scene(sample)) is None:
            return None
        number = len(self.told)
        save_jpeg(scene.crop, self._folder / f"{number}.jpg", CROP)
        self.told.append({"id": sample_id, "type": sample.defect_type, **scene.told()})
        return number


def _every(image_set: ImageSet) -> pd.DataFrame:
    """All images in the order of the plan, each rejected one in its place."""
    every = pd.concat([image_set.manifest, image_set.rejected], ignore_index=True)
    return every.sort_values("image_id", ignore_index=True)


def _write_images(
    folder: Path, image_set: ImageSet, real: RealImages, parents: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Save every image whole, as a tile, and what was there before; yield what the page needs."""
    rows = _every(image_set).to_dict("records")
    sheets, progress = Sheets(folder / "tiles"), Progress("image", len(rows))
    for number, row in enumerate(rows, start=1):
        name, background = str(row["image_id"]), str(row.get("background", ""))
        image, mask = (image_set.array(name, kind) for kind in ("image", "mask"))
        scene, empty = Scene.of(image, mask), real.image(background)
        earlier = None if empty is None else before(image, empty, scene.window)
        sheets.add(scene.crop)
        save_jpeg(Image.fromarray(scene.picture), folder / "images" / f"{name}.jpg", WHOLE)
        if scene.is_large:
            save_jpeg(scene.crop, folder / "crops" / f"{name}.jpg", CROP)
        if earlier is not None:
            save_jpeg(earlier, folder / "before" / f"{name}.jpg", CROP)
        sources = [str(row.get("reference", "")), *parents.get(str(row.get("mask")), "").split("|")]
        yield {
            "id": name,
            "category": str(row["category"]),
            "type": str(row["defect_type"]),
            **{key: str(row.get(key, "")) for key in _TEXTS},
            **{key: float(row[key]) for key in _NUMBERS if pd.notna(row.get(key))},
            **scene.told(),
            "large": scene.is_large,
            "before": earlier is not None,
            "real": [n for n in map(real.number, dict.fromkeys(sources)) if n is not None],
        }
        progress(number)
    sheets.close()


def _write_blind(folder: Path, image_set: ImageSet, real: RealImages) -> Iterator[dict[str, Any]]:
    """Save crops for the test, as many real as synthetic ones of a type; yield what they are.

    All go the same way to their file, and no file's name says what it is.
    """
    chosen: list[tuple[bool, str, str, str, Scene]] = []
    for (category, kind), rows in image_set.manifest.groupby(["category", "defect_type"]):
        seen = [(s.sample_id, real.scene(s)) for s in real.base(str(category), str(kind))]
        photographs = [(name, scene) for name, scene in seen if scene is not None][:_BLIND]
        names = sorted(map(str, rows["image_id"]), key=lambda name: counter_seed("blind", name))
        made = names[: len(photographs)]
        told = str(category), str(kind)
        chosen += [(True, name, *told, scene) for name, scene in photographs[: len(made)]]
        chosen += [
            (False, n, *told, Scene.of(image_set.array(n, "image"), image_set.array(n, "mask")))
            for n in made
        ]
    chosen.sort(key=lambda one: counter_seed("order", one[1]))
    for number, (is_real, name, category, kind, scene) in enumerate(chosen):
        save_jpeg(scene.crop, folder / f"{number}.jpg", CROP)
        yield {"id": name, "category": category, "type": kind, "real": is_real}
