"""A name on the command line that nothing has, with the nearest that something has."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from kedro.config import MissingConfigException
from kedro.framework.project import pipelines

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.memory import maker_of


def what_was_mistyped(error: BaseException) -> InputError | None:
    """Say what Kedro's error means if it is about `--env`, `--nodes`, `--to-outputs` and the like.

    Returns:
        None if it is about anything else.
    """
    raised_in = [frame.filename for frame in traceback.extract_tb(error.__traceback__)][-1:]
    text = str(error).splitlines()[0] if str(error) else ""
    if isinstance(error, MissingConfigException) and text.startswith("Given configuration path"):
        path = Path(text.rpartition(": ")[2])
        known = [folder.name for folder in path.parent.glob("*/") if folder.is_dir()]
        return InputError(
            "there is no such environment",
            file=path.parent,
            value=path.name,
            remedy=nearest(path.name, known),
        )
    if (
        isinstance(error, ValueError)
        and raised_in
        and raised_in[0].endswith("pipeline/pipeline.py")
    ):
        name = next(iter(re.findall(r"'([^']+)'", text)), "")
        made_by = maker_of(name)
        every = pipelines.values()
        names = {node.name for pipeline in every for node in pipeline.nodes}
        names |= {entry for pipeline in every for entry in pipeline.datasets()}
        return InputError(
            text.rstrip("."),
            remedy=f"add --pipeline={made_by}"
            if made_by
            else nearest(name, names, "see `kedro registry describe` for all names"),
        )
    return None


def nearest(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """The remedy for a mistyped name; where none is near, `otherwise` or all there are."""
    close = get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return otherwise or f"use one of {', '.join(sorted(known))}"
