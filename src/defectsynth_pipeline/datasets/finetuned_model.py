"""`FinetunedModelDataset` keeps each trained model as a folder of its own, written whole."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io.core import AbstractVersionedDataset, DatasetError, Version
from kedro.utils import load_obj

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.publishing import written_whole


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
        """Load the model.

        Raises:
            InputError: A file of it is missing or broken.
        """
        folder = Path(self._get_load_path())
        try:
            return load_obj(self._model).load(folder)
        except InputError:
            raise
        except Exception as error:  # every format has errors of its own
            raise InputError(
                "a saved model cannot be read",
                file=folder,
                value=" ".join(f"{type(error).__name__}: {error}".split()),
                remedy="load another version (--load-versions), or run what made it again",
            ) from error

    def save(self, data: Any) -> None:
        """Publish the folder whole.

        Raises:
            InputError: The disk is full or read only.
        """
        with written_whole(Path(self._get_save_path())) as aside:
            aside.mkdir()
            data.save(aside)

    def _exists(self) -> bool:
        try:
            return Path(self._get_load_path()).is_dir()
        except DatasetError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "model": self._model, "version": self._version}
