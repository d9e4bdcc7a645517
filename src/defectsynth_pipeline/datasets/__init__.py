"""Kedro dataset classes: the only place of the project that knows formats on disk."""

from defectsynth_pipeline.datasets.file import FigureDataset, TextDataset
from defectsynth_pipeline.datasets.finetuned_model import FinetunedModelDataset
from defectsynth_pipeline.datasets.image_set import ImageSetDataset
from defectsynth_pipeline.datasets.inputs import (
    CorpusFoldersDataset,
    PretrainedModelDataset,
    WorkFolderDataset,
)
from defectsynth_pipeline.datasets.review import ReviewDataset
from defectsynth_pipeline.datasets.table import SamplesDataset, TableDataset

__all__ = [
    "CorpusFoldersDataset",
    "FigureDataset",
    "FinetunedModelDataset",
    "ImageSetDataset",
    "PretrainedModelDataset",
    "ReviewDataset",
    "SamplesDataset",
    "TableDataset",
    "TextDataset",
    "WorkFolderDataset",
]
