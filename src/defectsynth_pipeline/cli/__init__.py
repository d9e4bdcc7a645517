"""The command `defectsynth`; within a project Kedro offers its commands beside its own."""

from defectsynth_pipeline.cli.group import cli

__all__ = ["cli"]
