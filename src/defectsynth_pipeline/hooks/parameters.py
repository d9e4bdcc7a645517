"""Checks every parameter, from YAML or `--params`, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from kedro.framework.hooks import hook_impl
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from yaml import YAMLError

from defectsynth_pipeline.bounds import Contradiction, Options
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import (
    AblationOptions,
    ArmOptions,
    ClassificationOptions,
    ExecutionOptions,
    ExportOptions,
    FinetuneOptions,
    FramingOptions,
    IngestOptions,
    LocalizationOptions,
    MaskOptions,
    PretrainOptions,
    PromptOptions,
    ProtocolOptions,
    QualityOptions,
    SynthesisOptions,
)

SOURCE = "conf/*/parameters_*.yml or --params"
STAGES: dict[str, type[Options]] = {
    "ingest": IngestOptions,
    "masks": MaskOptions,
    "framing": FramingOptions,
    "prompts": PromptOptions,
    "finetune": FinetuneOptions,
    "synthesis": SynthesisOptions,
    "execution": ExecutionOptions,
    "pretrain": PretrainOptions,
    "arms": ArmOptions,
    "classification": ClassificationOptions,
    "localization": LocalizationOptions,
    "protocol": ProtocolOptions,
    "quality": QualityOptions,
    "ablation": AblationOptions,
    "export": ExportOptions,
}
CATALOG_PARAMETERS = ("root", "base_model", "review")


class ParameterCheck:
    """Kedro checks the stages it runs but passes over an unknown stage; this passes over none."""

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Check all parameters of the session."""
        check_parameters(context.config_loader["parameters"])


def unreadable(error: BaseException | None) -> InputError | None:
    """What to say of a value that YAML or OmegaConf cannot read; None for other errors."""
    if not isinstance(error, (YAMLError, OmegaConfBaseException)):
        return None
    return InputError(
        "a parameter or another setting cannot be read",
        file=SOURCE,
        value=" ".join(str(error).split()),
        remedy="close every { [ and quote, and put a text that holds { [ & * ! or $ in quotes",
    )


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check names, types and ranges.

    Raises:
        InputError: Naming the parameter, its value, and what would do.
    """
    for key, value in parameters.items():
        if key in STAGES:
            _check_stage(key, value)
        elif key not in CATALOG_PARAMETERS:
            raise _unknown(key, value, [*STAGES, *CATALOG_PARAMETERS])
        elif not isinstance(value, str):
            raise InputError(
                "a parameter has the wrong type",
                file=SOURCE,
                value=f"{key} = {value!r}",
                remedy="give a path or a name",
            )


def _check_stage(stage: str, values: Any) -> None:
    try:
        STAGES[stage].model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join([stage, *_place(first["loc"], values)])
        if first["type"] == "extra_forbidden":
            raise _unknown(name, first["input"], _names(stage)) from error
        cause = first.get("ctx", {}).get("error")
        if isinstance(cause, Contradiction):
            raise InputError(
                "parameters cannot be meant as they are",
                file=SOURCE,
                value=f"{name}: {cause.values}",
                remedy=cause.remedy,
            ) from error
        raise InputError(
            "a parameter has the wrong type or is out of range",
            file=SOURCE,
            value=f"{name} = {first['input']!r}",
            remedy=first["msg"][0].lower() + first["msg"][1:],
        ) from error


def _place(parts: Sequence[str | int], values: Any) -> Iterator[str]:
    """The keys and indices that lead to a value; pydantic adds which type of a union it tried."""
    for part in parts:
        if not isinstance(values, (Mapping, list)):
            return
        yield str(part)
        known = isinstance(values, list) or part in values
        values = values[part] if known else {}


def _unknown(name: str, value: Any, known: list[str]) -> InputError:
    close = get_close_matches(name, known, n=1)
    return InputError(
        "unknown parameter",
        file=SOURCE,
        value=f"{name} = {value!r}",
        remedy=f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}",
    )


def _names(stage: str) -> list[str]:
    return list(_dotted(STAGES[stage], stage))


def _dotted(model: type[Options], prefix: str) -> list[str]:
    names = []
    for key, entry in model.model_fields.items():
        kind = entry.annotation
        nested = isinstance(kind, type) and issubclass(kind, Options)
        names += _dotted(kind, f"{prefix}.{key}") if nested else [f"{prefix}.{key}"]
    return names
