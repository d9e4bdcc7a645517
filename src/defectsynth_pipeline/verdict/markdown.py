"""Tables and names in Markdown; a name is never more than text, whatever it holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

_NAMED = ("corpus", "category", "defect_type", "arm", "against", "note", "sentence")
# What begins HTML, links, emphasis, code, cells or formulas; `_` only where no word goes on.
_MEANT = re.compile(r"[&<>\[\]\\`*|~$]|(?<![^\W_])_|_(?![^\W_])")


def escape(text: object) -> str:
    """Return text that Markdown and the HTML made of it show as it is, in one line."""
    line = " ".join(str(text).split())
    return _MEANT.sub(lambda found: f"&#{ord(found[0])};", line)


def escape_names(data: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose names and sentences can be written into Markdown."""
    return data.assign(**{name: data[name].map(escape) for name in _NAMED if name in data})


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
