"""Which images are rendered together: planned, so that no result depends on who renders it."""

from __future__ import annotations

import logging

import pandas as pd

from defectsynth_pipeline.errors import InputError

logger = logging.getLogger(__name__)


def batched(plan: pd.DataFrame, size: int) -> pd.DataFrame:
    """Return a plan whose column `batch` gathers whole groups of a type until `size` is reached.

    A batch is named by its first group. It is planned, as the last bits of a pixel depend on what
    is denoised beside it: so an image is the same whoever renders it, and after whatever stop.
    """
    names: dict[str, str] = {}
    name, kind, filled = "", ("", ""), 0
    for group, rows in plan.groupby("group", sort=False):
        first = rows.iloc[0]
        own = (str(first["category"]), str(first["defect_type"]))
        if own != kind or filled + len(rows) > size:
            name, kind, filled = str(group), own, 0
        names[str(group)] = name
        filled += len(rows)
    batches = plan["group"].map(names)
    if "batch" in plan:
        return plan.assign(batch=batches)
    at = list(plan.columns).index("group") + 1
    return pd.concat([plan.iloc[:, :at], batches.rename("batch"), plan.iloc[:, at:]], axis=1)


def in_smaller_batches(plan: pd.DataFrame, told: str) -> pd.DataFrame:
    """Return a plan in batches of half the size, and say so: those of `plan` did not fit.

    Args:
        plan: With the column `batch`.
        told: What the device said.

    Raises:
        InputError: A batch is a single group of images fused together, and is not parted.
    """
    size = int(plan["batch"].value_counts().max())
    smaller = batched(plan, max(1, size // 2))
    if int(smaller["batch"].value_counts().max()) == size:
        raise InputError(
            "the memory does not suffice for one group of images",
            value=f"{size} images; {told.splitlines()[0] if told else 'out of memory'}",
            remedy="make synthesis.sff.group or framing.resolution smaller, or free the device",
        )
    logger.warning(
        "the memory does not suffice for batches of %d: all images are rendered anew in batches "
        "of %d; --params=synthesis.batch_size=%d begins with these",
        *(size, size // 2, size // 2),
    )
    return smaller
