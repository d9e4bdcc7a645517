from __future__ import annotations

import json

import pandas as pd
import pytest

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.plan import plan_training
from defectsynth_pipeline.inspection.experiment import count_synthetic, make_jobs

from .parts import LOCALIZATION, PROTOCOL, changed, make_bank


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return make_bank(tmp_path_factory.mktemp("bank"))


def keys(plan: pd.DataFrame, bank: Bank, options: object, protocol: object) -> dict[object, str]:
    jobs = make_jobs("localization", plan, bank, options, protocol)  # type: ignore[arg-type]
    return {(job.arm, job.seed): job.key for job in jobs}


def test_only_what_decides_an_outcome_is_in_its_key(bank: Bank) -> None:
    plan = plan_training(bank, ["base", "crop_paste"], "localization", LOCALIZATION.training_set)
    before = keys(plan, bank, LOCALIZATION, PROTOCOL)
    assert len(set(before.values())) == 4
    same = changed(PROTOCOL, seeds=[0, 1, 2], bootstrap=100, confidence=0.9)
    assert before.items() <= keys(plan, bank, LOCALIZATION, same).items()
    alone = keys(plan[plan["arm"] == "base"], bank, LOCALIZATION, PROTOCOL)
    assert alone.items() <= before.items()
    steps = changed(LOCALIZATION, training={"steps": 4})
    other = [keys(plan, bank, steps, PROTOCOL)]
    other += [keys(plan, bank, LOCALIZATION, changed(PROTOCOL, select="validation"))]
    retouched = bank.samples.assign(sha256="0" * 64)
    other += [keys(plan, Bank(retouched, bank.synthetic, bank.masks), LOCALIZATION, PROTOCOL)]
    for changed_keys in other:
        assert not set(changed_keys.values()) & set(before.values())


@pytest.mark.parametrize(
    ("arm", "count"),
    [
        ("base", 0),
        ("base_normals", 0),
        ("crop_paste", 4),
        ("crop_paste@2", 2),
        ("crop_paste@0", 0),
        ("base_normals+crop_paste", 2),
        ("defectsynth", 4),
    ],
)
def test_only_images_of_the_arms_own_making_count(bank: Bank, arm: str, count: int) -> None:
    plan = plan_training(bank, [arm], "localization", LOCALIZATION.training_set)
    (job, *_) = make_jobs("localization", plan, bank, LOCALIZATION, PROTOCOL)
    assert count_synthetic(job.rows) == count


def test_an_image_of_another_system_counts() -> None:
    recipe = json.dumps({"defect_type": "dent", "source": "x/0", "sources": []})
    rows = pd.DataFrame({"kind": ["own", "own"], "recipe": [recipe, recipe]})
    assert count_synthetic(rows) == 1
