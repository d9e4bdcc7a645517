"""`ImageSetDataset` publishes a `FinishedSet` and loads an `ImageSet`."""

from __future__ import annotations

import base64
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from kedro.io.core import AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import ImagePreview

from defectsynth_pipeline.figures.previews import contact_sheet, outlined, to_display
from defectsynth_pipeline.imagesets import MANIFEST, ImageSet
from defectsynth_pipeline.imaging.codec import encode_png
from defectsynth_pipeline.rendering import FinishedSet, publish


class ImageSetDataset(AbstractVersionedDataset[FinishedSet, ImageSet]):
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
            DatasetError: `versioned: true` is missing.
        """
        if version is None:
            raise DatasetError(f"ImageSetDataset at '{filepath}' needs 'versioned: true'")
        self.metadata = metadata
        super().__init__(filepath=PurePosixPath(filepath), version=version)

    def load(self) -> ImageSet:
        """Open the set after a look at every file; pictures are decoded when asked for.

        Raises:
            InputError: A file of the set is missing or was changed.
        """
        return ImageSet.open(Path(self._get_load_path()))

    def save(self, data: FinishedSet) -> None:
        """Publish a rendered set as this session's version."""
        version = Path(self._get_save_path()).parent.name
        publish(data, Path(self._filepath), version=version, name=self._filepath.name)

    def preview(self, images: int = 24, columns: int = 6, side: int = 160) -> ImagePreview:
        """A grid spread evenly over the set, the mask drawn as an outline, as base64 PNG."""
        image_set = self.load()
        chosen = np.linspace(0, len(image_set) - 1, min(images, len(image_set))).astype(int)
        ids = image_set.manifest["image_id"].iloc[chosen]
        sheet = contact_sheet(
            [_tile(image_set, image_id) for image_id in ids], columns=columns, side=side
        )
        return ImagePreview(base64.b64encode(encode_png(sheet)).decode("ascii"))

    def _exists(self) -> bool:
        try:
            return (Path(self._get_load_path()) / MANIFEST).exists()
        except DatasetError:
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}


def _tile(image_set: ImageSet, image_id: str) -> np.ndarray:
    mask = image_set.array(image_id, "mask")
    if (image_set.root / "images").exists():
        return outlined(image_set.array(image_id, "image"), mask)
    return to_display(mask)
