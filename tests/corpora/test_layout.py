from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from defectsynth_pipeline.corpora.layout import find_corpora
from defectsynth_pipeline.errors import InputError


def _found(root: Path) -> list[tuple[str, str]]:
    return [(corpus.name, corpus.layout) for corpus in find_corpora(root)]


def test_each_native_layout(part: Path, welds: Path, cracks: Path) -> None:
    assert _found(part) == [("parts", "mvtec")]
    assert _found(part / "plate") == [("plate", "mvtec")]
    assert _found(welds) == [("xray", "gdxray")]
    assert _found(welds / "Welds") == [("Welds", "gdxray")]
    assert _found(cracks) == [("cracks", "deepcrack")]


def test_a_folder_of_corpora(part: Path, welds: Path, cracks: Path, tmp_path: Path) -> None:
    assert _found(tmp_path) == [("cracks", "deepcrack"), ("parts", "mvtec"), ("xray", "gdxray")]


def test_categories_beside_a_corpus(part: Path, cracks: Path) -> None:
    shutil.move(cracks, part / "cracks")

    assert _found(part) == [("parts", "mvtec"), ("cracks", "deepcrack")]


def test_a_category_without_train_is_still_recognised(part: Path) -> None:
    shutil.rmtree(part / "plate" / "train")

    assert _found(part) == [("parts", "mvtec")]


def test_a_link_to_a_corpus_may_be_the_root(part: Path, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "link").symlink_to(part)

    assert _found(tmp_path / "raw") == [("link", "mvtec")]


def test_missing_root(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"does not exist(.|\n)*nowhere(.|\n)*train/good"):
        find_corpora(tmp_path / "nowhere")


def test_nothing_recognisable(tmp_path: Path) -> None:
    (tmp_path / "holiday").mkdir()

    with pytest.raises(InputError, match=r"no corpus(.|\n)*value: holiday(.|\n)*train/good"):
        find_corpora(tmp_path)
