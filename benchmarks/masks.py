"""Time and judge 1,000 masks in image space: `python benchmarks/masks.py [--samples FILE]`.

Without a `samples` table (`samples.csv` of the ingest pipeline) procedural base masks
are made: a thin crack, a scratch, a blob, specks. Every figure is printed per defect type.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage

from defectsynth_pipeline.options import MaskOptions
from defectsynth_pipeline.schemas import read_table
from defectsynth_pipeline.shape.area import area_ratio_table, count_distinct
from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.parents import Parents, base_types, mask_size
from defectsynth_pipeline.shape.plan import plan_masks
from defectsynth_pipeline.shape.render import render_masks
from defectsynth_pipeline.shape.strokes import Stroke, draw

BASE_MASKS = 6


def procedural_masks(side: int) -> dict[str, list[np.ndarray]]:
    """Base masks (side, side) of four made-up defect types."""
    rng = np.random.default_rng(0)
    return {
        "crack": [_crack(rng, side) for _ in range(BASE_MASKS)],
        "scratch": [_scratch(rng, side) for _ in range(BASE_MASKS)],
        "blob": [_blob(rng, side, 0.01) for _ in range(BASE_MASKS)],
        "speck": [_blob(rng, side, 0.0004) for _ in range(BASE_MASKS)],
    }


def write_samples(folder: Path, masks: dict[str, list[np.ndarray]]) -> pd.DataFrame:
    """Write masks as PNG files and describe them as base samples."""
    rows = []
    for defect_type, found in masks.items():
        for index, mask in enumerate(found):
            name = f"{defect_type}_{index:03d}.png"
            Image.fromarray(mask.astype(np.uint8) * 255).save(folder / name)
            rows.append(
                {
                    "sample_id": f"bench/surface/{defect_type}/{index:03d}",
                    "corpus": "bench",
                    "category": "surface",
                    "defect_type": defect_type,
                    "root": folder.resolve().as_posix(),
                    "image": name,
                    "mask": name,
                    "x": 0,
                    "y": 0,
                    "width": mask.shape[1],
                    "height": mask.shape[0],
                    "derivation": "",
                    "mask_of": "",
                    "group": name,
                    "sha256": name,
                    "split": "base",
                }
            )
    return pd.DataFrame(rows)


def judge(samples: pd.DataFrame, options: MaskOptions) -> pd.DataFrame:
    """Render a set and return a row of figures per defect type; the time is in `attrs`."""
    start = time.perf_counter()
    table = area_ratio_table(samples, options)
    plan = plan_masks(samples, table, options)
    items = list(render_masks(plan, samples, options))
    seconds = time.perf_counter() - start
    by_id = {item.image_id: item for item in items}
    rows = []
    for (category, defect_type), group in base_types(samples):
        of_type = (plan["category"] == category) & (plan["defect_type"] == defect_type)
        chosen = [by_id[image_id] for image_id in plan.loc[of_type, "image_id"]]
        parents = Parents(group, mask_size(group, options.max_side), options.tolerance)
        rows.append({"defect_type": f"{category}/{defect_type}"} | _figures(chosen, parents))
    figures = pd.DataFrame(rows)
    figures.attrs["seconds"] = seconds
    return figures


def _figures(items: list, parents: Parents) -> dict[str, object]:
    masks = [item.arrays["mask"] for item in items]
    base = list(parents.measures.values())
    widths = [measure(mask).width for mask in masks]
    areas = np.array([mask.sum() for mask in masks])
    low, high = parents.bounds.area
    ways = Counter(str(item.record["way"]) for item in items)
    return {
        "base": len(base),
        "masks": len(masks),
        "empty": int((areas == 0).sum()),
        "distinct": count_distinct(masks) / len(masks),
        "area_in_range": float(((areas >= low) & (areas <= high)).mean()),
        "base_width": float(np.median([measured.width for measured in base])),
        "width": float(np.median(widths)),
        "rejected_once": float(np.mean([bool(item.record["rejected"]) for item in items])),
        "ways": ", ".join(f"{way} {count}" for way, count in ways.most_common()),
    }


def _crack(rng: np.random.Generator, side: int) -> np.ndarray:
    strokes = []
    start, angle = rng.uniform(0.2, 0.8, 2) * side, rng.uniform(-0.5, 0.5)
    start[1] = 0
    for length, turn in ((0.9, 0.0), (0.35, 0.7), (0.25, -0.8)):
        turns = ndimage.gaussian_filter1d(rng.normal(0, 1.5, int(length * side)), 6)
        heading = angle + turn + turns
        path = start + np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=1), axis=0)
        radii = np.abs(1.2 + ndimage.gaussian_filter1d(rng.normal(0, 2, len(path)), 5))
        strokes.append(Stroke(path, radii * side / 512 + 0.3))
        start = strokes[0].points[int(rng.uniform(0.2, 0.7) * len(strokes[0].points))]
    return draw(strokes, side, side)


def _scratch(rng: np.random.Generator, side: int) -> np.ndarray:
    centre, angle = rng.uniform(0.3, 0.7, 2) * side, rng.uniform(0, np.pi)
    along = np.linspace(-1, 1, int(0.3 * side))[:, None]
    path = centre + along * np.array([np.sin(angle), np.cos(angle)]) * rng.uniform(20, 60)
    return draw([Stroke(path, np.full(len(path), rng.uniform(3, 5)))], side, side)


def _blob(rng: np.random.Generator, side: int, ratio: float) -> np.ndarray:
    rows, columns = np.indices((side, side))
    centre = rng.uniform(0.25, 0.75, 2) * side
    angle = np.arctan2(rows - centre[0], columns - centre[1])
    radius = np.hypot(rows - centre[0], columns - centre[1])
    edge = 1 + 0.25 * np.sin(3 * angle + rng.uniform(0, 6)) + 0.1 * np.sin(5 * angle)
    size = np.sqrt(ratio * rng.uniform(0.6, 1.6) / np.pi) * side
    return np.asarray(radius <= np.maximum(size * edge, 1.0))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=Path, help="a samples.csv")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--estimator", choices=["distance", "coordinates"], default="distance")
    return parser.parse_args()


def main() -> None:
    """Print the figures as a table."""
    arguments = _arguments()
    options = MaskOptions(
        count=arguments.count,
        method="image",
        max_side=arguments.side,
        estimator=arguments.estimator,
    )
    with tempfile.TemporaryDirectory() as folder:
        if arguments.samples is None:
            samples = write_samples(Path(folder), procedural_masks(arguments.side))
        else:
            samples = read_table(arguments.samples, "samples")
        figures = judge(samples, options)
    figures["width_ratio"] = figures["width"] / figures["base_width"]
    seconds = figures.attrs["seconds"]
    sys.stdout.write(figures.round(3).to_string(index=False, max_colwidth=80) + "\n")
    sys.stdout.write(
        f"{arguments.count} masks in {seconds:.1f} s, {1000 * seconds / arguments.count:.1f} ms "
        f"each\n"
    )


if __name__ == "__main__":
    main()
