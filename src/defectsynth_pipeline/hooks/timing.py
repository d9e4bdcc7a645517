"""How long each node of the run in progress took."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from kedro.framework.hooks import hook_impl


class _Current:
    begun: ClassVar[dict[str, float]] = {}
    seconds: ClassVar[dict[str, float]] = {}


def seconds_so_far() -> dict[str, float]:
    """Seconds by node, in the order of the run; nothing outside a session."""
    return dict(_Current.seconds)


class NodeTimes:
    """Measures; what nodes ask for by `seconds_so_far`."""

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Begin anew."""
        _Current.begun, _Current.seconds = {}, {}

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        """Note the time."""
        _Current.begun[node.name] = time.monotonic()

    @hook_impl
    def after_node_run(self, node: Any) -> None:
        """Note how long it took, with the reading of its inputs, without the writing."""
        _Current.seconds[node.name] = time.monotonic() - _Current.begun[node.name]
