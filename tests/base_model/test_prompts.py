"""The words of a sample."""

from __future__ import annotations

import pytest

from defectsynth_pipeline.base_model.loading import prompt_for
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import PromptOptions


def test_defect_and_normal_wording() -> None:
    options = PromptOptions(defect="{category}: {defect_type}", normal="good {category}")
    assert prompt_for(options, "metal_nut", "bent_pin") == "metal nut: bent pin"
    assert prompt_for(options, "Größe", "good") == "good Größe"


@pytest.mark.parametrize("template", ["a {colour}", "{0}", "{category", "{category.x}"])
def test_a_template_that_names_something_else(template: str) -> None:
    with pytest.raises(InputError, match="prompt template") as caught:
        prompt_for(PromptOptions(defect=template), "tile", "crack")
    assert f"value: {template}" in str(caught.value)
    assert "prompts.defect" in caught.value.remedy
