"""The parameter reference says what the settings and the types say."""

from __future__ import annotations

from pathlib import Path

import pytest

from defectsynth_pipeline.cli.reference import as_markdown, parameters
from defectsynth_pipeline.errors import InputError

REPOSITORY = Path(__file__).parents[2]
BASE = REPOSITORY / "conf" / "base"


def test_value_bounds_and_meaning_of_each_kind_of_parameter() -> None:
    found = {one.name: one for one in parameters(BASE)}
    assert found["masks.tau"][1:] == (
        *("0.053", "above 0 to below 1"),
        "mean area ratio from which latent space is used",
    )
    assert found["protocol.select"].allowed == "last | validation"
    assert found["ingest.shots"].allowed == "2 to 1,000,000 | null"
    assert found["protocol.seeds"][1:3] == ("[0, 1]", "a list of 0 to 4,294,967,295")
    assert found["synthesis.sae.enabled"].allowed == "true | false"
    assert found["ingest.group_by"].meaning.endswith("on one side of the split")  # it goes on


def test_what_two_stages_share_is_explained_in_both() -> None:
    found = {one.name: one.meaning for one in parameters(BASE)}
    assert found["localization.training.average"] == found["classification.training.average"] != ""


def test_the_page_of_the_documentation_is_the_present_one() -> None:
    page = (REPOSITORY / "docs" / "parameters.md").read_text(encoding="utf-8")
    remedy = "run: defectsynth parameters --markdown > docs/parameters.md"
    assert page == as_markdown([*parameters(BASE)]), remedy


def test_a_folder_without_settings_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no parameters") as caught:
        [*parameters(tmp_path)]
    assert caught.value.file == tmp_path
