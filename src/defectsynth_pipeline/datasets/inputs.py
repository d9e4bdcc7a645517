"""What nodes are handed and never write: raw folders, the base model, work folders."""

from __future__ import annotations

import logging
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from kedro.io.core import AbstractDataset, DatasetError
from kedro_datasets._typing import HTMLPreview

from defectsynth_pipeline.datasets.cards import from_markdown, model_card
from defectsynth_pipeline.publishing import cannot_write

if TYPE_CHECKING:
    from defectsynth_pipeline.base_model.loading import BaseModel
    from defectsynth_pipeline.corpora.layout import Corpus

logger = logging.getLogger(__name__)

MODELS = threading.Lock()
"""Held while a model is loaded: diffusers and transformers change torch itself meanwhile, and
`kedro run --async` loads the inputs of a node at the same time."""


class CorpusFoldersDataset(AbstractDataset[NoReturn, Any]):
    """The user's folders of parts, only ever read; the demo makes itself.

    Examples:
        ```yaml
        corpora:
          type: defectsynth_pipeline.datasets.CorpusFoldersDataset
          filepath: /path/to/parts
        ```
    """

    def __init__(
        self, *, filepath: str, demo: str | None = None, metadata: dict[str, Any] | None = None
    ) -> None:
        """Set up the dataset.

        Args:
            filepath: A corpus, or a folder of corpora.
            demo: End of the path at which the procedural demo is written when nothing is there;
                any other missing folder is an error.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self._filepath = Path(filepath).expanduser()
        self._demo = demo
        self.metadata = metadata

    @property
    def source(self) -> str:
        """Where it all comes from: what the record of a run says of it."""
        return self._filepath.as_posix()

    def load(self) -> list[Corpus]:
        """Find the corpora.

        Raises:
            InputError: The folder is missing or holds no known layout.
        """
        from defectsynth_pipeline.corpora.layout import find_corpora

        if self._is_demo() and not self._filepath.is_dir():
            self._write_demo()
        return find_corpora(self._filepath)

    def save(self, data: NoReturn) -> None:
        """Refuse: raw data is read only.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(f"raw data at '{self._filepath}' is read only")

    def _is_demo(self) -> bool:
        return self._demo is not None and self._filepath.as_posix().endswith(f"/{self._demo}")

    def _write_demo(self) -> None:
        from defectsynth_pipeline.demo.writer import write_demo

        logger.info("writing the demo corpora to %s", self._filepath)
        write_demo(self._filepath)

    def _exists(self) -> bool:
        return self._filepath.is_dir() or self._is_demo()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix(), "demo": self._demo}


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

    @property
    def source(self) -> str:
        """Which model it is: what the record of a run says of it."""
        return self._model

    def check(self) -> None:
        """See before a run that all of it is there; a model of the hub is fetched now.

        Raises:
            InputError: A component is missing, or there are only pickled weights.
        """
        from defectsynth_pipeline.base_model.loading import find_base_model

        find_base_model(self._model)

    def preview(self) -> HTMLPreview:
        """Its card for Kedro-Viz; nothing is fetched for that."""
        from defectsynth_pipeline.base_model.loading import find_base_model

        if self._model == "compact" or Path(self._model).is_dir():
            return HTMLPreview(model_card(find_base_model(self._model)))
        return HTMLPreview(from_markdown(f"`{self._model}` of the hub: a run fetches it"))

    def load(self) -> BaseModel:
        """Load all components.

        Raises:
            InputError: A component is missing, or there are only pickled weights.
        """
        from defectsynth_pipeline.base_model.loading import load_base_model

        with MODELS:
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


class WorkFolderDataset(AbstractDataset[NoReturn, Path]):
    """A folder that outlives the run: checkpoints, caches. Not versioned, nobody's result.

    Examples:
        ```yaml
        finetune_checkpoints:
          type: defectsynth_pipeline.datasets.WorkFolderDataset
          filepath: data/06_models/finetune_checkpoints
        ```
    """

    def __init__(self, *, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Set up the dataset.

        Args:
            filepath: The folder.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.
        """
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """The folder, made if it is not there.

        Raises:
            InputError: It cannot be made, or not be written to.
        """
        try:
            self._filepath.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self._filepath):
                return self._filepath
        except OSError as error:
            if told := cannot_write(error, self._filepath):
                raise told from error
            raise

    def save(self, data: NoReturn) -> None:
        """Refuse: nodes write into the folder themselves.

        Raises:
            DatasetError: Always.
        """
        raise DatasetError(f"'{self._filepath}' is a work folder: take it as an input, not output")

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath.as_posix()}
