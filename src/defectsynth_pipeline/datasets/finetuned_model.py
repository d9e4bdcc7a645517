"""`FinetunedModelDataset` keeps each trained model as a folder of its own, written whole."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io.core import AbstractVersionedDataset, DatasetError, Version
from kedro.utils import load_obj

from defectsynth_pipeline.datasets.inputs import MODELS


class FinetunedModelDataset(AbstractVersionedDataset[Any, Any]):
    """A folder written by a model's `save(folder)` and read by its class's `load(folder)`.

    Examples:
        ```yaml
        controlnet:
          type: defectsynth_pipeline.datasets.FinetunedModelDataset
          filepath: data/06_models/controlnet
          versioned: true
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        model: str = "defectsynth_pipeline.appearance.adaptation.FinetunedModel",
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Set up the dataset.

        Args:
            filepath: The folder of all versions, or of the one model without versions.
            model: Dotted path of the model's class.
            version: Which version to load and save.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self._model = model
        self.metadata = metadata
        super().__init__(filepath=PurePosixPath(filepath), version=version)

    def load(self) -> Any:
        """Load the model."""
        with MODELS:
            return load_obj(self._model).load(Path(self._get_load_path()))

    def save(self, data: Any) -> None:
        """Save beside the target and move into place, so that no half model is ever a version."""
        target = Path(self._get_save_path())
        partial = target.parent.with_name(f".partial-{target.parent.name}") / target.name
        shutil.rmtree(partial.parent, ignore_errors=True)
        partial.mkdir(parents=True)
        data.save(partial)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        partial.replace(target)
        partial.parent.rmdir()

    def _exists(self) -> bool:
        try:
            return Path(self._get_load_path()).is_dir()
        except DatasetError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "model": self._model, "version": self._version}
