"""Do the demo's synthetic defects look as its real ones do? Counted on the latest augment run.

Prints one JSON. At the top, of all published images: `dent_axis`, the share of dents shaded along
the real dents' light axis, to the real side; `scratch_core`, the share of scratches with a bright
core; `scratch_peak`, the mean peak of the profile across a scratch over that of the real ones;
`stain_levels`, by how many of 255 levels the worst channel of a stain's colour is off its
reference's times its severity, in the mean; `crack_visible`, the mean share of a crack's skeleton
that differs from the background by more than its grain; `first_attempts`, the share of images
accepted at the first attempt, of the type with the least. Below, `real` has the same of the real
base defects, and `untouched` of backgrounds in which nothing was changed: what scores full, and
what must score nothing. `types` has the first attempts of every type.

    python benchmarks/appearance.py [--project .] [--env NAME]
"""

from __future__ import annotations

import json
import sys
from typing import NamedTuple

import numpy as np
import pandas as pd
from augment import asked_run
from scipy import ndimage

from defectsynth_pipeline.certificate.label import measure_label, real_label
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.pixels import continued, to_float
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.shape.strokes import stroke_tree

_MARGIN = 24  # px around a mask that its surroundings are continued from
_OFFSETS = np.arange(-4, 4.1, 0.5)  # px across a scratch
_RIGHT = 0.5  # of the real ones' median: what counts as shaded their way
_CORE = 0.25  # of the real ones' median peak: what counts as bright


class Shown(NamedTuple):
    """A defect: its residual (h, w, 3) against its surroundings, and its mask (h, w)."""

    residual: np.ndarray
    inside: np.ndarray


def shown(image: np.ndarray, mask: np.ndarray) -> Shown:
    """Cut a defect out, and its surroundings continued under it off."""
    window = Rectangle.around(mask, _MARGIN).slices
    part, inside = to_float(image)[window].astype(np.float64), mask[window]
    return Shown(part - continued(part, inside), inside)


def shading(defect: Shown) -> np.ndarray:
    """Correlation of a defect's brightness with rows and columns, (2,)."""
    grey, points = defect.residual.mean(-1)[defect.inside], np.argwhere(defect.inside)
    return np.array([np.corrcoef(grey, axis)[0, 1] for axis in points.T])


def peak(defect: Shown) -> float:
    """The highest value of the mean profile across a scratch, within 2 px of its middle line."""
    line = stroke_tree(defect.inside).main.points
    line = ndimage.gaussian_filter1d(line, 3.0, axis=0, mode="nearest")
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(*along.T)[:, None], 1e-9)
    normal = np.stack([-along[:, 1], along[:, 0]], 1)
    grey = defect.residual.mean(-1)
    profile = [
        ndimage.map_coordinates(grey, (line + o * normal).T, order=1, mode="nearest").mean()
        for o in _OFFSETS
    ]
    return float(np.array(profile)[np.abs(_OFFSETS) <= 2].max())


def colour(defect: Shown) -> np.ndarray:
    """Mean residual of each channel, (3,)."""
    return np.asarray(defect.residual[defect.inside].mean(0))


def measured(kind: str, defects: list[Shown], real: list[Shown]) -> dict[str, float]:
    """The numbers of dents or scratches, measured by the real ones."""
    if not defects or not real:
        return {}
    if kind == "dent":
        axis = np.mean([shading(d) for d in real], axis=0)
        axis /= np.linalg.norm(axis)
        median = float(np.median([shading(d) @ axis for d in real]))
        right = [float(shading(d) @ axis) >= _RIGHT * median for d in defects]
        return {"dent_axis": float(np.mean(right))}
    own, peaks = [peak(d) for d in real], [peak(d) for d in defects]
    core = _CORE * float(np.median(own))
    return {
        "scratch_core": float(np.mean([value >= core for value in peaks])),
        "scratch_peak": float(np.mean(peaks) / np.mean(own)),
    }


def numbers(samples: pd.DataFrame, images: ImageSet) -> dict[str, dict[str, float]]:
    """The numbers of the published images, of real base defects and of untouched backgrounds."""
    by_id = {sample.sample_id: sample for sample in each_sample(samples)}
    base = [s for s in by_id.values() if s.split == "base"]
    rows = list(images.manifest.itertuples(index=False))
    found: dict[str, dict[str, float]] = {"synthetic": {}, "real": {}, "untouched": {}}
    for kind in ("dent", "scratch"):
        real = [shown(s.image(), s.mask()) for s in base if s.defect_type == kind]
        own = [row for row in rows if row.defect_type == kind]
        made = [
            shown(images.array(r.image_id, "image"), images.array(r.image_id, "mask")) for r in own
        ]
        plain = [shown(by_id[r.background].image(), images.array(r.image_id, "mask")) for r in own]
        for name, defects in (("synthetic", made), ("real", real), ("untouched", plain)):
            found[name] |= measured(kind, defects, real)
    stains, gone = [], []
    for row in (row for row in rows if row.defect_type == "stain"):
        wanted = row.severity * colour(_real(by_id[row.reference]))
        mask = images.array(row.image_id, "mask")
        stains.append(
            np.abs(colour(shown(images.array(row.image_id, "image"), mask)) - wanted).max()
        )
        gone.append(np.abs(colour(shown(by_id[row.background].image(), mask)) - wanted).max())
    if stains:
        found["synthetic"]["stain_levels"] = 255 * float(np.mean(stains))
        found["untouched"]["stain_levels"] = 255 * float(np.mean(gone))
    cracks = [row for row in rows if row.defect_type == "crack"]
    if cracks:
        made, plain = [], []
        for row in cracks:
            background, mask = by_id[row.background].image(), images.array(row.image_id, "mask")
            image = images.array(row.image_id, "image")
            made.append(measure_label(image, background, mask).covered)
            plain.append(measure_label(background, background, mask).covered)
        real = [real_label(s).covered for s in base if s.defect_type == "crack"]
        for name, covered in (("synthetic", made), ("real", real), ("untouched", plain)):
            found[name]["crack_visible"] = float(np.mean(covered))
    return found


def _real(sample: Sample) -> Shown:
    return shown(sample.image(), sample.mask())


def first_attempts(images: ImageSet) -> dict[str, float]:
    """Share of every type's images that were accepted at the first attempt."""
    every = pd.concat([images.manifest, images.rejected])
    first = (every["attempts"] == 1) & (every["verdict"] != "rejected")
    names = every["category"] + "/" + every["defect_type"]
    return {str(name): float(share) for name, share in first.groupby(names).mean().items()}


def main() -> None:
    """Measure and print."""
    run = asked_run(__doc__)
    found = numbers(run["samples"], run["synthetic_images"])
    types = first_attempts(run["synthetic_images"])
    table = {
        **found.pop("synthetic"),
        "first_attempts": min(types.values()),
        **found,
        "types": types,
    }
    rounded = json.loads(json.dumps(table), parse_float=lambda text: round(float(text), 4))
    sys.stdout.write(json.dumps(rounded, indent=1) + "\n")


if __name__ == "__main__":
    main()
