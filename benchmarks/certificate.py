"""Can the certificate fail? What passes of real base defects and of images that are no defect.

Prints one JSON: `null`, the share of the worst kind of null that passes, and `real`, that of the
real base defects, all types of all categories together, each judged by limits that were set without
it; `kinds` and `types` below, and `categories` with the threshold of each.

    python benchmarks/certificate.py --root /path/to/parts [--shots 3] [--nulls 900] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import pandas as pd

from defectsynth_pipeline.base_model.loading import load_base_model
from defectsynth_pipeline.certificate.certificate import (
    fit_certificate,
    worst_null,
)
from defectsynth_pipeline.certificate.judging import through_autoencoder
from defectsynth_pipeline.certificate.nulls import REAL
from defectsynth_pipeline.corpora.columns import ALL_TYPES
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.demo.writer import write_demo
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.options import IngestOptions


def summary(test: pd.DataFrame) -> dict[str, object]:
    """The table of a certificate's test as shares."""
    whole, single = test[test["defect_type"] == ALL_TYPES], test[test["defect_type"] != ALL_TYPES]
    times = (whole["passed"] * whole["windows"]).groupby(whole["kind"]).sum()
    kinds = (times / whole.groupby("kind")["windows"].sum()).round(4)
    types = {
        f"{category}/{defect_type}": {
            "real": round(float(rows.loc[rows["kind"] == REAL, "passed"].iloc[0]), 4),
            "images": int(rows.loc[rows["kind"] == REAL, "windows"].iloc[0]),
            "null": round(float(worst_null(rows)["passed"]), 4),
        }
        for (category, defect_type), rows in single.groupby(["category", "defect_type"])
    }
    return {
        "null": round(float(worst_null(whole)["passed"]), 4),
        "real": float(kinds[REAL]),
        "worst": worst_null(whole)["kind"],
        "kinds": {str(kind): float(share) for kind, share in kinds.drop(REAL).items()},
        "types": types,
        "categories": whole.drop_duplicates("category")
        .set_index("category")["threshold"]
        .to_dict(),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", help="a folder of parts; the demo corpora if left out")
    parser.add_argument("--shots", type=int, help="base images of a type; all if left out")
    parser.add_argument("--nulls", type=int, default=900)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="compact", help="whose autoencoder is tried")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = args.root or write_demo(Path(folder) / "demo")
        try:
            samples = make_samples(root, IngestOptions(shots=args.shots))
            trip = partial(through_autoencoder, load_base_model(args.model))
            found = fit_certificate(samples, nulls=args.nulls, round_trip=trip, seed=args.seed)
        except InputError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    sys.stdout.write(json.dumps(summary(found.test), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
