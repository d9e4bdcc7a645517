"""A certificate per image: is it a defect, does it look like its type's, is it labelled?

Every limit comes from the base set's own real defects: the look's threshold from real defects and
nulls that its classifier did not see, the label's from the worst real label of the type. `test`
says what the certificate refuses and what it lets pass, so that nobody has to trust it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from defectsynth_pipeline.certificate.evidence import see
from defectsynth_pipeline.certificate.label import measure_label, real_label
from defectsynth_pipeline.certificate.look import (
    Look,
    fit_look,
    gather,
    held_out_scores,
    passed,
    threshold_of,
)
from defectsynth_pipeline.certificate.nulls import KINDS, REAL, SPOILT, RoundTrip
from defectsynth_pipeline.corpora.columns import ALL_TYPES
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import counter_seed
from defectsynth_pipeline.schemas import read_table
from defectsynth_pipeline.workers import Map

log = logging.getLogger(__name__)
ACCEPTED, RELABELLED, REJECTED = "accepted", "relabelled", "rejected"
TEST_COLUMNS = ("corpus", "category", "defect_type", "kind", "windows", "passed", "threshold")
INVISIBLE = 0.5  # of its real defects; a type of which fewer pass cannot be certified
_ARRAYS = ("mean", "scale", "weight", "bias", "real", "real_types")  # of a `Look`
_MOST_COVERED, _MOST_OVERLAP = 0.5, 0.3  # no stricter than this, however good the real labels
_LEAST_REGION = 0.2  # of the mask: a smaller region is no label


@dataclass(frozen=True)
class Limits:
    """What a category's images are judged by.

    Attributes:
        look: Classifier of its types and of nulls.
        threshold: Least log probability of the type that the mask claims.
        covered, overlap: Least `Label` of a mask, by defect type.
    """

    look: Look
    threshold: float
    covered: dict[str, float]
    overlap: dict[str, float]


@dataclass(frozen=True)
class Judgement:
    """What is said of one image.

    Attributes:
        verdict: "accepted", "relabelled" or "rejected".
        reason: Of a verdict that is not "accepted", in words; else "".
        mask: (H, W) bool, the one to publish: the measured region where it was relabelled.
        record: Columns of the manifest: certainty (probability of the type), looks_like (the
            likeliest type or null), covered and label_overlap (of the mask as generated).
        unlike: How far it is from the type's nearest real base defect, see `Look.of_window`.
    """

    verdict: str
    reason: str
    mask: np.ndarray
    record: dict[str, Any]
    unlike: float


@dataclass(frozen=True)
class Certificate:
    """Judges images of the categories it was fitted on.

    Attributes:
        limits: By category.
        test: What passes, with every limit set without the windows in question: `TEST_COLUMNS`;
            kind is "real", a kind of null or "other_type", `passed` a share; rows of all types of a
            category together have the type `ALL_TYPES`.
    """

    limits: dict[str, Limits]
    test: pd.DataFrame

    def save(self, folder: Path) -> None:
        """Write limits.json, a numbered file of arrays per category, and test.csv."""
        told = []
        for number, (category, limits) in enumerate(self.limits.items()):
            arrays = {name: getattr(limits.look, name) for name in _ARRAYS}
            np.savez(folder / f"{number:04d}.npz", **arrays)
            rest = {name: getattr(limits, name) for name in ("threshold", "covered", "overlap")}
            names = {"types": limits.look.types, "kinds": limits.look.kinds}
            told.append({"category": category, **names, **rest})
        text = json.dumps(told, indent=1, ensure_ascii=False) + "\n"
        (folder / "limits.json").write_text(text, encoding="utf-8")
        self.test.to_csv(folder / "test.csv", index=False)

    @classmethod
    def load(cls, folder: Path) -> Certificate:
        """Read what `save` wrote.

        Raises:
            InputError: It was an earlier release that did.
        """
        limits = {}
        told = json.loads((folder / "limits.json").read_text(encoding="utf-8"))
        for number, of_category in enumerate(told):
            category = of_category.pop("category")
            types, kinds = (tuple(of_category.pop(names)) for names in ("types", "kinds"))
            with np.load(folder / f"{number:04d}.npz") as arrays:
                if missing := [name for name in _ARRAYS if name not in arrays]:
                    raise InputError(
                        "a certificate is of an earlier release",
                        file=folder,
                        value=f"{category}: no {', '.join(missing)}",
                        remedy="run augment again",
                    )
                look = Look(types, kinds, *(arrays[name] for name in _ARRAYS))
            limits[category] = Limits(look, **of_category)
        return cls(limits, read_table(folder / "test.csv", "certificate_test"))

    def judge(
        self,
        category: str,
        defect_type: str,
        image: np.ndarray,
        background: np.ndarray,
        mask: np.ndarray,
    ) -> Judgement:
        """Judge a synthetic image.

        Args:
            category: One that was fitted.
            defect_type: What the mask claims.
            image: (H, W) or (H, W, 3), uint8 or uint16.
            background: What it was made on, alike.
            mask: (H, W) bool, not empty.
        """
        limits = self.limits[category]
        label = measure_label(image, background, mask)
        covered = label.covered >= limits.covered[defect_type]
        labelled = covered and label.overlap >= limits.overlap[defect_type]
        shown, verdict, reason = mask, ACCEPTED, ""
        if not labelled:
            said = f"{label.covered:.0%} of the mask changed, overlap {label.overlap:.2f}"
            verdict, reason = RELABELLED, f"the mask is what was measured: {said}"
            if label.region.sum() < max(1, _LEAST_REGION * mask.sum()):
                verdict, reason = REJECTED, f"not labelled: {said}"
            else:
                shown = label.region
        look = limits.look
        scores, unlike = look.of_window(see(image, shown), defect_type)
        score, number = scores[look.types.index(defect_type)], int(scores.argmax())
        likeliest = (*look.types, *map("null: {}".format, look.kinds))[number]
        if verdict != REJECTED and score < limits.threshold:
            verdict, reason = REJECTED, _in_words(likeliest, defect_type, float(np.exp(score)))
        record = {
            "certainty": float(np.exp(score)),
            "looks_like": likeliest,
            "covered": label.covered,
            "label_overlap": label.overlap,
        }
        return Judgement(verdict, reason, mask if verdict == REJECTED else shown, record, unlike)


def fit_certificate(
    samples: pd.DataFrame | Sequence[Sample],
    *,
    nulls: int = 900,
    round_trip: RoundTrip | None = None,
    seed: int = 0,
    each: Map = map,
) -> Certificate:
    """Learn what real base defects look like, and nulls made from them, per category.

    Args:
        samples: The table `samples`, or samples themselves; only base and normal ones are read.
        nulls: Of them per category, about.
        round_trip: What an autoencoder makes of a picture (h, w, 3) in [0, 1], without which that
            kind of null is not made.
        seed: Of all draws.
        each: Calls a function with every base defect; its results in their order.

    Raises:
        InputError: A category has no base or no normal sample.

    Examples:
        >>> import numpy as np
        >>> from defectsynth_pipeline import as_samples
        >>> rng = np.random.default_rng(0)
        >>> good = [rng.integers(120, 160, (96, 96, 3), dtype=np.uint8) for _ in range(6)]
        >>> masks = [np.zeros((96, 96), bool) for _ in range(3)]
        >>> for shift, mask in enumerate(masks):
        ...     mask[40 + 4 * shift : 52 + 4 * shift, 36:52] = True
        >>> bad = [np.where(m[..., None], g // 3, g) for g, m in zip(good, masks)]
        >>> samples = as_samples(bad, masks, "dent", normals=good[3:], category="plate")
        >>> certificate = fit_certificate(samples, nulls=24)
        >>> made = np.where(masks[0][..., None], good[5] // 3, good[5])
        >>> certificate.judge("plate", "dent", made, good[5], masks[0]).verdict
        'accepted'
    """
    limits, tests = {}, [pd.DataFrame(columns=list(TEST_COLUMNS))]
    every = each_sample(samples) if isinstance(samples, pd.DataFrame) else samples
    ordered = sorted(every, key=lambda sample: (sample.corpus, sample.category, sample.sample_id))
    for (corpus, category), rows in groupby(ordered, key=lambda s: (s.corpus, s.category)):
        own = list(rows)
        real = [sample for sample in own if sample.split == "base"]
        normals = [sample for sample in own if sample.split == "normal"]
        if not real or not normals:
            raise InputError(
                "a certificate needs real base defects and good images",
                value=f"{category}: {len(real)} base, {len(normals)} normal images",
                remedy="add images of the category, or leave it out of ingest.categories",
            )
        chosen = counter_seed(seed, category)
        windows, shown = gather(
            real, normals, nulls=nulls, round_trip=round_trip, seed=chosen, each=each
        )
        scores = held_out_scores(windows, shown)
        labels = [(sample.defect_type, real_label(sample)) for sample in real]
        limits[category] = Limits(
            fit_look(windows, shown),
            threshold_of(scores),
            {t: min(_MOST_COVERED, *(m.covered for n, m in labels if n == t)) for t, _ in labels},
            {t: min(_MOST_OVERLAP, *(m.overlap for n, m in labels if n == t)) for t, _ in labels},
        )
        table = _tested(scores).assign(
            corpus=corpus, category=category, threshold=float(np.exp(threshold_of(scores)))
        )
        _tell(table, category)
        tests.append(table[list(TEST_COLUMNS)])
    return Certificate(limits, pd.concat(tests, ignore_index=True))


def worst_null(test: pd.DataFrame) -> pd.Series:
    """Return the kind of null of which the largest share passes, of rows of one or all types.

    Spoilt defects are not counted: what is torn a little is a defect still.
    """
    nulls = test[~test["kind"].isin({REAL, *SPOILT})].assign(
        times=lambda t: t["passed"] * t["windows"]
    )
    sums = nulls.groupby("kind")[["times", "windows"]].sum()
    shares = sums["times"] / sums["windows"]
    return pd.Series({"kind": str(shares.idxmax()), "passed": float(shares.max())})


def _tested(scores: pd.DataFrame) -> pd.DataFrame:
    found = scores.assign(passed=passed(scores))
    of_all = found.assign(defect_type=ALL_TYPES)
    groups = pd.concat([of_all, found]).groupby(["defect_type", "kind"], sort=True)["passed"]
    return groups.agg(windows="size", passed="mean").reset_index()


def _tell(test: pd.DataFrame, category: str) -> None:
    """Log what a certificate is worth, and warn of types that it cannot tell from nothing."""
    of_all, real = test[test["defect_type"] == ALL_TYPES], test[test["kind"] == REAL]
    share = real.set_index("defect_type")["passed"]
    worst = worst_null(of_all)
    message = "certificate of %s: %.0f %% of the real base defects pass, %.1f %% of the worst null"
    log.info(f"{message} (%s)", category, 100 * share[ALL_TYPES], 100 * worst.passed, worst.kind)
    for name in share[share < INVISIBLE].index.difference([ALL_TYPES]):
        log.warning(
            "%s/%s: only %.0f %% of its real defects can be told from nothing and from other "
            "types; few of its images will be accepted, and the others may be as good as real ones",
            category,
            name,
            100 * share[name],
        )


def _in_words(looks: str, defect_type: str, certainty: float) -> str:
    kind = looks.removeprefix("null: ")
    if kind != looks:
        return f"{KINDS[kind]} (certainty {certainty:.3f})"
    likest = f"looks like {looks}" if looks != defect_type else "not like enough"
    return f"{likest} (certainty {certainty:.3f})"
