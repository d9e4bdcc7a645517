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


class ImageSetDataset(FolderDataset[FinishedSet, ImageSet]):
    """A versioned folder of pictures with a manifest, published whole.

    Examples:
        ```yaml
        synthetic_images:
          type: defectsynth_pipeline.datasets.ImageSetDataset
          filepath: data/07_model_output/synthetic_images
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
            filepath: The folder of all versions.
            version: Required: a set without a version could be half overwritten.
            metadata: Ignored by Kedro; read by Kedro-Viz and by the tracking hook.

        Raises:
            DatasetError: `versioned: true` is missing, or it is to lie in an object store.
        """
        if version is None:
            raise DatasetError(f"ImageSetDataset at '{filepath}' needs 'versioned: true'")
        super().__init__(filepath=filepath, version=version, metadata=metadata)

    def load(self) -> ImageSet:
        """Open the set after a look at every file; pictures are decoded when asked for.

        Raises:
            InputError: A file of the set is missing or was changed.
        """
        return ImageSet.open(self._folder())

    def save(self, data: FinishedSet) -> None:
        """Publish a rendered set as this session's version."""
        version = Path(self._get_save_path()).parent.name
        publish(data, Path(self._filepath), version=version, name=self._filepath.name)

    def preview(self, per_type: int = 4, side: int = 150) -> ImagePreview:
        """A strip per defect type, the masks drawn as outlines, as base64 PNG."""
        return as_preview(draw_image_set(self.load(), per_type=per_type, side=side))
