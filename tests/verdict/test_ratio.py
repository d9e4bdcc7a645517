"""The number of synthetic images worth making."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.inspection.results import LEGACY
from defectsynth_pipeline.verdict.ratio import COLUMNS, ratio_curve
from verdict.measured import report_row


def curve_of(values, half=0.05, **changes):
    return pd.DataFrame(
        [
            report_row(arm=f"defectsynth@{n}", value=v, low=v - half, high=v + half, **changes)
            for n, v in values.items()
        ]
    )


@pytest.mark.parametrize(
    ("values", "worth"),
    [
        ({0: 0.30, 25: 0.40, 50: 0.47, 100: 0.51, 200: 0.50}, 50),
        ({0: 0.48, 50: 0.50}, 0),
        ({0: 0.10, 50: 0.20, 100: 0.30}, 100),
        ({100: 0.30, 0: 0.10, 50: 0.28}, 50),
        ({0: np.nan, 50: np.nan}, -1),
    ],
)
def test_smallest_number_within_half_an_interval_of_the_best(values, worth):
    curve = ratio_curve(curve_of(values))
    assert curve["n"].tolist() == sorted(values)
    assert set(curve["worth_making"]) == {worth}


def test_only_the_primary_metric_of_plain_points():
    report = pd.concat(
        [
            curve_of({50: 0.5, 100: 0.6}),
            curve_of({50: 0.5}, metric="pixel_auroc"),
            curve_of({50: 0.5}, selected=LEGACY),
            curve_of({50: 0.5}, against="base"),
            pd.DataFrame([report_row(), report_row(arm="crop_paste@20+defectsynth@50")]),
        ],
        ignore_index=True,
    )
    curve = ratio_curve(report)
    assert curve[["arm", "n", "value"]].to_numpy().tolist() == [
        ["defectsynth", 50, 0.5],
        ["defectsynth", 100, 0.6],
    ]


def test_each_type_has_its_own_number():
    report = pd.concat(
        [
            curve_of({0: 0.1, 50: 0.5}, defect_type="scratch"),
            curve_of({0: 0.5, 50: 0.5}, defect_type="crack"),
        ]
    )
    curve = ratio_curve(report)
    worth = curve.groupby("defect_type")["worth_making"].unique().map(list).to_dict()
    assert worth == {"crack": [0], "scratch": [50]}


def test_no_points_give_an_empty_curve():
    curve = ratio_curve(pd.DataFrame([report_row()]))
    assert curve.empty
    assert list(curve.columns) == list(COLUMNS)


def test_a_curve_is_that_of_the_chosen_detector():
    points = {0: 0.3, 50: 0.5}
    mine = curve_of(points, held_out=0.6)
    other = curve_of(points, role="paper", detector="resnet18", held_out=0.2)
    pd.testing.assert_frame_equal(ratio_curve(pd.concat([other, mine])), ratio_curve(mine))
