from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from defectsynth_pipeline.shape.geometry import measure
from defectsynth_pipeline.shape.parents import bounds_of, why_implausible
from shape.builders import bar, disc

BASE = [measure(bar(96, 0.3, 40, 6)), measure(bar(96, 0.9, 60, 6))]
WIDTHS = [measured.width for measured in BASE]
BOUNDS = bounds_of(BASE, 0.25)
MIDDLE = replace(BASE[0], area=(BASE[0].area + BASE[1].area) // 2)


def test_base_masks_are_plausible() -> None:
    assert [why_implausible(measured, BOUNDS, BASE, True) for measured in BASE] == ["", ""]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"area": BASE[0].area - 1}, "area"),
        ({"area": BASE[1].area + 1}, "area"),
        ({"width": max(WIDTHS) * 1.3}, "width"),
        ({"width": min(WIDTHS) / 1.3}, "width"),
        ({"reach": BASE[1].reach * 1.3}, "reach"),
        ({"reach": BASE[0].reach / 1.3}, "reach"),
        ({"parts": 2}, "parts"),
    ],
)
def test_each_figure_out_of_range_is_named(change: dict[str, float], reason: str) -> None:
    assert why_implausible(replace(MIDDLE, **change), BOUNDS, BASE, True) == reason


def test_as_many_parts_as_the_most_scattered_base_mask_and_a_quarter_more() -> None:
    bounds = bounds_of([BASE[0], replace(BASE[1], parts=8)], 0.25)
    judged = [why_implausible(replace(MIDDLE, parts=n), bounds, BASE, True) for n in (1, 10, 11)]
    assert judged == ["", "", "parts"]


def test_a_crack_is_judged_by_its_own_parents() -> None:
    mixed = [*BASE, measure(bar(96, 0.2, 30, 20))]
    wide = replace(MIDDLE, width=15.0)
    bounds = bounds_of(mixed, 0.25)
    assert why_implausible(wide, bounds, BASE, branching=False) == ""
    assert why_implausible(wide, bounds, BASE, branching=True) == "width"


def test_a_disc_among_bars_is_implausible() -> None:
    area = MIDDLE.area
    blob = measure(disc(96, 48, 48, float(np.sqrt(area / np.pi))))
    assert why_implausible(replace(blob, area=area), BOUNDS, BASE, False) == "width"


def test_bounds_are_those_of_the_base_widened_by_the_tolerance() -> None:
    assert BOUNDS.area == (BASE[0].area, BASE[1].area)
    assert BOUNDS.width == pytest.approx((min(WIDTHS) / 1.25, max(WIDTHS) * 1.25))
    assert BOUNDS.reach == pytest.approx((BASE[0].reach / 1.25, BASE[1].reach * 1.25))


@pytest.mark.parametrize(("share", "reason"), [(0.9, ""), (0.75, "frame"), (0.0, "frame")])
def test_what_the_frame_cuts_off_in_both_parents_it_cuts_off(share: float, reason: str) -> None:
    cut = [
        replace(measured, contact=(1.0, 0.0, 0.3, at_right))
        for measured, at_right in zip(BASE, (0.0, 0.4), strict=True)
    ]
    own = replace(MIDDLE, contact=(share, 0.0, 0.25, 0.0))
    assert why_implausible(own, BOUNDS, cut, branching=False) == reason
    assert why_implausible(own, BOUNDS, cut, branching=True) == ""
