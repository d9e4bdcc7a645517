"""What everything costs here, in minutes: `make bench`, or `python benchmarks/bench.py`.

Writes benchmarks/results.json, with `sae_ratio` (a denoising step with SAE over one without) and
`published_ratio_20_steps` (images per second over those of the published implementation's procedure
on the same weights) at its top, and prints the same as a table. Everything is measured beside its
naive way in the same process. A GPU is measured where there is one; Stable Diffusion 1.5 in single
steps with random weights, of which whole images are multiplied. Close other programs first.

On a machine that others use, `--threads 1 --clock cpu` counts processor time instead.

    python benchmarks/bench.py [--device auto] [--threads N] [--quick] [--no-sd15] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import networks
import stages
import torch
from measuring import CLOCKS, Memory, Row, clock, demo_material, machine

from defectsynth_pipeline.base_model.loading import load_base_model
from defectsynth_pipeline.publishing import written_whole

RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto", help="auto takes a GPU where there is one")
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0 leaves it as it is")
    parser.add_argument("--quick", action="store_true", help="few repeats: to see that it works")
    parser.add_argument("--no-sd15", action="store_true", help="leave Stable Diffusion 1.5 out")
    parser.add_argument("--clock", choices=[*CLOCKS], default="wall")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--show", action="store_true", help="only print what is in --out")
    arguments = parser.parse_args()
    if not arguments.show:
        found = measure(arguments)
        with written_whole(arguments.out) as aside:
            aside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(as_table(json.loads(arguments.out.read_text(encoding="utf-8"))))
    return 0


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Everything, as it is written."""
    clock[0] = arguments.clock
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    base = load_base_model("compact", device=arguments.device)
    device, repeats = base.device.type, 3 if arguments.quick else 9
    memory, rows = Memory(), []
    tops: dict[str, float] = {}

    def run(stage: str, made: Iterator[Row]) -> None:
        sys.stderr.write(f"{stage}\n")
        with memory.watch(stage):
            rows.extend(made)

    with demo_material(32 if arguments.quick else 64) as material:
        run("masks", stages.masks(base, repeats))
        run("alignment", stages.alignments(repeats))
        run("defects without a network", stages.defects(material, base, repeats))
        run("encoder and regressions", stages.seeing(repeats))
        run("denoising", networks.steps(base, "compact", 4 * repeats, 16, tops))
        run("autoencoder and fusion", networks.around_steps(base, repeats))
        run("images", networks.images(material, base, 1 if arguments.quick else 2))
        run(
            "published procedure",
            networks.published(material, base, 2 if arguments.quick else 4, tops),
        )
        if arguments.clock == "wall":
            run("processes", stages.processes(material, base))
        run("training", stages.training(material, base, repeats))
        run("scaling", stages.scaling(material, base))
    if not arguments.no_sd15:
        run("Stable Diffusion 1.5", networks.sd15(device, 1 if device == "cpu" else repeats, tops))
    return {
        "sae_ratio": round(tops.pop("sae_ratio compact"), 3),
        "published_ratio_20_steps": round(tops.pop("published_ratio 20 steps"), 2),
        **{name.replace(" ", "_"): round(value, 3) for name, value in tops.items()},
        "machine": machine(device),
        "peak_memory_mb": memory.peaks,
        "seconds_of_the_benchmark": memory.seconds,
        "rows": [
            {
                "stage": row.stage,
                "what": row.what,
                "rate": float(f"{row.rate:.4g}"),
                "unit": row.unit,
                "naive": row.naive,
                "ratio": None if row.ratio is None else float(f"{row.ratio:.3g}"),
            }
            for row in rows
        ],
    }


def as_table(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    tops = {n: v for n, v in found.items() if not isinstance(v, (dict, list))}
    lines = [f"Measured on: {machine}.", "", "| number | value |", "|---|---:|"]
    lines += [f"| `{name}` | {value:g} |" for name, value in tops.items()]
    lines += [
        "",
        "| stage | what | per second | naive way | times as fast |",
        "|---|---|---:|---|---:|",
    ]
    for row in found["rows"]:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.3g}"
        rate = f"{row['rate']:.3g} {row['unit']}"
        lines.append(f"| {row['stage']} | {row['what']} | {rate} | {row['naive']} | {ratio} |")
    lines += ["", "| stage | peak memory of the process, MB |", "|---|---:|"]
    lines += [f"| {stage} | {peak} |" for stage, peak in found["peak_memory_mb"].items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
