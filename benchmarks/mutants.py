"""Which faults do the tests see? `python benchmarks/mutants.py [--only TEXT] [--json FILE]`.

Each mutant is one change to a copy of the sources, and the tests that should fail with it. Prints
what came of each, and at the end the caught share as JSON. All take about an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = "defectsynth_pipeline"
_PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider")


class Mutant(NamedTuple):
    """One change: in a file a text that occurs once becomes another; tests, below `tests`."""

    file: str
    before: str
    after: str
    tests: str


MUTANTS = [Mutant(*row) for row in json.loads(Path(__file__).with_suffix(".json").read_text())]


def judge(mutant: Mutant, sources: Path) -> str:
    """Run a mutant's tests on the changed sources: "caught", "survived" or what went wrong."""
    file = sources / PACKAGE / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.before) != 1:
        return f"not applied: the text occurs {text.count(mutant.before)} times"
    file.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        done = subprocess.run(
            # The settings name `src`, which would come first.
            [*_PYTEST, "-o", f"pythonpath={sources}", *_paths(mutant)],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(sources), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.write_text(text, encoding="utf-8")
    outcomes = {0: "survived", 1: "caught"}
    return outcomes.get(
        done.returncode, f"pytest ended with {done.returncode}: {done.stdout[-300:]}"
    )


def _paths(mutant: Mutant) -> list[str]:
    return [f"tests/{name}" for name in mutant.tests.split()]


def main() -> int:
    """Judge the mutants asked for; fails where one survived or could not be judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="mutants whose file contains this")
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args()
    found: dict[str, list[str]] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        sources = Path(shutil.copytree(REPOSITORY / "src", Path(folder) / "src"))
        for mutant in MUTANTS:
            if options.only not in mutant.file:
                continue
            outcome = judge(mutant, sources)
            name = f"{mutant.file}: {mutant.before.strip()} -> {mutant.after.strip()}"
            found.setdefault(outcome.partition(":")[0], []).append(name)
            sys.stdout.write(f"{outcome}  {name}\n")
            sys.stdout.flush()
    judged = sum(map(len, found.values()))
    result = {
        "mutants": judged,
        "caught": len(found.get("caught", [])),
        "share": round(len(found.get("caught", [])) / max(judged, 1), 3),
        "seconds": round(time.monotonic() - began),
        "not caught": {kind: names for kind, names in found.items() if kind != "caught"},
    }
    text = json.dumps(result, indent=2, ensure_ascii=False)
    sys.stdout.write(text + "\n")
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return 0 if result["share"] == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
