"""What lies beside every export: `README.md`, a dataset card, and `images.csv`, a row per image."""

from __future__ import annotations

import json
from collections.abc import Iterator

from defectsynth_pipeline.corpora.licences import commerce_doubt
from defectsynth_pipeline.export.selection import SYNTHETIC, Selection
from defectsynth_pipeline.options import ExportOptions
from defectsynth_pipeline.verdict.markdown import escape, markdown_table

CARD, TABLE = "README.md", "images.csv"
_SIZES = ((10**3, "n<1K"), (10**4, "1K<n<10K"), (10**5, "10K<n<100K"))
_INSTANCES = {
    "parts": "one per part of a mask that touches no other, not even at a corner",
    "image": "one per image, whatever its parts",
}
_LIMITS = (
    "The images are made of a few real defects and show nothing that these do not: no other type, "
    "no other part, no other light.",
    "Masks are the shapes that defects were made in; what the certificate found to be visible of "
    "them decided `verdict` (accepted, relabelled, rejected).",
    "Train on them together with what real defects there are, and measure on real parts that "
    "neither the generator nor the detector has seen: `defectsynth downstream` does.",
    "Do not report a score that was measured on synthetic images as one on real parts.",
)


def dataset_card(selection: Selection, options: ExportOptions, notes: list[str]) -> str:
    """Return the card, Markdown; for Hugging Face with the header that the hub reads.

    Args:
        selection: What was exported.
        options: How.
        notes: What the reader of this format must know.
    """
    header = _header(selection) if options.format == "hf" else []
    return "\n".join([*header, *_body(selection, options, notes)]) + "\n"


def _header(selection: Selection) -> list[str]:
    size = next((name for most, name in _SIZES if len(selection) < most), "n>100K")
    names = ", ".join(sorted(selection.licences()))
    return [
        "---",
        "license: other",
        f"license_name: {json.dumps(names, ensure_ascii=False)}",
        "task_categories: [image-segmentation]",
        "tags: [synthetic, defect, industrial-inspection]",
        f"size_categories: [{size}]",
        "---",
        "",
    ]


def _body(selection: Selection, options: ExportOptions, notes: list[str]) -> Iterator[str]:
    synthetic = (selection.table["origin"] == SYNTHETIC).sum()
    yield f"# {len(selection)} labelled images, {synthetic} of them synthetic"
    yield ""
    yield (
        "**The synthetic images are no photographs.** `defectsynth_pipeline` made them from a few "
        f"real defects and good parts: set `{selection.of_set}`, version `{selection.version}`. "
        "Every PNG says so in its text, and `images.csv` says of each image which photographs are "
        "in it, with which seed and by which engine it was made; `defectsynth explain NAME` shows "
        "its way and `defectsynth replay NAME` makes it again, in the project it is from."
    )
    yield from ("", "## What is in it", "", _counts(selection), "")
    yield f"Instances: {_INSTANCES[options.instances]}."
    yield from ("", f"## Layout: {options.format}", "", *(f"- {note}" for note in notes))
    yield from ("", "## Licences of the photographs", "", *_licences(selection))
    if options.commercial:
        said = "accepted by who exported it" if options.accept_licences else "none speaks against"
        yield from ("", f"Exported for commercial use; the sources' licences: {said}.")
    yield from ("", "## Limits", "", *(f"- {limit}" for limit in _LIMITS))


def _counts(selection: Selection) -> str:
    keys = ["category", "defect_type", "origin", "verdict"]
    counts = selection.table.groupby(keys, sort=True).size().reset_index(name="count")
    lines = [[escape(row[key]) for key in (*keys, "count")] for row in counts.to_dict("records")]
    return markdown_table(["category", "defect type", "origin", "verdict", "images"], lines)


def _licences(selection: Selection) -> Iterator[str]:
    for name, count in sorted(selection.licences().items()):
        doubt = commerce_doubt(name)
        yield f"- {escape(name)}: in {count} images" + (f"; {doubt}." if doubt else ".")
    yield (
        "\nImages made of photographs are under the photographs' licences: who passes them on "
        "passes on these terms. Shares under an -SA licence stay under it."
    )
