"""`review.json`: what a person decided about the images of one set, read, checked and applied.

review = read_review(path, image_set)
image_set = apply(review, image_set)
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from pydantic import Field, ValidationError

from defectsynth_pipeline.bounds import Options
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import fingerprint
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.setfiles import picture_names, sha256_column

logger = logging.getLogger(__name__)

FORMAT = "defectsynth-review-1"
ACCEPTED, REJECTED = "accepted", "rejected"
_PERSON = "accepted by a person"
_AGAIN = "give the review.json that the desk of this set saved (`defectsynth review`)"


class Decision(Options):
    """What a person decided about one image.

    Attributes:
        verdict: An accepted image is used even if the certificate rejected it; a rejected one never
            is.
        reason: Why, in the person's words.
        type: The defect type it is of, where that is not the one it was made as; null: it is.
        time: When, ISO 8601.
    """

    verdict: Literal["accepted", "rejected"]
    reason: str = Field("", max_length=1000)
    type: str | None = Field(None, max_length=200)
    time: str = Field("", max_length=40)


class Review(Options):
    """The file.

    Attributes:
        set: Fingerprint of the set, `of_set` in its manifest.
        pictures: Fingerprint of the pictures that were looked at, see `fingerprint_of_pictures`.
        version: Of the set, for people.
        reviewer: Their name, or "".
        saved: When, ISO 8601.
        images: Decisions by image_id; the others were not decided.
        file: Where it was read.
    """

    format: Literal["defectsynth-review-1"]
    set: str
    pictures: str
    version: str = ""
    reviewer: str = Field("", max_length=200)
    saved: str = Field("", max_length=40)
    images: dict[str, Decision]
    file: Path


class Reviewed(NamedTuple):
    """A review with the set that it is of."""

    review: Review
    images: ImageSet


def parse_review(path: Path) -> Review:
    """Read a `review.json`, whichever set it is of.

    Raises:
        InputError: It cannot be read, is no JSON or another one, or holds an unknown verdict.
    """
    try:
        told = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(
            "the review cannot be read",
            file=path,
            value=error.strerror or type(error).__name__,
            remedy=_AGAIN,
        ) from error
    except ValueError as error:
        raise InputError(
            "the review is no whole JSON file", file=path, value=error, remedy=_AGAIN
        ) from error
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        found = told.get("format") if isinstance(told, dict) else type(told).__name__
        raise InputError(
            "this is not a review as this release writes it",
            file=path,
            value=f"format {found}, not {FORMAT}",
            remedy=_AGAIN,
        )
    try:
        return Review.model_validate({**told, "file": path})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            "the review holds what is no decision",
            file=path,
            value=f"{'.'.join(map(str, first['loc']))}: {_shown(first.get('input'))}",
            remedy=first["msg"][0].lower() + first["msg"][1:],
        ) from error


def read_review(path: Path, image_set: ImageSet) -> Review:
    """Read the review of a set.

    Raises:
        InputError: As `parse_review` and `check_review`.
    """
    review = parse_review(path)
    check_review(review, image_set)
    return review


def check_review(review: Review, image_set: ImageSet) -> None:
    """Make sure that a review is of this set.

    Raises:
        InputError: It is of another set or of other pictures, or names an image or a defect type
            that the set does not have.
    """
    every = _every(image_set)
    sets = sorted(set(every["of_set"].astype(str)))
    if sets != [review.set]:
        raise InputError(
            "the review is of another set",
            file=review.file,
            value=f"set {review.set} of {review.version}, and not {', '.join(sets)}",
            remedy="review this set, or load the version that was reviewed: "
            f"--load-versions=synthetic_images:{review.version or 'VERSION'}",
        )
    if (found := fingerprint_of_pictures(image_set)) != review.pictures:
        raise InputError(
            "the review is of other pictures: this set was rendered elsewhere, or the file changed",
            file=review.file,
            value=f"pictures {review.pictures}, and not {found}",
            remedy=_AGAIN,
        )
    categories = dict(zip(every["image_id"], every["category"], strict=True))
    types = every.groupby("category")["defect_type"].unique().to_dict()
    for image_id, decision in review.images.items():
        if image_id not in categories:
            raise InputError(
                "the review names an image that is not in the set",
                file=review.file,
                value=image_id,
                remedy=_AGAIN,
            )
        known = sorted(map(str, types[categories[image_id]]))
        if decision.type is not None and decision.type not in known:
            raise InputError(
                "the review names a defect type that the category does not have",
                file=review.file,
                value=f"{image_id}: {decision.type}",
                remedy=f"use one of {', '.join(known)}",
            )


def apply(review: Review, image_set: ImageSet) -> ImageSet:
    """Return the set as the person left it, and say how many images that changes.

    Rejected images are in neither manifest; accepted ones that the certificate had rejected are
    among the others; what was given another type has it in `defect_type`; `reviewed` says which
    were looked at. What was not decided stays as it was.

    Raises:
        InputError: As `check_review`.
    """
    check_review(review, image_set)
    images = review.images
    kept = [_decided(table, review) for table in (image_set.manifest, image_set.rejected)]
    taken_in = kept[1]["reviewed"].astype(bool)
    manifest = pd.concat([kept[0], kept[1][taken_in]], ignore_index=True)
    counts: Counter[str] = Counter(decision.verdict for decision in images.values())
    by = f" by {review.reviewer}" if review.reviewer else ""
    logger.info(
        "%s%s: %d of %d images decided: %d accepted (%d that the certificate had rejected), "
        "%d rejected, %d of another type",
        *(review.file, by, len(images), len(_every(image_set)), counts[ACCEPTED]),
        *(int(taken_in.sum()), counts[REJECTED]),
        sum(decision.type is not None for decision in images.values()),
    )
    return replace(image_set, manifest=manifest, apart=kept[1][~taken_in])


def apply_review(images: ImageSet, reviewed: Reviewed | None) -> ImageSet:
    """Return the images as a person left them, as they are where nobody looked through them."""
    return images if reviewed is None else apply(reviewed.review, images)


def fingerprint_of_pictures(image_set: ImageSet) -> str:
    """Hash of the checksums of all pictures of a set, its rejected ones too, whatever the order."""
    every = _every(image_set)
    columns = ["image_id", *sorted(map(sha256_column, picture_names(every)))]
    return fingerprint(every[columns].sort_values("image_id"))


def _every(image_set: ImageSet) -> pd.DataFrame:
    return pd.concat([image_set.manifest, image_set.rejected], ignore_index=True)


def _decided(table: pd.DataFrame, review: Review) -> pd.DataFrame:
    """The rows that were not rejected, with what was decided of the others."""
    rows = []
    for row in table.assign(reviewed=False).to_dict("records"):
        decision = review.images.get(str(row["image_id"]))
        if decision is None:
            rows.append(row)
        elif decision.verdict == ACCEPTED:
            told = {"reviewed": True, "defect_type": decision.type or row["defect_type"]}
            if row["verdict"] == REJECTED:
                told |= {"verdict": ACCEPTED, "reason": f"{_PERSON}: {decision.reason}"}
            rows.append(row | told)
    return pd.DataFrame(rows, columns=[*table.columns, "reviewed"])


def _shown(value: Any) -> str:
    return " ".join(str(value).split())[:80]
