"""Which licence holds for the images, and that it is said where none is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from defectsynth_pipeline.corpora.licences import name_licence
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.options import IngestOptions

MVTEC = """The data is licensed under the Creative Commons Attribution-NonCommercial-ShareAlike 4.0
International License (CC BY-NC-SA 4.0)."""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (MVTEC, "CC-BY-NC-SA-4.0"),
        ("see http://creativecommons.org/licenses/by/4.0/", "CC-BY-4.0"),
        ("Creative Commons Attribution-Non-Commercial 3.0", "CC-BY-NC-3.0"),
        ("CC0 1.0 Universal", "CC0-1.0"),
        ("MIT License\n\nCopyright", "MIT"),
        ("for research and educational purposes only", "research and education only"),
        ("is free for non-commercial\nresearch", "non-commercial"),
        ("If you use this dataset, please cite our paper", ""),
    ],
)
def test_known_licences_and_terms(text: str, name: str) -> None:
    assert name_licence(text) == name


def test_a_category_has_its_own_or_the_corpus_licence(part: Path) -> None:
    def found(**options: str) -> set[str]:
        return set(make_samples(part, IngestOptions(**options))["licence"])

    assert found() == {"unknown"}
    (part / "README.md").write_text("Dents. Please cite us.", encoding="utf-8")
    assert found() == {"unknown"}
    (part / "readme.txt").write_text(MVTEC, encoding="utf-8")
    assert found() == {"CC-BY-NC-SA-4.0"}
    (part / "LICENSE").write_text("# Works council; agreement 12\nmore", encoding="utf-8")
    assert found() == {"Works council, agreement 12"}
    (part / "plate" / "Licence.txt").write_text("CC BY 4.0", encoding="utf-8")
    assert found() == {"CC-BY-4.0"}
    assert found(licence="internal") == {"internal"}


def test_other_layouts(welds: Path, cracks: Path) -> None:
    (welds / "Welds" / "license").write_text("non-commercial use", encoding="utf-8")
    (cracks / "COPYING").write_text("Apache License, Version 2.0", encoding="utf-8")
    samples = make_samples([welds, cracks], IngestOptions())
    licences = samples.groupby("corpus")["licence"].unique().map(list).to_dict()
    assert licences == {"xray": ["non-commercial"], "cracks": ["Apache-2.0"]}


def test_the_demo_is_licensed(demo: Path) -> None:
    assert set(make_samples(demo, IngestOptions())["licence"]) == {"MIT"}
