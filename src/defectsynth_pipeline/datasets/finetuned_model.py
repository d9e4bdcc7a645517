"""`FinetunedModelDataset` keeps each trained model as a folder of its own, written whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io.core import Version
from kedro.utils import load_obj
from kedro_datasets._typing import HTMLPreview

from defectsynth_pipeline.datasets.cards import model_card
from defectsynth_pipeline.datasets.folder import FolderDataset
from defectsynth_pipeline.datasets.inputs import MODELS
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.publishing import written_whole


class FinetunedModelDataset(FolderDataset[Any, Any]):
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
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Set up the dataset.

        Args:
            filepath: The folder of all versions, or of the one model without versions; may begin
                with a protocol that fsspec knows.
            model: Dotted path of the model's class.
            version: Which version to load and save.
            credentials: Keyword arguments of that file system.
            fs_args: Further ones.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self._model = model
        where = {"credentials": credentials, "fs_args": fs_args}
        super().__init__(filepath=filepath, version=version, metadata=metadata, **where)

    def load(self) -> Any:
        """Load the model.

        Raises:
            InputError: A file of it is missing or broken.
        """
        folder = self._folder()
        try:
            with MODELS:
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
        path = self._get_save_path()
        target = Path(path) if self._protocol == "file" else self._copy_of(path)
        with written_whole(target) as aside:
            aside.mkdir()
            data.save(aside)
            if self._protocol != "file":
                self._upload(aside)

    def preview(self) -> HTMLPreview:
        """What the model says of itself, for Kedro-Viz."""
        return HTMLPreview(model_card(self._folder()))

    def _describe(self) -> dict[str, Any]:
        return {**super()._describe(), "model": self._model}
