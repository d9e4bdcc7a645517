"""What was found, written whole: a row per photograph, and a heat map over each."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import colormaps
from PIL import Image

from defectsynth_pipeline.corpora.columns import GOOD
from defectsynth_pipeline.detect.detection import Finding, Inspector, Threshold
from defectsynth_pipeline.detect.photographs import Photograph
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures.previews import outlined, to_display
from defectsynth_pipeline.imaging.codec import encode_png
from defectsynth_pipeline.publishing import written_whole

logger = logging.getLogger(__name__)
TABLE, MAPS = "detections.csv", "heat_maps"
_SPAN = 4.0  # logits above the threshold at which the heat is full


def write_detections(
    photographs: Iterable[Photograph],
    inspector: Inspector,
    threshold: Threshold,
    folder: Path,
) -> pd.DataFrame:
    """Look at every photograph; write `detections.csv` and `heat_maps/` into a new folder.

    Boxes are x y width height in pixels of the file, several separated by ";".

    Raises:
        InputError: Not one photograph could be used.
    """
    rows = []
    with written_whole(folder) as aside:
        (aside / MAPS).mkdir(parents=True)
        for shown in photographs:
            row = {"file": shown.name, "score": np.nan, "threshold": round(threshold.score, 4)}
            row |= {"defective": "", "type": "", "probability": np.nan, "boxes": ""}
            row |= {"heat_map": "", "note": shown.note}
            if shown.image is None:
                logger.warning("%s: %s", shown.name, shown.note)
            else:
                found = inspector.inspect(shown.image, threshold.score)
                place = Path(MAPS, f"{shown.name}.png")
                (aside / place).parent.mkdir(parents=True, exist_ok=True)
                drawn = heat_map(shown.image, found, threshold.score)
                (aside / place).write_bytes(encode_png(_as_large(drawn, shown.size)))
                row |= _told(found, shown) | {"heat_map": place.as_posix()}
            rows.append(row)
        table = pd.DataFrame(rows)
        if (table["defective"] == "").all():
            raise InputError(
                "not one photograph could be used",
                value=f"{rows[0]['file']}: {rows[0]['note']}",
                remedy="give photographs as the detector was trained on",
            )
        table.to_csv(aside / TABLE, index=False)
    kinds = Counter(table.loc[table["defective"] != "", "type"])
    logger.info("%s: %s", folder, ", ".join(f"{n} {kind}" for kind, n in kinds.most_common()))
    return table


def heat_map(image: np.ndarray, found: Finding, threshold: float) -> np.ndarray:
    """Return a photograph with what is unusual in colour, boxes drawn, uint8 (H, W, 3)."""
    heat = np.clip((found.logits - threshold + _SPAN) / (2 * _SPAN), 0, 1)
    colour = colormaps["inferno"](heat)[..., :3] * 255
    share = 0.65 * heat[..., None]
    shown = np.rint((1 - share) * to_display(image) + share * colour).astype(np.uint8)
    mark = np.zeros(heat.shape, dtype=bool)
    for x, y, width, height in found.boxes:
        mark[y : y + height, x : x + width] = True
    return outlined(shown, mark) if mark.any() else shown


def _told(found: Finding, shown: Photograph) -> dict[str, object]:
    """A finding as a row has it, boxes in pixels of the file."""
    scale = np.array(shown.size) / found.logits.shape
    told = [
        f"{round(x * scale[1])} {round(y * scale[0])} {round(w * scale[1])} {round(h * scale[0])}"
        for x, y, w, h in found.boxes
    ]
    return {
        "score": round(found.score, 4),
        "defective": "no" if found.kind == GOOD else "yes",
        "type": found.kind,
        "probability": round(found.probability, 4),
        "boxes": "; ".join(told),
    }


def _as_large(drawn: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if drawn.shape[:2] == size:
        return drawn
    return np.asarray(Image.fromarray(drawn).resize((size[1], size[0])))
