"""What Kedro-Viz shows of texts and models: HTML, with what its page would change put past it."""

from __future__ import annotations

import html
import json
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import pandas as pd
from markdown_it import MarkdownIt

_README = "README.md"
_TABLES = ("meta.csv",)
_SETTINGS = ("meta.json", "limits.json", "model_index.json")
_NOT_SHOWN = ("options", "side", "checkpoint_step")  # of a list; the page is not that wide
_MOST_ROWS = 200
# Kedro-Viz takes what stands between two underscores, stars or backticks of a line for Markdown,
# also in HTML. This character ends a line for its patterns; without a size it is not seen.
_UNSEEN = '<span style="font-size:0">\u2028</span>'
_TAG_OR_MARK = re.compile(r"<[^>]*>|[_*`]")


def from_markdown(text: str) -> str:
    """Return Markdown as HTML in one line, with tables, without any HTML that was in it."""
    made = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    return _in_one_line(made)


def model_card(folder: Path) -> str:
    """Return what a folder of a model or of results says of itself, as HTML.

    Its README where it has one, else the settings and tables beside the weights, then every file of
    weights with the number of its parameters and its size.

    Args:
        folder: As a model's `save` wrote it, with folders of further ones or without.
    """
    parts = []
    if (folder / _README).is_file():
        parts.append(from_markdown((folder / _README).read_text(encoding="utf-8")))
    else:
        parts += _settings(folder)
    for path in (folder / name for name in _TABLES):
        if path.is_file():
            read = pd.read_csv(path, keep_default_na=False)
            parts.append(_table(read.columns, read.to_numpy().tolist()))
    weights = [
        (path.relative_to(folder).as_posix(), f"{_parameters(path):,}", f"{size / 2**20:.1f} MiB")
        for path in sorted(folder.rglob("*.safetensors"))
        for size in [path.stat().st_size]
    ]
    if weights:
        parts.append(_table(["weights", "parameters", "size"], weights))
    return "".join(parts)


def _settings(folder: Path) -> Iterable[str]:
    """Of one file a line per setting; of many, or of a list, a table with a line for each."""
    found = [p for name in _SETTINGS for at in (name, f"*/{name}") for p in sorted(folder.glob(at))]
    read = [json.loads(path.read_text(encoding="utf-8")) for path in found]
    rows = [row for told in read for row in (told if isinstance(told, list) else [told])]
    if len(rows) == 1:
        yield _table(["setting", "value"], [(k, _value(v)) for k, v in rows[0].items()])
    elif rows:
        names = list(dict.fromkeys(n for row in rows for n in row if n not in _NOT_SHOWN))
        yield _table(names, [[_value(row.get(name, "")) for name in names] for row in rows])


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_value, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _parameters(path: Path) -> int:
    """How many numbers a safetensors file holds, from its header alone."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    return sum(prod(told["shape"]) for name, told in header.items() if name != "__metadata__")


def _table(header: Iterable[Any], rows: Sequence[Sequence[Any]]) -> str:
    lines = [("th", header), *(("td", row) for row in rows[:_MOST_ROWS])]
    cells = (
        "".join(f"<{tag}>{html.escape(str(cell))}</{tag}>" for cell in line) for tag, line in lines
    )
    more = len(rows) - _MOST_ROWS
    rest = f"<p>and {more} more</p>" if more > 0 else ""
    return _in_one_line(f"<table>{''.join(f'<tr>{line}</tr>' for line in cells)}</table>{rest}")


def _in_one_line(text: str) -> str:
    joined = text.replace(">\n", ">").replace("\n", " ")
    return _TAG_OR_MARK.sub(lambda at: at[0] + ("" if at[0][0] == "<" else _UNSEEN), joined)
