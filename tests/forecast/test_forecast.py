"""What a run costs: added up from a speed, warned of, and fitted into a time."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from defectsynth_pipeline.base_model.loading import BaseModel
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.forecast.facts import gather_facts
from defectsynth_pipeline.forecast.fitting import Fitted, fit
from defectsynth_pipeline.forecast.forecast import Facts, Forecast, Settings, forecast
from defectsynth_pipeline.forecast.speed import Speed, measure_speed
from defectsynth_pipeline.options import (
    ArmOptions,
    ClassificationOptions,
    ExecutionOptions,
    FinetuneOptions,
    FramingOptions,
    LocalizationOptions,
    MaskOptions,
    ProtocolOptions,
    SynthesisOptions,
)
from small_models import changed

SETTINGS = Settings(
    MaskOptions(),
    FinetuneOptions(),
    SynthesisOptions(),
    ArmOptions(),
    ClassificationOptions(),
    LocalizationOptions(),
    ProtocolOptions(),
    ExecutionOptions(workers=2),
)
SPEED = Speed(
    step=0.036,
    denoised=0.15,
    begun=0.02,
    view=0.035,
    nulls=0.17,
    windows=10,
    mask=0.02,
    latent_mask=0.2,
    detector_step=0.23,
)


@pytest.fixture
def facts(all_samples: pd.DataFrame, small: BaseModel, tmp_path: Path) -> Facts:
    found = gather_facts(all_samples, small, SETTINGS, FramingOptions(), tmp_path)
    return found._replace(memory=8e9, disk=20e9)


def seconds(found: Forecast, name: str) -> float:
    (stage,) = [stage for stage in found.stages if stage.name == name]
    return stage.seconds


def with_options(**stages: dict[str, object]) -> Settings:
    return SETTINGS._replace(
        **{name: changed(getattr(SETTINGS, name), **values) for name, values in stages.items()}
    )


def test_facts_are_those_of_the_samples(facts: Facts, all_samples: pd.DataFrame) -> None:
    base = all_samples[all_samples["split"] == "base"]
    kinds = base.groupby(["category", "defect_type"]).size()
    assert set(facts.capacity) == set(kinds.index)
    assert all(facts.capacity[kind] == n * (n - 1) // 2 * 10 for kind, n in kinds.items())
    assert facts.side == 32
    assert facts.image_bytes > 100
    assert facts.workers == 2


def test_cost_follows_what_is_asked_for(facts: Facts) -> None:
    few = forecast(facts, SPEED, with_options(synthesis={"count": 100}, finetune={"steps": 100}))
    many = forecast(facts, SPEED, with_options(synthesis={"count": 1000}, finetune={"steps": 400}))
    assert (few.images, many.images) == (100, 1000)
    assert seconds(many, "rendering") == pytest.approx(10 * seconds(few, "rendering"))
    assert 3.5 < seconds(many, "fine-tuning") / seconds(few, "fine-tuning") <= 4
    assert many.disk > few.disk
    assert seconds(few, "masks") == seconds(many, "masks")
    assert few.minutes() == pytest.approx(few.minutes("augment") + few.minutes("downstream"))
    one = forecast(facts._replace(workers=1), SPEED, SETTINGS)
    assert 1.5 < seconds(one, "rendering") / seconds(many, "rendering") < 2


def test_what_does_not_suffice_is_warned_of(facts: Facts) -> None:
    enough = forecast(facts, SPEED, with_options(masks={"count": 4}))
    assert enough.warnings == []
    short = forecast(facts._replace(memory=1e8, disk=1e6), SPEED, SETTINGS)
    said = "\n".join(short.lines())
    assert said.count("warning: ") == 3
    assert all(kind in said for _, kind in facts.capacity)
    for word in ("base masks give", "memory: ", "disk: ", "execution.workers"):
        assert word in said


def test_crops_at_512_px_of_many_samples_are_tens_of_gigabytes(facts: Facts) -> None:
    base = facts.samples[facts.samples["split"] == "base"]
    many = pd.concat([base] * (3000 // len(base)))
    large = facts._replace(samples=many, side=512)
    assert forecast(large, SPEED, SETTINGS).memory > 20e9


def fitting(facts: Facts, minutes: float) -> Fitted:
    return fit(SETTINGS, 2, minutes, lambda settings: forecast(facts, SPEED, settings))


def test_what_is_given_up_fits_and_is_said(facts: Facts) -> None:
    asked = forecast(facts, SPEED, SETTINGS).minutes()
    fitted = fitting(facts, 0.6 * asked)
    assert fitted.forecast.minutes() <= 0.6 * asked
    assert fitted.given_up
    told = ",".join(fitted.parameters.values())
    assert all(line.split()[0] + "=" in told for line in fitted.given_up)
    settings = fitted.settings
    assert f"finetune.steps={settings.finetune.steps}" in told or (
        settings.finetune.steps == SETTINGS.finetune.steps
    )
    nothing = fitting(facts, 2 * asked)
    assert (nothing.settings, nothing.given_up) == (SETTINGS.of_categories(2), [])
    with pytest.raises(InputError, match="not even the least run fits"):
        fitting(facts, 0.5)


def test_the_forecast_counts_the_steps_that_categories_share(facts: Facts) -> None:
    def steps(categories: int) -> int | str | None:
        return SETTINGS.of_categories(categories).localization.training.steps

    assert [steps(categories) for categories in (1, 2, 4, 15)] == [500, 260, 130, 130]
    by_number = forecast(facts, SPEED, SETTINGS.of_categories(facts.samples["category"].nunique()))
    assert forecast(facts, SPEED, SETTINGS).minutes() == by_number.minutes()


def test_a_speed_is_measured_and_the_model_left_alone(
    all_samples: pd.DataFrame, small: BaseModel
) -> None:
    before = {name: value.clone() for name, value in small.unet.state_dict().items()}
    options = LocalizationOptions(side=64, patch=32)
    how = (FinetuneOptions(), FramingOptions(), SynthesisOptions(steps=4, strength=0.5), options)
    speed = measure_speed(all_samples, small, MaskOptions(max_side=64), *how)
    assert all(getattr(speed, field.name) > 0 for field in fields(Speed))
    assert all((before[name] == value).all() for name, value in small.unet.state_dict().items())
