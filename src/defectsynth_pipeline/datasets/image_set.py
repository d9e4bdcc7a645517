"""`ImageSetDataset` publishes a `FinishedSet` and loads an `ImageSet`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io.core import DatasetError, Version
from kedro_datasets._typing import ImagePreview

from defectsynth_pipeline.datasets.file import as_preview
from defectsynth_pipeline.datasets.folder import FolderDataset
from defectsynth_pipeline.figures.gallery import draw_image_set
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.rendering import FinishedSet, publish
from defectsynth_pipeline.setfiles import MANIFEST


class ImageSetDataset(FolderDataset[FinishedSet, ImageSet]):
    """A versioned folder of pictures with a manifest, published whole.

    In an object store it is there when its manifest is, which is uploaded last.

    Examples:
        ```yaml
        synthetic_images:
          type: defectsynth_pipeline.datasets.ImageSetDataset
          filepath: data/07_model_output/synthetic_images
          versioned: true
        ```
    """

    last = MANIFEST

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        credentials: dict[str, Any] | None = None,
        fs_args: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Set up the dataset.

        Args:
            filepath: The folder of all versions; may begin with a protocol that fsspec knows.
            version: Required: a set without a version could be half overwritten.
            credentials: Keyword arguments of that file system.
            fs_args: Further ones.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.

        Raises:
            DatasetError: `versioned: true` is missing.
        """
        if version is None:
            raise DatasetError(f"ImageSetDataset at '{filepath}' needs 'versioned: true'")
        where = {"credentials": credentials, "fs_args": fs_args}
        super().__init__(filepath=filepath, version=version, metadata=metadata, **where)

    def load(self) -> ImageSet:
        """Open the set after a look at every file; pictures are decoded when asked for.

        Raises:
            InputError: A file of the set is missing or was changed.
        """
        return ImageSet.open(self._folder())

    def save(self, data: FinishedSet) -> None:
        """Publish a rendered set as this session's version."""
        path = self._get_save_path()
        folder = Path(self._filepath)
        if self._protocol != "file":
            self._upload(data.folder)  # before the work is given up
            folder = self._copy_of(path).parents[1]
        publish(data, folder, version=path.parent.name, name=path.name)

    def preview(self, per_type: int = 4, side: int = 150) -> ImagePreview:
        """A strip per defect type, the masks drawn as outlines, as base64 PNG."""
        return as_preview(draw_image_set(self.load(), per_type=per_type, side=side))
