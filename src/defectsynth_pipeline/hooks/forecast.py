"""A run says what it will cost, once it knows what it is made from."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from kedro.framework.hooks import hook_impl

from defectsynth_pipeline.hooks.parameters import STAGES

if TYPE_CHECKING:
    from defectsynth_pipeline.forecast.forecast import Forecast, Settings
    from defectsynth_pipeline.options import FramingOptions, IngestOptions

logger = logging.getLogger(__name__)
_SHORT = 64  # images and fine-tuning steps: a run of fewer is over before it is measured


class Forecasts:
    """Tells minutes, memory and disk of `augment` after the first of its nodes."""

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Keep the parameters and the place."""
        self._context = context

    @hook_impl
    def before_pipeline_run(self, pipeline: Any) -> None:
        """See whether it is a whole run."""
        outputs = pipeline.all_outputs()
        self._whole = {"samples", "controlnet", "synthetic_images"} <= outputs

    @hook_impl
    def after_node_run(self, node: Any, catalog: Any, outputs: dict[str, Any]) -> None:
        """Measure and tell, if it is."""
        if "samples" not in outputs or not self._whole:
            return
        settings, framing, _ = settings_of(self._context.params)
        if min(settings.synthesis.count, settings.finetune.optimizer_steps(1)) < _SHORT:
            return
        base = catalog["base_model"].load()
        place = self._context.project_path
        found = forecaster(outputs["samples"], base, settings, framing, place)(settings)
        for line in found.lines("augment"):
            told = logger.warning if line.startswith("warning") else logger.info
            told("%s", line.removeprefix("warning: "))


def settings_of(
    parameters: Mapping[str, Any],
) -> tuple[Settings, FramingOptions, IngestOptions]:
    """Return the options that a cost depends on, of a session's parameters."""
    from defectsynth_pipeline.forecast.forecast import Settings

    def of(stage: str) -> Any:
        return STAGES[stage].model_validate(parameters[stage])

    return Settings(*map(of, Settings._fields)), of("framing"), of("ingest")


def forecaster(
    samples: pd.DataFrame,
    base: Any,
    settings: Settings,
    framing: FramingOptions,
    folder: Path,
) -> Callable[[Settings], Forecast]:
    """Measure this machine, and return what forecasts settings on it."""
    from defectsynth_pipeline.forecast.facts import gather_facts
    from defectsynth_pipeline.forecast.forecast import forecast
    from defectsynth_pipeline.forecast.speed import measure_speed

    own = settings.masks, settings.finetune, framing, settings.synthesis, settings.localization
    speed = measure_speed(samples, base, *own)
    facts = gather_facts(samples, base, settings, framing, folder)
    logger.debug("%s", speed)
    return lambda changed: forecast(facts, speed, changed)
