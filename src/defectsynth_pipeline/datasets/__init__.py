"""Kedro dataset classes: the only place of the project that knows formats on disk."""

from defectsynth_pipeline.datasets.corpus_folders import CorpusFoldersDataset
from defectsynth_pipeline.datasets.finetuned_model import FinetunedModelDataset
from defectsynth_pipeline.datasets.image_set import ImageSetDataset
from defectsynth_pipeline.datasets.pretrained_model import PretrainedModelDataset
from defectsynth_pipeline.datasets.version_history import VersionHistoryDataset
from defectsynth_pipeline.datasets.work_folder import WorkFolderDataset

__all__ = [
    "CorpusFoldersDataset",
    "FinetunedModelDataset",
    "ImageSetDataset",
    "PretrainedModelDataset",
    "VersionHistoryDataset",
    "WorkFolderDataset",
]
