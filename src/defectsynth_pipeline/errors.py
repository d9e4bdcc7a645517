"""The one error a user is meant to read."""

from __future__ import annotations

from pathlib import Path


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
