"""What a run survives: bad inputs, kills, full and read-only disks, a store that dies.

    python benchmarks/faults.py                           all of it, an hour or more on two cores
    python benchmarks/faults.py --kills 4 --moments 1     a sample of it
    python benchmarks/faults.py --only inputs             one part: inputs, kills, disks or stores

Wanted: no traceback, of every bad input one line with a remedy and nothing published, no half
version, and after going on the files of an unbroken run. Prints what is otherwise, a table, and the
same as JSON; exit 1 where anything is otherwise.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import disasters
from bad_inputs import BAD_INPUTS, BadInput, write_part
from disasters import MOMENTS, STORES, Unbroken, one_line
from projects import load_libraries, make_project, run_forked, versions

from defectsynth_pipeline.base_model.loading import COMPACT

PARTS = ("inputs", "kills", "disks", "stores")
_T = TypeVar("_T")


class Case(NamedTuple):
    """One fault: what it belongs to, its name, and what does it and says what was wrong."""

    part: str
    name: str
    do: Callable[[], list[str]]


def try_input(bad: BadInput, place: Path, runs: Path | None) -> list[str]:
    """Spoil something, run, and say what is wrong with how it was taken."""
    project, given = place / "empty", place / "given"
    shutil.rmtree(given, ignore_errors=True)
    if bad.start == "runs":
        bad.spoil(project := make_project(place / "project", like=runs))
    else:
        if bad.start == "corpus":
            write_part(given)
        elif bad.start == "base model":
            shutil.copytree(COMPACT, given)
        bad.spoil(given)
    before = set(versions(project))
    arguments = [argument.replace("{given}", given.as_posix()) for argument in bad.arguments]
    wrong = one_line(run_forked(project, arguments), bad.named)
    return wrong + [f"published: {path}" for path in versions(project) if path not in before]


def inputs(place: Path, runs: Path | None, match: str) -> Iterator[Case]:
    """Every bad input; without finished runs those that need none."""
    load_libraries()
    make_project(place / "empty")
    for bad in BAD_INPUTS:
        if match in f"{bad.start} {bad.name}" and (runs or bad.start != "runs"):
            yield Case("inputs", f"{bad.start}: {bad.name}", partial(try_input, bad, place, runs))


def kills(place: Path, unbroken: dict[str, Unbroken], count: int, seed: int) -> Iterator[Case]:
    """So many kills, two of one project before it is let end; the pipelines in turn."""
    for pair in range(count // 2):
        pipeline = ("augment", "downstream")[pair % 2]
        kill = partial(disasters.kill, pipeline, unbroken[pipeline], place)
        yield Case(
            "kills", f"{pipeline}, pair {pair}", partial(kill, random.Random(f"{seed} {pair}"))
        )


def disks(place: Path, unbroken: dict[str, Unbroken], moments: int) -> Iterator[Case]:
    """A full disk at some moments, or small files where none can be mounted; a read-only one."""
    if disasters.can_mount(place):
        every = [(pipeline, moment) for pipeline, found in MOMENTS.items() for moment in found]
        for pipeline, moment in _spread(every, moments):
            fill = partial(disasters.fill_disk, pipeline, moment, unbroken[pipeline], place)
            yield Case("disks", f"full in {pipeline} at {moment}", fill)
    else:
        for pipeline in _spread(tuple(MOMENTS), moments):
            limit = partial(disasters.limit_files, pipeline, unbroken[pipeline], place)
            yield Case("disks", f"small files in {pipeline}", limit)
    for pipeline in _spread(tuple(MOMENTS), moments):
        yield Case(
            "disks",
            f"read-only in {pipeline}",
            partial(disasters.read_only, pipeline, unbroken[pipeline], place),
        )


def stores(place: Path, unbroken: dict[str, Unbroken], moments: int) -> Iterator[Case]:
    """The store is harmed in every way in both pipelines."""
    for pipeline, how in _spread([(p, how) for p in MOMENTS for how in STORES], moments):
        harm = partial(disasters.kill_store, how, pipeline, unbroken[pipeline], place)
        yield Case("stores", f"{how} in {pipeline}", harm)


def _spread(every: Sequence[_T], count: int) -> Sequence[_T]:
    """So many of all, evenly."""
    count = min(count, len(every))
    return [every[(2 * index + 1) * len(every) // (2 * count)] for index in range(count)]


def judge(cases: Iterator[Case]) -> dict[str, dict[str, object]]:
    """Do every case, say at once what is wrong, and count."""
    found: dict[str, dict[str, object]] = {}
    for case in cases:
        began = time.monotonic()
        wrong = case.do()
        counts = found.setdefault(
            case.part,
            {"cases": 0, "well": 0, "tracebacks": 0, "half versions": 0, "other files": 0}
            | {"seconds": 0.0, "wrong": {}},
        )
        seen = {
            "cases": 1,
            "well": int(not wrong),
            "tracebacks": _count(wrong, "traceback"),
            "half versions": _count(wrong, "half version"),
            "other files": _count(wrong, "differs"),
            "seconds": time.monotonic() - began,
        }
        for name, number in seen.items():
            counts[name] = round(counts[name] + number, 1)  # type: ignore[operator]
        if wrong:
            counts["wrong"][case.name] = wrong  # type: ignore[index]
            sys.stdout.write(f"WRONG  {case.part}: {case.name}\n")
            sys.stdout.writelines(f"       {text}\n" for text in wrong)
            sys.stdout.flush()
    return found


def _count(wrong: list[str], kind: str) -> int:
    return sum(text.startswith(f"{kind}: ") for text in wrong)


def print_table(found: dict[str, dict[str, object]]) -> None:
    """A row per part."""
    columns = ("cases", "well", "tracebacks", "half versions", "other files", "seconds")
    rows = [("part", *columns)]
    rows += [(part, *(str(counts[name]) for name in columns)) for part, counts in found.items()]
    for row in rows:
        sys.stdout.write(row[0].ljust(8) + "".join(cell.rjust(15) for cell in row[1:]) + "\n")


def main() -> int:
    """Do the faults asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=PARTS, help="one part")
    parser.add_argument("--kills", type=int, default=40, help="how many, an even number")
    parser.add_argument("--moments", type=int, default=99, help="of disks and stores, of each kind")
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--match", default="", help="bad inputs whose name contains this")
    parser.add_argument("--alone", action="store_true", help="bad inputs that need no runs, only")
    parser.add_argument("--json", type=Path, help="also write the result here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder).resolve()
        unbroken = {} if options.alone else disasters.run_unbroken(place)
        runs = unbroken["downstream"].end if unbroken else None
        parts: dict[str, Callable[[], Iterator[Case]]] = {
            "inputs": lambda: inputs(place, runs, options.match),
            "kills": lambda: kills(place, unbroken, options.kills, options.seed),
            "disks": lambda: disks(place, unbroken, options.moments),
            "stores": lambda: stores(place, unbroken, options.moments),
        }
        wanted = [options.only] if options.only else ["inputs"] if options.alone else PARTS
        found = judge(case for part in wanted for case in parts[part]())
    print_table(found)
    text = json.dumps(found, indent=2, ensure_ascii=False)
    sys.stdout.write(text + "\n")
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    return int(any(counts["wrong"] for counts in found.values()))


if __name__ == "__main__":
    sys.exit(main())
