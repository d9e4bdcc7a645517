"""The one error a user is meant to read."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any


class InputError(ValueError):
    """Input that cannot be used, said in one line so that the user can mend it.

    Args:
        problem: What is wrong, in one sentence without a full stop.
        file: The file, folder or option concerned.
        value: The offending value.
        remedy: What to do about it, in the imperative.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        value: object = None,
        remedy: str,
    ) -> None:
        self.problem, self.file, self.value, self.remedy = problem, file, value, remedy
        parts = [problem]
        if file is not None:
            parts.append(f"file: {file}")
        if value is not None:
            parts.append(f"value: {value}")
        parts.append(f"remedy: {remedy}")
        super().__init__("; ".join(" ".join(part.split()) for part in parts))

    def __reduce__(self) -> tuple[Any, ...]:
        """Let it come out of another process as it went in; the value comes as text."""
        value = None if self.value is None else str(self.value)
        file = None if self.file is None else str(self.file)
        return partial(InputError, self.problem, file=file, value=value, remedy=self.remedy), ()
