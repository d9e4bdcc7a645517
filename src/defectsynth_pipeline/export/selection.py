"""What is exported: images of a set, and real ones beside them, under names that any tool takes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


@dataclass(frozen=True)
class Exported:
    """One image to export; pixels are read when asked for.

    Attributes:
        name: Stem of its file, unlike any other's, of letters, digits and ._- only.
        label: What its defect is called in the export; "" for a good image.
        origin: "synthetic" or "real".
        verdict: Of the certificate: accepted, relabelled, rejected; "" for a real image.
        licence: Of the photographs in it.
        told: What else the table `images.csv` says of it, by column.
        source: The published PNG, or the sample.
    """

    name: str
    category: str
    defect_type: str
    label: str
    origin: str
    verdict: str
    licence: str
    told: Mapping[str, Any]
    source: tuple[ImageSet, str, Path] | Sample

    def png(self) -> bytes:
        """The image's file: as published, or, of a photograph, its part that is a sample."""
        if isinstance(self.source, Sample):
            text = {"Description": "real: a photograph", "Image": self.source.sample_id}
            return encode_png(self.source.image(), text)
        return self.source[2].read_bytes()

    def mask(self) -> np.ndarray:
        """Its mask, bool (H, W), all False for a good image."""
        if isinstance(self.source, Sample):
            return self.source.mask()
        image_set, image_id, _ = self.source
        return image_set.array(image_id, "mask")


@dataclass(frozen=True)
class Selection:
    """All that is exported.

    Attributes:
        images: In order.
        labels: The names of all defects, in order; a format numbers them from it.
        of_set: Fingerprint of the set.
        version: Of the set.
    """

    images: tuple[Exported, ...]
    labels: tuple[str, ...]
    of_set: str
    version: str

    def __iter__(self) -> Iterator[Exported]:
        """The images in order."""
        return iter(self.images)

    def __len__(self) -> int:
        """How many images."""
        return len(self.images)

    def licences(self) -> dict[str, int]:
        """Images by the licence of a photograph in them; one with two counts under each."""
        return dict(Counter(name for image in self for name in image.licence.split("; ")))


def select_images(image_set: ImageSet, samples: pd.DataFrame, options: ExportOptions) -> Selection:
    """Choose what is exported; nothing of the test side ever is.

    Args:
        image_set: The synthetic images.
        samples: The samples that it was made of.
        options: What comes along.

    Raises:
        InputError: Nothing is left, or licences forbid what the export is for.
    """
    rows = _of_set(image_set, options.rejected)
    if not rows:
        raise InputError(
            "there is nothing to export: no image was accepted",
            file=image_set.root,
            value=f"{len(image_set.rejected)} rejected",
            remedy="see synthesis_summary for why, or export the rejected too: --all",
        )
    mine = samples[samples["category"].isin({row["category"] for row, _ in rows})]
    good = options.format == "mvtec" if options.normals is None else options.normals
    sides = {"base": options.real, "normal": good}
    real = [mine[(mine["split"] == side) & wanted] for side, wanted in sides.items()]
    several = mine["category"].nunique() > 1
    images = [_synthetic(image_set, *row, several) for row in rows]
    for table in real:
        licences = table.get("licence", pd.Series(UNKNOWN, index=table.index))
        pairs = zip(each_sample(table), licences, strict=True)
        images += [_real(sample, str(licence), several) for sample, licence in pairs]
    of_set = str(rows[0][0].get("of_set", UNKNOWN))
    labels = sorted({image.label for image in images} - {""})
    chosen = Selection(tuple(_distinct(images)), tuple(labels), of_set, image_set.root.parent.name)
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


def _of_set(image_set: ImageSet, rejected: bool) -> list[tuple[dict[str, Any], Path]]:
    """Rows of the manifest with their files, the published first."""
    tables = [image_set.manifest, *([image_set.rejected] if rejected else [])]
    rows = [row for table in tables for row in table.to_dict("records")]
    return [(row, _file(image_set.root, f"{row['image_id']}.png")) for row in rows]


def _file(root: Path, name: str) -> Path:
    """Where an image lies: a person's review moves none."""
    published = root / "images" / name
    return published if published.exists() else root / REJECTED / "images" / name


def _synthetic(image_set: ImageSet, row: dict[str, Any], file: Path, several: bool) -> Exported:
    return Exported(
        name=row["image_id"],
        category=row["category"],
        defect_type=row["defect_type"],
        label=_label(row["category"], row["defect_type"], several),
        origin=SYNTHETIC,
        verdict=row["verdict"],
        licence=row.get("licence", UNKNOWN),
        told={name: row[name] for name in _TOLD if name in row},
        source=(image_set, row["image_id"], file),
    )


def _real(sample: Sample, licence: str, several: bool) -> Exported:
    good = sample.defect_type == GOOD
    return Exported(
        name=_UNSAFE.sub("_", f"real-{sample.sample_id}"),
        category=sample.category,
        defect_type=sample.defect_type,
        label="" if good else _label(sample.category, sample.defect_type, several),
        origin=REAL,
        verdict="",
        licence=licence or UNKNOWN,
        told={"background": sample.sample_id, "reason": sample.derivation},
        source=sample,
    )


def _label(category: str, defect_type: str, several: bool) -> str:
    """The type; with its category where more than one is exported."""
    return f"{category}-{defect_type}" if several else defect_type


def _distinct(images: list[Exported]) -> Iterator[Exported]:
    """The images, those of one name numbered."""
    seen: Counter[str] = Counter()
    for image in images:
        key = image.name.lower()  # some file systems know no other
        seen[key] += 1
        again = f"-{seen[key]}" if seen[key] > 1 else ""
        yield Exported(**{**image.__dict__, "name": image.name + again})
