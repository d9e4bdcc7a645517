from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.inspection.selection import (
    best_length,
    can_hold_out,
    held_out_groups,
    without_held_out,
)


def base_table(groups: dict[str, list[str]]) -> pd.DataFrame:
    rows = [
        {"category": "plate", "defect_type": name, "group": group, "sample_id": f"{name}{place}"}
        for name, of_type in groups.items()
        for place, group in enumerate(of_type)
    ]
    return pd.DataFrame(rows)


def plan_table(sources: list[str], kinds: list[str], types: list[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "category": "plate",
            "arm": "defectsynth",
            "row": range(len(sources)),
            "kind": kinds,
            "defect_type": types,
            "sources": sources,
        }
    )


def test_each_type_gives_a_group_and_keeps_one() -> None:
    base = base_table({"dent": ["a", "a", "b"], "scratch": list("cdefghij")})
    (held,) = held_out_groups(base, 0.25, 1, 0)
    assert len(held & set("ab")) == 1
    assert len(held & set("cdefghij")) == 2
    assert [held] == held_out_groups(base, 0.25, 1, 0)
    assert len({held_out_groups(base, 0.25, 1, seed)[0] for seed in range(8)}) > 1


def test_folds_go_through_the_groups_in_turn() -> None:
    folds = held_out_groups(
        base_table({"dent": list("ab"), "scratch": list("cdefghij")}), 0.25, 4, 0
    )
    assert sorted(name for fold in folds for name in fold & set("cdefghij")) == list("cdefghij")
    assert all(len(fold & set("ab")) == 1 for fold in folds)


def test_the_best_length_is_that_of_the_mean_curve() -> None:
    rows = [(0, 10, 0.5), (1, 10, 0.1), (0, 20, 0.4), (1, 20, 0.4), (0, 30, 0.9)]
    assert best_length(pd.DataFrame(rows, columns=["fold", "step", "score"])) == (20, 0.4)
    step, score = best_length(pd.DataFrame(columns=["fold", "step", "score"]))
    assert step == 0
    assert np.isnan(score)


def test_a_type_with_one_group_keeps_it() -> None:
    base = base_table({"dent": ["a", "a"], "scratch": ["b", "c"]})
    assert "a" not in held_out_groups(base, 0.5, 1, 0)[0]
    assert can_hold_out(base)
    lone = base_table({"dent": ["a", "a"]})
    assert not can_hold_out(lone)
    with pytest.raises(InputError, match="two parts"):
        held_out_groups(lone, 0.5, 1, 0)


def test_rows_of_held_out_samples_give_way_to_their_like() -> None:
    rows = plan_table(
        ["d0", "d1", "n0", "d0|n0", "s0|n1", "d1|n1", "d1|n0"],
        ["real", "real", "normal", "own", "own", "own", "own"],
        ["dent", "dent", "good", "dent", "scratch", "dent", "dent"],
    )
    kept = without_held_out(rows, frozenset({"d0", "s0"}))
    assert list(kept["sources"]) == ["d1", "d1", "n0", "d1|n1", "d1|n0", "d1|n1", "d1|n0"]
    assert list(kept["kind"]) == list(rows["kind"])
    assert list(kept["row"]) == list(range(7))


def test_a_set_made_of_held_out_samples_alone_is_refused() -> None:
    rows = plan_table(["d0", "d0|n0"], ["real", "own"], ["dent", "dent"])
    with pytest.raises(InputError, match="plate, arm defectsynth"):
        without_held_out(rows, frozenset({"d0"}))
