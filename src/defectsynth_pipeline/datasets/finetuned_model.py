"""`FinetunedModelDataset` keeps each fine-tuned model as a folder of its own, written whole."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from kedro.io.core import AbstractVersionedDataset, DatasetError, Version

if TYPE_CHECKING:
    from defectsynth_pipeline.appearance.finetuned import FinetunedModel


class FinetunedModelDataset(AbstractVersionedDataset[Any, Any]):
    """A folder written by `FinetunedModel.save` and read by `FinetunedModel.load`.

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
        version: Version | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Set up the dataset.

        Args:
            filepath: The folder of all versions, or of the one model without versions.
            version: Which version to load and save.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self.metadata = metadata
        super().__init__(filepath=PurePosixPath(filepath), version=version)

    def load(self) -> FinetunedModel:
        """Load the model."""
        from defectsynth_pipeline.appearance.finetuned import FinetunedModel

        return FinetunedModel.load(Path(self._get_load_path()))

    def save(self, data: FinetunedModel) -> None:
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
        return {"filepath": self._filepath, "version": self._version}
