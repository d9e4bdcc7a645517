"""What is timed, what memory is seen, and the paper's ratios."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from defectsynth_pipeline.ablation import cost
from defectsynth_pipeline.schemas import own_columns


def test_memory_that_is_used_in_between_is_seen():
    with cost.peak_memory(torch.device("cpu")) as before:
        pass
    with cost.peak_memory(torch.device("cpu")) as peak:
        held = np.ones(128 << 17)  # 128 MiB of float64
        for _ in range(20):
            held += 1
        del held
    assert peak[0] - before[0] > 100


def test_types_take_turns_in_what_is_timed():
    plan = pd.DataFrame({"category": "c", "defect_type": list("aaabb"), "n": range(5)})
    assert list(cost._in_turn(plan, 4)["n"]) == [0, 3, 1, 4]


def test_ratios_stand_beside_the_papers_and_its_rivals_have_rows_of_their_own():
    numbers = {"seconds_per_mask": 0.5, "memory_mib": 100.0, "finetune_seconds": 60.0}
    told = {"table": "V", "hmi": "yes", "sff": "yes", "masks": "hybrid", "device": "cpu"}
    lines = pd.DataFrame(
        [
            {**told, **numbers, "row": "all", "sae": "yes", "seconds_per_image": 2.0},
            {**told, **numbers, "row": "without_sae", "sae": "no", "seconds_per_image": 1.5},
        ]
    )
    table = cost._beside_paper(lines)
    assert list(table.columns) == own_columns("cost_table")
    rows = table.set_index("row")
    assert rows.loc["without_sae", "ratio.seconds_per_image"] == 0.75
    assert rows.loc["without_sae", "paper.ratio"] == pytest.approx(2.26 / 3.40)
    assert rows.loc["seas", "paper.training_hours"] == 20.36
    assert rows.loc["seas", "device"] == ""
    assert (rows.loc["all"].filter(like="ratio.").dropna() == 1).all()
