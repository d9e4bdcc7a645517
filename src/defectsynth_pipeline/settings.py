"""Kedro settings of the project."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

from kedro.config import OmegaConfigLoader

from defectsynth_pipeline.hooks.checks import EarlyChecks, ReviewCheck
from defectsynth_pipeline.hooks.closing import Closing
from defectsynth_pipeline.hooks.console import NodeLog, quiet_libraries, show_input_errors
from defectsynth_pipeline.hooks.forecast import Forecasts
from defectsynth_pipeline.hooks.interruption import Interruption
from defectsynth_pipeline.hooks.lineage import Lineage
from defectsynth_pipeline.hooks.memory import MemoryRefill
from defectsynth_pipeline.hooks.parameters import ParameterCheck
from defectsynth_pipeline.hooks.timing import NodeTimes
from defectsynth_pipeline.hooks.tracking import MlflowTracking

quiet_libraries()
show_input_errors()

# The last is called first: a run is checked before its record and its MLflow run are begun, and
# its closing message comes after all else is said.
HOOKS = (
    Closing(),
    ParameterCheck(),
    NodeLog(),
    NodeTimes(),
    Forecasts(),
    MemoryRefill(),
    MlflowTracking(),
    Interruption(),
    ReviewCheck(),
    Lineage(),
    EarlyChecks(),
)


class PartitionedConfig(OmegaConfigLoader):
    """Every entry has a twin per partition, one folder deeper.

    `samples` in data/02_intermediate/samples.csv gives the factory `partition_{k}.samples` in
    data/02_intermediate/partition_{k}/samples.csv; `conf/` may define one otherwise.
    """

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Return a part of the configuration, the catalog with its factories."""
        found: dict[str, Any] = super().__getitem__(key)
        if key != "catalog":
            return found
        twins = {}
        for name, entry in found.items():
            path = PurePosixPath(entry.get("filepath", ""))
            deeper = {"filepath": str(path.parent / "partition_{k}" / path.name)}
            if not name.startswith("partition_"):
                twin = entry | (deeper if path.name else {})
                twins[f"partition_{{k}}.{name}"] = twin | {"metadata": _of_partition(entry)}
        return twins | found


def _of_partition(entry: dict[str, Any]) -> dict[str, Any]:
    """Metadata with a layer per partition: the next begins behind the last layer of this one."""
    told: dict[str, Any] = entry.get("metadata") or {}
    shown = told.get("kedro-viz")
    if not shown:
        return told
    return told | {"kedro-viz": shown | {"layer": f"partition_{{k}} {shown['layer']}"}}


CONFIG_LOADER_CLASS = PartitionedConfig
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft", "globals": "soft", "mlflow": "soft"},
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**"]},
}
