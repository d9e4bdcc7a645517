"""What every version was made from: a JSON file per run, `data/runs/<version>.json`.

All that a run saves has the run's name as its version, so an entry's name and version lead to its
record. The record is written before the version is: none appears without one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.publishing import written_whole

RUNS = Path("data", "runs")


class Records:
    """The records of all runs of a project.

    Args:
        project: The project's folder.
    """

    def __init__(self, project: Path) -> None:
        self._folder = project / RUNS
        self._read: dict[str, Mapping[str, Any]] = {}

    def made(self, name: str, version: str) -> Mapping[str, Any] | None:
        """Return what one version of an entry was made from, or None where nothing is known.

        Returns:
            `made_from`: every versioned entry behind it with its version; `settings`: the
            parameters, folder and model that its own node was given.

        Raises:
            InputError: The record is no record.
        """
        if version not in self._read:
            self._read[version] = self._load(self._folder / f"{version}.json")
        found: Mapping[str, Any] | None = self._read[version].get(name)
        return found

    def _load(self, path: Path) -> Mapping[str, Any]:
        if not path.is_file():
            return {}
        try:
            entries: Mapping[str, Any] = json.loads(path.read_bytes())["entries"]
            return {
                name: {"made_from": dict(made["made_from"]), "settings": dict(made["settings"])}
                for name, made in entries.items()
            }
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise InputError(
                "the record of a run cannot be read",
                file=path,
                value=error,
                remedy="restore it, or delete it: what its versions were made from is then unknown",
            ) from error

    def write(self, run: str, content: Mapping[str, Any]) -> None:
        """Write the record of a run whole, in place of an earlier one."""
        text = json.dumps(content, indent=2, ensure_ascii=False, default=_plain)
        with written_whole(self._folder / f"{run}.json") as aside:
            aside.write_text(f"{text}\n", encoding="utf-8")


def _plain(value: object) -> Any:
    """Options as JSON has them, anything else as its text."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)


def as_recorded(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as a record gives them back, to be compared with one."""
    told: dict[str, Any] = json.loads(json.dumps(settings, default=_plain))
    return told
