"""What any parameter may be: no unknown key, no inf, within a bound, in no contradiction.

An upper bound is what no one can mean, or no machine can do, not what is advisable.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

_T = TypeVar("_T")


class Contradiction(ValueError):
    """Values that cannot be meant together.

    Args:
        values: The options and their values.
        remedy: What to do about it, in the imperative.
    """

    def __init__(self, values: str, remedy: str) -> None:
        self.values, self.remedy = values, remedy
        super().__init__(f"{values}: {remedy}")


class Options(BaseModel):
    """Base of all options: immutable; an unknown key, inf and nan are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def words(value: Any) -> Any:
    """Return "a b" as a list: `--params` splits at commas, so it cannot hold one."""
    if isinstance(value, str):
        return value.split()
    return [value] if isinstance(value, int) else value


def distinct(values: list[_T]) -> list[_T]:
    """Return the values; one that is listed twice is a `Contradiction`."""
    for value in values:
        if values.count(value) > 1:
            raise Contradiction(f"{value} is listed {values.count(value)} times", "list it once")
    return values


def one_length(steps: object, epochs: object) -> None:
    """Refuse a training whose length is given twice, or not at all.

    Raises:
        Contradiction: Both or neither is None.
    """
    if (steps is None) == (epochs is None):
        values = f"steps = {steps}, epochs = {epochs}"
        raise Contradiction(values, "give one of them, and null for the other")


Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, Field(ge=0, le=10**6)]
Images = Annotated[int, Field(ge=1, le=10**6)]
Steps = Annotated[int, Field(ge=1, le=10**7)]
NoiseLevels = Annotated[int, Field(ge=1, le=1000, description="of the schedule's 1000")]
Few = Annotated[int, Field(ge=1, le=1000)]
Batch = Annotated[int, Field(ge=1, le=4096)]
Side = Annotated[int, Field(ge=32, le=8192, description="px")]
Share = Annotated[float, Field(gt=0, le=1)]
LearningRate = Annotated[float, Field(gt=0, le=1)]
Names = Annotated[list[str], BeforeValidator(words), Field(min_length=1), AfterValidator(distinct)]
Counts = Annotated[
    list[Count], BeforeValidator(words), Field(min_length=1), AfterValidator(distinct)
]
Seeds = Annotated[list[Seed], BeforeValidator(words), Field(min_length=1), AfterValidator(distinct)]
