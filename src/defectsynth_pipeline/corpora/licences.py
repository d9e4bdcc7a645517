"""Under which licence the images of a corpus are, as far as its own files say."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from defectsynth_pipeline.corpora.files import read_bytes

_log = logging.getLogger(__name__)
UNKNOWN = "unknown"
_LICENCE_FILE = re.compile(r"(licen[cs]e|copying)(\.(txt|md|rst))?", re.IGNORECASE)
_README_FILE = re.compile(r"readme(\.(txt|md|rst))?", re.IGNORECASE)
_LONGEST = 80  # characters of a licence's name
# The first that matches holds; a README is only believed if one does.
_TERMS = {
    "CC0-1.0": r"\bCC0\b|creativecommons\.org/publicdomain/zero",
    "MIT": r"\bMIT License\b|Permission is hereby granted, free of charge",
    "Apache-2.0": r"Apache License,? Version 2\.0|Apache-2\.0",
    "BSD": r"\bBSD[- ]\d-Clause|Redistribution and use in source and binary forms",
    "research and education only": r"research (and|or|and/or)\s+educational? purposes?\s+only",
    "non-commercial": r"non-?commercial (research|use|academic|scientific|and|or|purposes?)\b",
}
_CREATIVE_COMMONS = re.compile(
    r"creativecommons\.org/licenses/(?P<link>by(?:-nc)?(?:-sa|-nd)?)/(?P<at>\d\.\d)"
    r"|\bCC[ -](?P<short>BY(?:-NC)?(?:-SA|-ND)?)[ -](?P<version>\d\.\d)"
    r"|Creative Commons (?P<long>Attribution[\w -]*?) (?P<number>\d\.\d)",
    re.IGNORECASE,
)
_NOT_FOR_COMMERCE = re.compile(r"\bnc\b|non-?commercial|(research|education\w*) .*\bonly", re.I)
_NOT_CHANGED = re.compile(r"\bnd\b|no-?derivat", re.IGNORECASE)
_ABBREVIATED = {
    "attribution": "by",
    "noncommercial": "nc",
    "sharealike": "sa",
    "noderivatives": "nd",
}


def find_licence(root: Path, folders: Sequence[Path]) -> str:
    """Say which licence holds for the images in some folders.

    Args:
        root: Of the corpus; a file outside is not read.
        folders: Where a LICENSE, COPYING or README may lie, the nearest to the images first. The
            first LICENSE or COPYING holds, else the first README that names terms.

    Returns:
        A licence's identifier (`CC-BY-NC-SA-4.0`), the terms in a few words, the first line of a
        LICENSE that names no known one, or "unknown".

    Raises:
        InputError: Such a file cannot be read, or leaves the root.
    """
    for kind in (_LICENCE_FILE, _README_FILE):
        for text in _texts(root, folders, kind):
            found = name_licence(text) or (_first_line(text) if kind is _LICENCE_FILE else "")
            if found:
                return found
    _log.info("%s: no file says under which licence its images are; ingest.licence can", folders[0])
    return UNKNOWN


def name_licence(text: str) -> str:
    """The licence or terms that a text names, "" if it names none that is known."""
    text = " ".join(text.split())
    if match := _CREATIVE_COMMONS.search(text):
        version = match["at"] or match["version"] or match["number"]
        words = match["link"] or match["short"] or _abbreviated(match["long"])
        return f"CC-{words.upper()}-{version}"
    for name, pattern in _TERMS.items():
        if re.search(pattern, text, re.IGNORECASE):
            return name
    return ""


def commerce_doubt(licence: str) -> str:
    """Say why images of a licence cannot simply be used commercially, "" if nothing speaks against.

    Args:
        licence: As `find_licence` or `ingest.licence` names it.
    """
    if licence in ("", UNKNOWN):
        return "nobody has said under which licence they are"
    if _NOT_FOR_COMMERCE.search(licence):
        return "it excludes commercial use"
    if _NOT_CHANGED.search(licence):
        return "it excludes sharing what is made of them"
    return ""


def _texts(root: Path, folders: Sequence[Path], kind: re.Pattern[str]) -> Iterator[str]:
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if kind.fullmatch(path.name) and not path.is_dir():
                yield read_bytes(root, path).decode(errors="replace")


def _abbreviated(name: str) -> str:
    words = re.split(r"[ -]+", name.lower().replace("non-commercial", "noncommercial"))
    return "-".join(_ABBREVIATED[word] for word in words if word in _ABBREVIATED)


def _first_line(text: str) -> str:
    """The first line with a word in it, without what separates licences or ornaments a title."""
    lines = (line.strip(" \t#*=-_/").replace(";", ",") for line in text.splitlines())
    return next((line[:_LONGEST] for line in lines if re.search(r"\w", line)), "")
