"""Points of the shots curve: nested, none twice, and of a type only what it has."""

from __future__ import annotations

import pandas as pd
import pytest

from defectsynth_pipeline.ablation.shots import shot_samples, shots_curve
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import AblationOptions, IngestOptions
from defectsynth_pipeline.schemas import own_columns


@pytest.fixture(scope="module")
def samples(demo) -> pd.DataFrame:
    return make_samples([demo / "mvtec", demo / "gdxray"], IngestOptions())


def base(samples: pd.DataFrame) -> set[str]:
    return set(samples.loc[samples["split"] == "base", "sample_id"])


def test_points_are_nested_and_share_their_test_images(samples):
    options = AblationOptions(shots=["all", 3, 5])
    points = shot_samples(samples, options, 0)
    assert [name for name, _ in points] == ["3", "5", "all"]
    seen = [base(cut) for _, cut in points]
    assert seen[0] < seen[1] < seen[2] == base(samples)
    tests = {tuple(cut.loc[cut["split"] == "test", "sample_id"]) for _, cut in points}
    assert len(tests) == 1


def test_a_point_is_what_ingest_shots_gives(samples, demo):
    given = make_samples([demo / "mvtec", demo / "gdxray"], IngestOptions(shots=3))
    ((_, cut),) = shot_samples(samples, AblationOptions(shots=[3]), 0)
    assert base(cut) == base(given)


def test_what_no_type_has_is_not_made_twice(samples):
    options = AblationOptions(shots=[3, 5, 20, "all"], shots_categories=["flange"])
    points = shot_samples(samples, options, 0)
    assert [name for name, _ in points] == ["3", "all"]  # flange has five of each type
    assert set(points[0][1]["category"]) == {"flange"}


def test_an_unknown_category_is_refused(samples):
    with pytest.raises(InputError, match=r"no such category.*flnge"):
        shot_samples(samples, AblationOptions(shots_categories=["flnge"]), 0)


def test_a_type_stands_at_each_number_of_its_images_once(samples):
    points = dict(shot_samples(samples, AblationOptions(shots=[3, 5, "all"]), 0))
    places = samples[samples["split"] == "base"][["corpus", "category", "defect_type"]]
    line = places.drop_duplicates().assign(arm="defectsynth", against="", extractor="e", note="")
    rated = {name: line.assign(measure="kid", value=1.0, n_synthetic=4) for name in points}
    report = pd.DataFrame(columns=own_columns("localization_report"))
    curve = shots_curve(points, rated, dict.fromkeys(points, report))
    of_type = curve.groupby(["category", "defect_type"])
    assert sorted(of_type.get_group(("flange", "dent"))["base_images"]) == [3, 5]
    assert list(of_type.get_group(("flange", "dent"))["shots"]) == ["3", "all"]
    assert sorted(of_type.get_group(("weld", "defect"))["base_images"]) == [3, 5, 6]
