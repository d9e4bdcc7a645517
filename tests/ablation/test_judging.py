"""Sets compared by detectors: equal sets do not differ, and nothing is trained twice."""

from __future__ import annotations

import pytest

from defectsynth_pipeline.ablation.judging import Arm, Judges, compare_sets
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.options import ArmOptions, QualityOptions
from defectsynth_pipeline.verdict.comparison import is_primary
from inspection.parts import CLASSIFICATION, LOCALIZATION, PROTOCOL, Tracked, make_bank

from .test_rows import recipe

JUDGES = Judges(
    ArmOptions(),
    CLASSIFICATION,
    LOCALIZATION,
    PROTOCOL.model_copy(update={"bootstrap": 100}),
    QualityOptions(),
)


@pytest.fixture(scope="module")
def bank(tmp_path_factory) -> Bank:
    return make_bank(tmp_path_factory.mktemp("bank"))


def test_equal_sets_do_not_differ_and_a_second_run_trains_nothing(bank, tmp_path):
    given = bank.samples, bank.synthetic, bank.masks
    arms = [Arm("all", *given, ["base"]), Arm("twin", *given)]
    trained: dict[str, int] = {}

    def note(task: str, trainings: int, seconds: float) -> None:
        trained[task] = trained.get(task, 0) + trainings

    def compare():
        controls = ["base", "all"]
        return compare_sets(arms, JUDGES, recipe(), tmp_path, Tracked(), controls, note)

    report = compare()
    assert trained == {"classification": 6, "localization": 6}  # base, all, twin; two seeds
    primary = report[is_primary(report)]
    twins = primary[(primary["arm"] == "twin") & (primary["against"] == "all")]
    assert set(twins["task"]) == {"classification", "localization"}
    assert (twins[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    assert set(primary.loc[primary["arm"] == "all", "against"]) == {"", "base"}
    trained.clear()
    again = compare()
    assert trained == {"classification": 0, "localization": 0}
    assert again.equals(report)
