"""Settings that fit into a time: what is given up, least first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.forecast.forecast import Forecast, Settings

_SHARES = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05)
_IMAGES, _FINETUNE, _DETECTOR = 16, 50, 40  # at least so many images, steps of either network
_TOLD = {
    "augment": ("masks.count", "synthesis.count", "finetune.steps"),
    "downstream": (
        *("protocol.seeds", "localization.training.steps"),
        "localization.paper.steps",
    ),
}
_WORTH = {"steps": 1.5, "count": 1.0, "seeds": 0.4}  # how much a share of each is missed


class Fitted(NamedTuple):
    """Settings that fit.

    Attributes:
        settings: The options.
        forecast: Of them.
        parameters: What differs from what was asked for, as `--params` takes it, by pipeline.
        given_up: The same in words.
    """

    settings: Settings
    forecast: Forecast
    parameters: dict[str, str]
    given_up: list[str]


def fit(
    asked: Settings,
    categories: int,
    minutes: float,
    forecast_of: Callable[[Settings], Forecast],
) -> Fitted:
    """Find the settings nearest to those asked for that fit into some minutes, both pipelines.

    Args:
        asked: What is to be kept as far as it can be.
        categories: How many there are.
        minutes: Of both pipelines.
        forecast_of: What a run costs.

    Raises:
        InputError: Not even the least fit.
    """
    asked = asked.of_categories(categories)
    ladder = sorted(_candidates(asked), key=lambda candidate: candidate[0])
    for _, settings in ladder:
        found = forecast_of(settings)
        if found.minutes() <= minutes:
            return Fitted(settings, found, *_told(asked, settings))
    least = min(forecast_of(settings).minutes() for _, settings in ladder[-3:])
    raise InputError(
        "not even the least run fits into this time",
        value=f"{minutes:g} minutes, about {least:.0f} are needed",
        remedy="give it more, read fewer categories (ingest.categories), or run augment alone",
    )


def _candidates(asked: Settings) -> Iterator[tuple[float, Settings]]:
    """Every combination of shares, with what is missed in it."""
    seeds = asked.protocol.seeds
    for count, steps, number in product(_SHARES, _SHARES, range(len(seeds), 0, -1)):
        kept = {"count": count, "steps": steps, "seeds": number / len(seeds)}
        missed = sum(_WORTH[name] * (1 / share - 1) for name, share in kept.items())
        yield missed, _scaled(asked, count, steps, seeds[:number])


def _scaled(asked: Settings, count: float, steps: float, seeds: list[int]) -> Settings:
    def images(options: Any) -> Any:
        return options.model_copy(update={"count": _shrunk(options.count, count, _IMAGES)})

    def trained(options: Any, least: int) -> Any:
        fewer = options.steps and _shrunk(options.steps, steps, least)
        return options.model_copy(update={"steps": fewer})

    training = {"training": trained(asked.localization.training, _DETECTOR)}
    if asked.localization.paper is not None:
        training["paper"] = trained(asked.localization.paper, _DETECTOR)
    return asked._replace(
        synthesis=images(asked.synthesis),
        masks=images(asked.masks),
        finetune=trained(asked.finetune, _FINETUNE),
        localization=asked.localization.model_copy(update=training),
        protocol=asked.protocol.model_copy(update={"seeds": seeds}),
    )


def _shrunk(value: int, share: float, least: int) -> int:
    return min(value, max(least, round(value * share)))


def _told(asked: Settings, found: Settings) -> tuple[dict[str, str], list[str]]:
    parameters: dict[str, str] = {}
    given_up = []
    for pipeline, names in _TOLD.items():
        pairs = {n: tuple(_value(settings, n) for settings in (asked, found)) for n in names}
        changed = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
        parameters[pipeline] = ",".join(f"{name}={now}" for name, (_, now) in changed.items())
        given_up += [f"{name} {now} instead of {was}" for name, (was, now) in changed.items()]
    return parameters, given_up


def _value(settings: Settings, name: str) -> str:
    """The value of a dotted name as `--params` takes it; "" where there is none."""
    found: Any = settings
    for part in name.split("."):
        found = getattr(found, part, None)
    return " ".join(map(str, found)) if isinstance(found, list) else str(found)
