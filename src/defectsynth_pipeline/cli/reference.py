"""Every parameter with its value, what it may be and what it means, read from the settings.

The values and their meaning stand in conf/base, the bounds in the options' types: what is told here
is what a run obeys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.hooks.parameters import STAGES

_KEY = re.compile(r"^(?P<indent> *)(?P<key>\w+):(?P<rest>.*)$")
_COMMENT = re.compile(r"(?:^|\s)# (.*)$")


class Parameter(NamedTuple):
    """One parameter.

    Attributes:
        name: Dotted, as `--params` takes it.
        value: The default, as YAML.
        allowed: In words, such as "1 to 1000" or "last | validation".
        meaning: One line; "" where the name says it.
    """

    name: str
    value: str
    allowed: str
    meaning: str


def parameters(conf: Path) -> Iterator[Parameter]:
    """Yield every parameter of an environment's files, stage by stage.

    Args:
        conf: Its folder, such as conf/base.

    Raises:
        InputError: There are no such files.
    """
    files = sorted(conf.glob("parameters_*.yml"))
    if not files:
        raise InputError(
            "no parameters are there",
            file=conf,
            value="parameters_*.yml",
            remedy="run it in a project; `defectsynth init FOLDER` makes one",
        )
    found: dict[str, tuple[Any, str]] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        meanings = _meanings(text)
        for name, value in _flat(yaml.safe_load(text) or {}):
            found[name] = value, meanings.get(name, "")
    # What two stages have in common is explained once.
    shared = {_tail(name): meaning for name, (_, meaning) in reversed(found.items()) if meaning}
    for stage, model in STAGES.items():
        for name, (value, meaning) in found.items():
            if name.split(".")[0] == stage:
                told = meaning or shared.get(_tail(name), "")
                yield Parameter(name, _as_yaml(value), _allowed(name, model), told)


def as_markdown(found: list[Parameter]) -> str:
    """Return a page: a table per stage."""
    lines = [
        "# Parameters",
        "",
        "Set one with `--params=stage.name=value`, or for good in `conf/local/parameters.yml`. "
        "`defectsynth parameters WORD` prints those whose name or meaning has the word.",
    ]
    stage = ""
    for one in found:
        if (of := one.name.split(".")[0]) != stage:
            stage = of
            what = (STAGES[stage].__doc__ or "").strip().splitlines()[0]
            lines += ["", f"## {stage}", "", what, "", "| name | default | allowed | meaning |"]
            lines.append("|---|---|---|---|")
        cells = (f"`{one.name}`", f"`{one.value}`", one.allowed, one.meaning)
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _tail(name: str) -> str:
    """What a parameter is called in its group, with the group; two stages may have the same."""
    parts = name.split(".")
    return ".".join(parts[1:]) if len(parts) > 2 else name


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _meanings(text: str) -> dict[str, str]:
    """What the comments say, by dotted name; a comment may go on in the lines below."""
    found: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    name = ""
    for line in text.splitlines():
        comment = _COMMENT.search(line)
        said = comment.group(1).strip() if comment else ""
        if key := _KEY.match(line):
            indent = len(key["indent"])
            path = [*(part for part in path if part[0] < indent), (indent, key["key"])]
            name = ".".join(part for _, part in path)
            found[name] = said
        elif said and name and line.lstrip().startswith("#"):
            found[name] = f"{found[name]} {said}".strip()
    return found


def _as_yaml(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
    return text.removesuffix("\n...").strip()


def _allowed(name: str, model: type[BaseModel]) -> str:
    """What the type says, in words."""
    schema = model.model_json_schema()
    part: dict[str, Any] = schema
    for key in name.split(".")[1:]:
        options = [_resolved(one, schema) for one in part.get("anyOf", [part])]
        holders = [one for one in options if key in one.get("properties", {})]
        if not holders:
            return ""  # the user's own name, such as that of an external set
        part = _resolved(holders[0]["properties"][key], schema)
    return _words(part, schema)


def _resolved(part: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in part:
        named: dict[str, Any] = schema["$defs"][part["$ref"].rsplit("/", 1)[1]]
        return named
    return part


def _words(part: dict[str, Any], schema: dict[str, Any]) -> str:
    part = _resolved(part, schema)
    if "anyOf" in part:
        return " | ".join(_words(one, schema) for one in part["anyOf"])
    if "enum" in part or "const" in part:
        return " | ".join(map(str, part.get("enum", [part.get("const")])))
    kind = part.get("type", "")
    if kind == "array":
        return f"a list of {_words(part.get('items', {}), schema) or 'values'}"
    if kind in ("integer", "number"):
        return _range(part) or {"integer": "a whole number", "number": "a number"}[kind]
    names = {"boolean": "true | false", "string": "text", "null": "null", "object": "a mapping"}
    return names.get(kind, "")


def _range(part: dict[str, Any]) -> str:
    bounds = {
        "": part.get("minimum"),
        "above ": part.get("exclusiveMinimum"),
        "to ": part.get("maximum"),
        "to below ": part.get("exclusiveMaximum"),
    }
    return " ".join(f"{word}{at:,}" for word, at in bounds.items() if at is not None)
