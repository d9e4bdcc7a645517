"""Every table that a run writes: its columns in order, their types, and how its CSV is read.

Names such as nan or 007 stay text and an empty field is the empty string; a number may be missing
only where the schema says so.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pandas as pd

from defectsynth_pipeline.errors import InputError

Kind: TypeAlias = Literal["str", "int64", "float64", "bool", "float64?"]
Columns: TypeAlias = dict[str, Kind]
_AT_ONCE = 2000  # rows
OPTIONAL: Kind = "float64?"  # a number or nothing


@dataclass(frozen=True)
class Schema:
    """A table's layout.

    Attributes:
        columns: Column to type, in the table's order.
        remake: The pipeline that writes the table.
        more: Whether further columns, of numbers that may be missing, can follow.
    """

    columns: Columns
    remake: str
    more: bool = False

    def types(self, found: Iterable[str]) -> Columns:
        """Return the type of every column of a file."""
        return {name: self.columns.get(name, OPTIONAL) for name in found}


def _text(names: str) -> Columns:
    return dict.fromkeys(names.split(), "str")


def _whole(names: str) -> Columns:
    return dict.fromkeys(names.split(), "int64")


def _real(names: str) -> Columns:
    return dict.fromkeys(names.split(), "float64")


def _optional(names: str) -> Columns:
    return dict.fromkeys(names.split(), OPTIONAL)


_PLAN = Schema(
    _text("task corpus category arm")
    | _whole("row")
    | _text("kind defect_type source sources recipe"),
    remake="downstream",
)
_HISTORY = Schema(
    _text("task corpus category detector arm") | _whole("seed step") | _optional("loss"),
    remake="downstream",
    more=True,
)
_REPORT = Schema(
    _text("task corpus category detector role defect_type arm metric")
    | _optional("value low high seed_std chance")
    | _text("against")
    | _optional("difference difference_low difference_high detectable")
    | _whole("n_test n_groups n_good seeds n_synthetic set_size steps")
    | _text("weights selected")
    | _optional("held_out")
    | _text("note")
    | _whole("partition")
    | _text("split_protocol"),
    remake="downstream",
)

SCHEMAS = {
    "samples": Schema(
        _text("sample_id corpus category defect_type root image mask")
        | _whole("x y width height")
        | _text("derivation mask_of group sha256 licence split split_protocol")
        | _whole("partition"),
        remake="ingest",
    ),
    "area_ratios": Schema(
        _text("category defect_type")
        | _whole("n_masks n_groups")
        | _real("mean_area_ratio min_area_ratio max_area_ratio stroke_width tau")
        | _text("space")
        | _whole("mask_capacity")
        | {"branching": "bool"},
        remake="masks",
    ),
    "finetune_history": Schema(
        _whole("step") | _optional("train_loss validation_loss learning_rate"), remake="controlnet"
    ),
    "synthesis_plan": Schema(
        _text("image_id category defect_type engine mask background reference others")
        | _real("severity")
        | _text("blend")
        | _text("prompt normal_prompt group batch")
        | _whole("seed")
        | _text("placement")
        | _real("angle dy dx centre_y centre_x scale"),
        remake="synthesis",
    ),
    "engine_choice": Schema(
        _text("category defect_type engine")
        | _whole("tried")
        | _optional("accepted gain error")
        | _real("share"),
        remake="synthesis",
    ),
    "engine_trials": Schema(
        _text("category defect_type candidate") | _whole("images") | _optional("ap gain error"),
        remake="synthesis",
    ),
    "synthesis_summary": Schema(
        _text("category defect_type")
        | _whole("images accepted relabelled rejected")
        | _optional("first_attempts mean_attempts pasted network median_contrast mean_overlap")
        | _whole("pixels_outside_collar"),
        remake="synthesis",
    ),
    "certificate_test": Schema(
        _text("corpus category defect_type kind") | _whole("windows") | _real("passed threshold"),
        remake="synthesis",
    ),
    "classification_plan": _PLAN,
    "localization_plan": _PLAN,
    "classification_history": _HISTORY,
    "localization_history": _HISTORY,
    "classification_report": _REPORT,
    "localization_report": _REPORT,
    "verdict": Schema(
        _text("task corpus category detector defect_type arm against metric verdict")
        | _optional("difference low high detectable value against_value")
        | _optional("image_auroc against_image_auroc")
        | _whole("n_synthetic set_size seeds n_test n_groups n_good")
        | _text("sentence"),
        remake="downstream",
    ),
    "review_summary": Schema(
        _text("category defect_type what name")
        | _whole("images decided accepted rejected retyped taken_in")
        | _optional("rate low high"),
        remake="downstream",
    ),
    "generation_quality": Schema(
        _text("corpus category defect_type arm region")
        | _optional("kid kid_std feature_distance ic_distance inception_score precision recall")
        | _optional("mask_iou mask_iou_estimated paper_kid paper_lpips paper_is")
        | _whole("n_generated n_real n_base subset subsets")
        | _text("real extractor distance note"),
        remake="quality",
    ),
    "ratio_curve": Schema(
        _text("task corpus category defect_type metric arm")
        | _whole("n")
        | _optional("value low high")
        | _whole("seeds worth_making"),
        remake="downstream",
    ),
    "ablation_table": Schema(
        _text("table row hmi sff sae masks")
        | _whole("steps")
        | _text("corpus category defect_type region")
        | _optional("kid kid_std kid_difference kid_low kid_high feature_distance ic_distance")
        | _optional("inception_score precision recall mask_iou mask_iou_estimated")
        | _optional("accepted changed")
        | _optional("macro_f1 macro_f1_difference macro_f1_difference_low")
        | _optional("macro_f1_difference_high")
        | _optional("pixel_ap pixel_ap_difference pixel_ap_difference_low")
        | _optional("pixel_ap_difference_high")
        | _optional("paper.kid paper.lpips paper.is paper.mask_iou")
        | _whole("n_generated n_real")
        | _text("extractor distance same_as note"),
        remake="ablation",
    ),
    "ablation_report": Schema(_REPORT.columns, remake="ablation"),
    "cost_table": Schema(
        _text("table row hmi sff sae masks device")
        | _optional("steps steps_run threads images repeats parameters trained")
        | _optional("finetune_seconds seconds_per_mask seconds_per_image pairs_per_second")
        | _optional("memory_mib ratio.finetune_seconds ratio.seconds_per_mask")
        | _optional("ratio.seconds_per_image ratio.memory_mib")
        | _optional("paper.training_hours paper.pairs_per_second paper.seconds_per_image")
        | _optional("paper.ratio")
        | _text("note"),
        remake="ablation",
    ),
    "shots_curve": Schema(
        _text("corpus category defect_type shots")
        | _optional("base_images")
        | _text("task detector measure arm against")
        | _optional("value low high")
        | _whole("n_synthetic")
        | _text("extractor note"),
        remake="ablation",
    ),
    "table_viii": Schema(_text("corpus category partitions note"), remake="tables", more=True),
    "table_ix": Schema(_text("arm partitions note"), remake="tables", more=True),
    "table_x": Schema(_text("task corpus metric partitions note"), remake="tables", more=True),
}


def own_columns(table: str) -> list[str]:
    """Return the columns of a table, but those that say which split it belongs to."""
    return [c for c in SCHEMAS[table].columns if c not in ("partition", "split_protocol")]


def read_table(path: Path, table: str) -> pd.DataFrame:
    """Read a CSV file as `parse_table` does."""
    return parse_table(path.read_bytes(), path, table)


def parse_table(data: bytes, path: Path, table: str) -> pd.DataFrame:
    """Read a CSV with the types of its schema.

    Args:
        data: The file's content.
        path: The file, for messages.
        table: A key of `SCHEMAS`.

    Raises:
        InputError: The file is of another layout, empty, cut, or holds what is no number.
    """
    schema = SCHEMAS[table]
    part = next((f" --namespaces={p}" for p in path.parts if p.startswith("partition_")), "")
    again = f"partitions{part}" if part else schema.remake
    remedy = f"run kedro run --pipeline={again} again; it writes {table} anew"
    try:
        header, *rows = csv.reader(io.StringIO(data.decode("utf-8"), newline=""), strict=True)
    except (ValueError, csv.Error) as error:
        problem = "a table cannot be read" if data.strip() else "a table is empty"
        value = error if data.strip() else f"{len(data)} bytes"
        raise InputError(problem, file=path, value=value, remedy=remedy) from error
    found = [name.removeprefix("\ufeff") for name in header]
    wrong = [f"no column {name}" for name in schema.columns if name not in found]
    if not schema.more:
        wrong += [f"unknown column {name}" for name in found if name not in schema.columns]
    if wrong:
        raise InputError(
            f"this is not a table {table} as this release writes it",
            file=path,
            value=", ".join(wrong),
            remedy=remedy,
        )
    for number, row in enumerate(rows, start=2):
        last_is_cut = number == len(rows) + 1 and not data.endswith(b"\n")
        if last_is_cut or len(row) not in (0, len(found)):  # an empty line is none
            value = f"row {number} of {len(rows) + 1}: {len(row)} of {len(found)} fields"
            raise InputError("a row of a table is cut", file=path, value=value, remedy=remedy)
    types = schema.types(found)
    try:
        return _read(data, types)
    except ValueError:
        for name, kind in types.items():
            try:
                _read(data, {name: kind})
            except ValueError as error:
                raise InputError(
                    "a table holds what its column cannot",
                    file=path,
                    value=f"column {name}: {error}",
                    remedy=remedy,
                ) from error
        raise


def table_of(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """A table of rows as they come; as dicts, many would take several times the memory."""
    left, parts = iter(rows), [pd.DataFrame()]
    while some := list(islice(left, _AT_ONCE)):
        parts.append(pd.DataFrame(some))
    return pd.concat(parts[1:] or parts, ignore_index=True)


def empty_table(table: str) -> pd.DataFrame:
    """Return a table without rows."""
    columns = SCHEMAS[table].columns
    return pd.DataFrame({n: pd.Series(dtype=kind.strip("?")) for n, kind in columns.items()})


def _read(data: bytes, types: Columns) -> pd.DataFrame:
    return pd.read_csv(
        io.BytesIO(data),
        usecols=list(types),
        dtype={name: kind.strip("?") for name, kind in types.items()},
        keep_default_na=False,
        na_values={name: [""] for name, kind in types.items() if kind == OPTIONAL},
        float_precision="round_trip",  # else the last bit is lost before pandas 3, with Python 3.10
    )
