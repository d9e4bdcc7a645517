"""What is exported: images of a set, and real ones beside them, under names that any tool takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.corpora.licences import commerce_doubt
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.export.outlines import components
from defectsynth_pipeline.imagesets import REJECTED, ImageSet
from defectsynth_pipeline.imaging.codec import encode_png
from defectsynth_pipeline.options import ExportOptions
from defectsynth_pipeline.provenance import UNKNOWN

SYNTHETIC, REAL = "synthetic", "real"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_TOLD = ("engine", "seed", "background", "reference", "plan_row", "reason")
_OF_MANIFEST = ("image_id", "category", "defect_type", "verdict", "licence", *_TOLD)


@dataclass(frozen=True, slots=True)
class Exported:
    """One image to export; pixels are read when asked for.

    Attributes:
        name: Stem of its file, unlike any other's, of letters, digits and ._- only.
        label: What its defect is called in the export; "" for a good image.
        origin: "synthetic" or "real".
        verdict: Of the certificate: accepted, relabelled, rejected; "" for a real image.
        licence: Of the photographs in it.
        source: The set and the image_id in it, or the sample.
    """

    name: str
    category: str
    defect_type: str
    label: str
    origin: str
    verdict: str
    licence: str
    source: tuple[ImageSet, str] | Sample

    def png(self) -> bytes:
        """The image's file: as published, or, of a photograph, its part that is a sample."""
        if isinstance(self.source, Sample):
            text = {"Description": "real: a photograph", "Image": self.source.sample_id}
            return encode_png(self.source.image(), text)
        return _file(*self.source).read_bytes()

    def mask(self) -> np.ndarray:
        """Its mask, bool (H, W), all False for a good image."""
        if isinstance(self.source, Sample):
            return self.source.mask()
        image_set, image_id = self.source
        return image_set.array(image_id, "mask")


_NAMES = tuple(field.name for field in fields(Exported) if field.name != "source")


