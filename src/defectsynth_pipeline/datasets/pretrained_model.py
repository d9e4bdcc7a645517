"""`PretrainedModelDataset` loads the base model: the shipped compact one, a folder or a hub id."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io.core import AbstractDataset, DatasetError

if TYPE_CHECKING:
    from defectsynth_pipeline.base_model.loading import BaseModel


class PretrainedModelDataset(AbstractDataset[NoReturn, Any]):
    """A diffusers model that this project only reads.

    Examples:
        ```yaml
        base_model:
          type: defectsynth_pipeline.datasets.PretrainedModelDataset
          model: compact
        ```
    """

    def __init__(
        self,
        *,
        model: str,
        load_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Set up the dataset.

        Args:
            model: `compact`, a local diffusers folder, or a hub id.
            load_args: Keyword arguments of `load_base_model`: `device`, `dtype`.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self._model = model
        self._load_args = load_args or {}
        self.metadata = metadata

    def load(self) -> BaseModel:
        """Load all components.

        Raises:
            InputError: A component is missing, or there are only pickled weights.
        """
        from defectsynth_pipeline.base_model.loading import load_base_model

        return load_base_model(self._model, **self._load_args)

    def save(self, data: NoReturn) -> None:
        """Refuse: the base model is read only.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError("the base model is read only; 'controlnet' keeps what was fine-tuned")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"model": self._model, "load_args": self._load_args}
