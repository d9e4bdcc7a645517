"""Typed parameters, one model per stage; Kedro builds them before any node runs."""

from defectsynth_pipeline.options.appearance import (
    ComposeOptions,
    ExecutionOptions,
    SaeOptions,
    SffOptions,
    SynthesisOptions,
)
from defectsynth_pipeline.options.corpora import IngestOptions
from defectsynth_pipeline.options.judging import (
    ArmOptions,
    AugmentOptions,
    ClassificationOptions,
    ExternalOptions,
    LocalizationOptions,
    PaperOptions,
    PaperUNetOptions,
    ProtocolOptions,
    SetOptions,
    ShareOptions,
    TrainingOptions,
)
from defectsynth_pipeline.options.results import (
    ROWS,
    AblationOptions,
    ExportOptions,
    QualityOptions,
)
from defectsynth_pipeline.options.shape import LatentMaskOptions, MaskOptions
from defectsynth_pipeline.options.training import (
    FinetuneOptions,
    FramingOptions,
    PretrainOptions,
    PromptOptions,
)

__all__ = [
    "ROWS",
    "AblationOptions",
    "ArmOptions",
    "AugmentOptions",
    "ClassificationOptions",
    "ComposeOptions",
    "ExecutionOptions",
    "ExportOptions",
    "ExternalOptions",
    "FinetuneOptions",
    "FramingOptions",
    "IngestOptions",
    "LatentMaskOptions",
    "LocalizationOptions",
    "MaskOptions",
    "PaperOptions",
    "PaperUNetOptions",
    "PretrainOptions",
    "PromptOptions",
    "ProtocolOptions",
    "QualityOptions",
    "SaeOptions",
    "SetOptions",
    "SffOptions",
    "ShareOptions",
    "SynthesisOptions",
    "TrainingOptions",
]
