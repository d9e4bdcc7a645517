"""Short content hashes: the keys of resumable work, and what an auditor compares."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

LENGTH = 16
PACKAGE = Path(__file__).parent
SHARED = ("fingerprints.py", "imagesets.py", "provenance.py", "rendering.py", "resumable.py")


def fingerprint(*parts: object) -> str:
    """Return 16 hex digits over tables, options and JSON-like values, in order."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(_text(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()[:LENGTH]


def _text(part: object) -> str:
    if isinstance(part, pd.DataFrame):
        return str(part.to_csv(index=False))
    if isinstance(part, BaseModel):
        return part.model_dump_json()
    return json.dumps(part, sort_keys=True, default=str)


@lru_cache
def code_fingerprint(*rooms: str, package: Path = PACKAGE) -> str:
    """Return a hash of source code, so that changed code never resumes old work.

    Args:
        rooms: Folders of the package whose code decides the outcome, beside `SHARED`, which all
            of them build on; none means the whole package.
        package: Where they are.

    Raises:
        FileNotFoundError: There is no such room.
    """
    sources = [package / name for name in SHARED if rooms]
    for folder in [package / room for room in rooms] or [package]:
        if not folder.is_dir():
            raise FileNotFoundError(folder)
        sources += sorted(folder.rglob("*.py"))
    return fingerprint([(p.relative_to(package).as_posix(), p.read_text("utf-8")) for p in sources])


def counter_seed(*parts: object) -> int:
    """Return a 63-bit seed that depends on the parts alone, whatever was drawn before."""
    return int(fingerprint(*parts), 16) >> 1
