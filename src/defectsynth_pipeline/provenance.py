"""What a generated PNG says of itself: that it is synthetic, of which set and plan row, from what.

It lies in the file's text chunks, where `exiftool`, `identify -verbose` and image viewers show it,
and holds neither times nor paths: the same options give the same file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from PIL import Image

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import fingerprint

UNKNOWN = "unknown"
PREFIX = 8  # hex digits of a set's fingerprint that its images' ids begin with
_KEYS = ("Description", "Software", "Set", "Image", "Plan row", "Licence")


def named_plan(plan: pd.DataFrame, of_set: str) -> pd.DataFrame:
    """Return a plan with ids that no other set has, and with what traces an image to its row.

    Args:
        plan: One row per image, column `image_id`.
        of_set: Fingerprint of the set that is made of it.

    Returns:
        The plan; `image_id` begins with the fingerprint's first digits, `planned` is the id in the
        plan and `plan_row` the fingerprint of the row.
    """
    rows = [fingerprint(row) for row in plan.to_dict("records")]
    ids = plan["image_id"].astype(str)
    return plan.assign(image_id=f"{of_set[:PREFIX]}-" + ids, planned=ids, plan_row=rows)


def png_text(told: Mapping[str, Any], of_set: str) -> dict[str, str]:
    """Return the text of an image's PNG and of its mask's.

    Args:
        told: The image's row of the manifest: image_id, plan_row, licence.
        of_set: Fingerprint of the set.
    """
    values = ("synthetic: no photograph", "defectsynth_pipeline", of_set, told["image_id"])
    more = (told.get("plan_row", ""), told.get("licence", UNKNOWN))
    return dict(zip(_KEYS, map(str, (*values, *more)), strict=True))


def read_png_text(path: Path) -> dict[str, str]:
    """Return what a PNG of ours says of itself, by the keys Set, Image, Plan row, Licence, ...

    Raises:
        InputError: It is no PNG, or none of ours.
    """
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            found = {key: str(image.info[key]) for key in _KEYS if key in image.info}
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(
            "the image cannot be read", file=path, value=error, remedy="give a PNG of an image set"
        ) from error
    if set(found) != set(_KEYS):
        raise InputError(
            "the image does not say which set it is from",
            file=path,
            value=f"no {', '.join(key for key in _KEYS if key not in found)}",
            remedy="give a PNG as it was published: saving it again may drop what it says",
        )
    return found


def other_references(row: Mapping[str, Any]) -> list[str]:
    """Sample ids, besides background and reference, whose pixels are in an image of a manifest."""
    return list(filter(None, str(row.get("others", "")).split("|")))


def source_licences(
    samples: pd.DataFrame, masks: pd.DataFrame | None = None
) -> Callable[[Mapping[str, Any]], str]:
    """Return a function from a row of a manifest to the licences of the photographs in it.

    Args:
        samples: The table `samples`; the licences are in its column `licence`, if it has one.
        masks: Manifest of the masks that a row's `mask` names; a row may name parents itself.
    """
    known = dict(zip(samples["sample_id"], samples.get("licence", ""), strict=False))
    parents = {} if masks is None else dict(zip(masks["image_id"], masks["parents"], strict=True))

    def licences(row: Mapping[str, Any]) -> str:
        of_mask = str(row.get("parents", parents.get(row.get("mask"), ""))).split("|")
        sources = {row.get("background"), row.get("reference"), *other_references(row), *of_mask}
        sources -= {None, ""}
        return "; ".join(sorted({known.get(name) or UNKNOWN for name in sources})) or UNKNOWN

    return licences
