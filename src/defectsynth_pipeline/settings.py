"""Kedro settings of the project."""

from __future__ import annotations

from defectsynth_pipeline.hooks.console import quiet_libraries, show_input_errors
from defectsynth_pipeline.hooks.parameters import ParameterCheck
from defectsynth_pipeline.hooks.tracking import MlflowTracking

quiet_libraries()
show_input_errors()

HOOKS = (ParameterCheck(), MlflowTracking())

CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    "merge_strategy": {"parameters": "soft", "globals": "soft", "mlflow": "soft"},
    "config_patterns": {"mlflow": ["mlflow*", "mlflow*/**"]},
}
