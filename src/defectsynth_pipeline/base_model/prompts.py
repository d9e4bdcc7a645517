"""The words of a sample, the same in fine-tuning and in synthesis."""

from __future__ import annotations

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import PromptOptions


def prompt_for(options: PromptOptions, category: str, defect_type: str) -> str:
    """Return the prompt of a sample; `good` as defect type gives the normal one.

    Raises:
        InputError: The template names anything but category and defect_type.
    """
    template = options.normal if defect_type == "good" else options.defect
    names = {"category": category, "defect_type": defect_type}
    try:
        return template.format(**{key: name.replace("_", " ") for key, name in names.items()})
    except (AttributeError, LookupError, ValueError) as error:
        raise InputError(
            "prompt template cannot be filled in",
            value=template,
            remedy="use only {category} and {defect_type} in prompts.defect and prompts.normal",
        ) from error