@dataclass(frozen=True)
class Selection:
    """All that is exported, a row of a table each, so that many take little memory.

    Attributes:
        table: The columns of `Exported` but for `source`, and what else is told of an image: from
            what, with which seed and engine, and why it was rejected.
        sources: In the table's order: image_id of a synthetic image, the sample of a real one.
        image_set: The synthetic images.
        of_set: Its fingerprint.
    """

    table: pd.DataFrame
    sources: Sequence[str | Sample]
    image_set: ImageSet
    of_set: str

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The names of all defects, in order; a format numbers them from it."""
        return tuple(sorted(set(self.table["label"]) - {""}))

    @property
    def version(self) -> str:
        """Of the set."""
        return self.image_set.root.parent.name

    def __iter__(self) -> Iterator[Exported]:
        """The images in order."""
        columns = (self.table[name] for name in _NAMES)
        for *told, source in zip(*columns, self.sources, strict=True):
            found = source if isinstance(source, Sample) else (self.image_set, source)
            yield Exported(**dict(zip(_NAMES, told, strict=True)), source=found)

    def __len__(self) -> int:
        """How many images."""
        return len(self.table)

    def licences(self) -> dict[str, int]:
        """Images by the licence of a photograph in them; one with two counts under each."""
        found: Counter[str] = Counter()
        for licences, count in self.table["licence"].value_counts(sort=False).items():
            found.update(dict.fromkeys(str(licences).split("; "), count))
        return dict(found)


def select_images(image_set: ImageSet, samples: pd.DataFrame, options: ExportOptions) -> Selection:
    """Choose what is exported; nothing of the test side ever is.

    Args:
        image_set: The synthetic images.
        samples: The samples that it was made of.
        options: What comes along.

    Raises:
        InputError: Nothing is left, or licences forbid what the export is for.
    """
    made = [image_set.manifest, *([image_set.rejected] if options.rejected else [])]
    rows = pd.concat(
        [table[[c for c in _OF_MANIFEST if c in table]] for table in made], ignore_index=True
    )
    if rows.empty:
        raise InputError(
            "there is nothing to export: no image was accepted",
            file=image_set.root,
            value=f"{len(image_set.rejected)} rejected",
            remedy="see synthesis_summary for why, or export the rejected too: --all",
        )
    mine = samples[samples["category"].isin(rows["category"])]
    good = options.format == "mvtec" if options.normals is None else options.normals
    sides = {"base": options.real, "normal": good}
    real = pd.concat([mine[(mine["split"] == side) & wanted] for side, wanted in sides.items()])
    photographs = list(each_sample(real))
    table = pd.concat([_synthetic(rows), _real(real, photographs)], ignore_index=True)
    if mine["category"].nunique() > 1:
        labelled = table["label"] != ""
        table["label"] = table["label"].where(~labelled, table["category"] + "-" + table["label"])
    table["name"] = list(_distinct(table["name"]))
    columns = dict.fromkeys([*_NAMES, *table.columns])
    table = table[list(columns)]
    of_set = next((str(t["of_set"].iloc[0]) for t in made if "of_set" in t and len(t)), UNKNOWN)
    chosen = Selection(table, [*rows["image_id"], *photographs], image_set, of_set)
    if options.commercial and not options.accept_licences:
        check_commerce(chosen)
    return chosen


def check_commerce(selection: Selection) -> None:
    """Make sure that no source speaks against commercial use.

    Raises:
        InputError: One does, or nobody has said.
    """
    doubts = {name: doubt for name in selection.licences() if (doubt := commerce_doubt(name))}
    if doubts:
        told = "; ".join(f"{name}: {doubt}" for name, doubt in sorted(doubts.items()))
        raise InputError(
            "the sources do not permit a commercial export",
            value=told,
            remedy="make images of photographs that are yours, say so with ingest.licence, or take"
            " it on yourself with --accept-licences",
        )


def instances(mask: np.ndarray, how: str) -> list[np.ndarray]:
    """Return the masks of an image's instances, each bool (H, W): its parts, or all as one."""
    if not mask.any():
        return []
    return components(mask) if how == "parts" else [mask]


def _file(image_set: ImageSet, image_id: str) -> Path:
    """Where an image lies: a person's review moves none."""
    name = f"{image_id}.png"
    published = image_set.root / "images" / name
    return published if published.exists() else image_set.root / REJECTED / "images" / name


def _synthetic(rows: pd.DataFrame) -> pd.DataFrame:
    licences = rows.get("licence", UNKNOWN)
    table = rows.rename(columns={"image_id": "name"})
    if "seed" in table:
        table["seed"] = table["seed"].astype("Int64")  # photographs have none, floats lose digits
    return table.assign(label=rows["defect_type"], origin=SYNTHETIC, licence=licences)


def _real(rows: pd.DataFrame, photographs: Sequence[Sample]) -> pd.DataFrame:
    licences = pd.Series(rows.get("licence", UNKNOWN), index=rows.index)
    return pd.DataFrame(
        {
            "name": [_UNSAFE.sub("_", f"real-{sample.sample_id}") for sample in photographs],
            "category": rows["category"].to_numpy(),
            "defect_type": rows["defect_type"].to_numpy(),
            "label": rows["defect_type"].mask(rows["defect_type"] == GOOD, "").to_numpy(),
            "origin": REAL,
            "verdict": "",
            "licence": licences.replace("", UNKNOWN).to_numpy(),
            "background": [sample.sample_id for sample in photographs],
            "reason": [sample.derivation for sample in photographs],
        }
    )


def _distinct(names: Iterable[str]) -> Iterator[str]:
    """The names, those that occur again numbered."""
    seen: Counter[str] = Counter()
    for name in names:
        key = name.lower()  # some file systems know no other
        seen[key] += 1
        yield name + (f"-{seen[key]}" if seen[key] > 1 else "")
