"""What is exported, what never is, and what is refused in one line."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pandas as pd
import pytest

from defectsynth_pipeline.corpora.licences import commerce_doubt
from defectsynth_pipeline.export import FORMATS, select_images, write_export
from defectsynth_pipeline.options import ExportOptions
from refusals import refused

from .conftest import LICENCE, MASKS, REJECTED


def names(image_set, samples, **options) -> set[str]:
    return {image.name for image in select_images(image_set, samples, ExportOptions(**options))}


def test_only_what_was_accepted_unless_all(image_set, samples):
    assert names(image_set, samples) == set(MASKS) - {REJECTED}
    assert names(image_set, samples, rejected=True) == set(MASKS)


def test_real_images_come_from_the_base_and_the_normals_of_the_same_parts_alone(image_set, samples):
    options = ExportOptions(normals=True, real=True)
    real = [i for i in select_images(image_set, samples, options) if i.origin == "real"]
    told = sorted((i.category, i.defect_type, i.source.split) for i in real)
    assert told == [
        (category, *kind)
        for category in ("cast", "plate")
        for kind in (("dent", "base"), ("good", "normal"))
    ]
    assert all(image.name.isascii() and " " not in image.name for image in real)


def test_labels_name_the_category_where_there_are_several(image_set, samples):
    chosen = select_images(image_set, samples, ExportOptions())
    assert chosen.labels == ("cast-dent", "plate-dent", "plate-scratch")
    of_one = image_set.manifest[image_set.manifest["category"] == "plate"]
    alone = select_images(replace(image_set, manifest=of_one), samples, ExportOptions())
    assert alone.labels == ("dent", "scratch")


def test_two_real_images_of_one_name_get_two(image_set, samples):
    twice = pd.concat(
        [samples, samples.assign(sample_id=samples["sample_id"].str.replace("ä", "ö"))]
    )
    chosen = select_images(image_set, twice, ExportOptions(normals=True))
    found = [image.name for image in chosen]
    assert len({name.lower() for name in found}) == len(found)


def test_a_commercial_export_of_what_is_not_for_commerce_is_refused(image_set, samples):
    with refused("do not permit a commercial export", LICENCE, remedy="--accept-licences"):
        select_images(image_set, samples, ExportOptions(commercial=True))
    accepted = ExportOptions(commercial=True, accept_licences=True)
    assert len(select_images(image_set, samples, accepted))
    free = replace(image_set, manifest=image_set.manifest.assign(licence="MIT; CC-BY-SA-4.0"))
    assert len(select_images(free, samples, ExportOptions(commercial=True)))


@pytest.mark.parametrize(
    ("licence", "free"),
    [
        ("CC0-1.0", True),
        ("MIT", True),
        ("BSD", True),
        ("CC-BY-SA-4.0", True),
        ("CC-BY-NC-4.0", False),
        ("CC-BY-ND-4.0", False),
        ("non-commercial", False),
        ("research and education only", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_which_licences_speak_against_commerce(licence, free):
    assert (commerce_doubt(licence) == "") == free


def test_nothing_accepted_is_said(image_set, samples):
    empty = replace(image_set, manifest=image_set.manifest.iloc[:0])
    with refused("nothing to export", remedy="--all"):
        select_images(empty, samples, ExportOptions())


def test_nothing_is_written_over(image_set, samples, out):
    options = ExportOptions()
    chosen = select_images(image_set, samples, options)
    write_export(chosen, out, options)
    before = sorted(out.rglob("*"))
    with refused("overwrite", str(out), remedy="--out"):
        write_export(chosen, out, options)
    assert sorted(out.rglob("*")) == before
    empty = out.parent / "empty"
    empty.mkdir()
    write_export(chosen, empty, options)


def test_a_card_and_a_table_lie_in_every_export(image_set, samples, out):
    for name in FORMATS:
        options = ExportOptions(format=name, normals=True)
        chosen = select_images(image_set, samples, options)
        write_export(chosen, out / name, options)
        card = (out / name / "README.md").read_text("utf-8")
        for text in ("no photographs", chosen.of_set, LICENCE, "excludes commercial use"):
            assert text in card, (name, text)
        table = pd.read_csv(out / name / "images.csv")
        assert (table["origin"] == "synthetic").sum() == len(MASKS) - 1
        assert set(table["name"]) == {image.name for image in chosen}


def test_seeds_are_told_to_the_last_digit_beside_photographs_that_have_none(
    image_set, samples, out
):
    seeds = [2**62 + number for number in range(len(image_set.manifest))]
    drawn = replace(image_set, manifest=image_set.manifest.assign(seed=seeds))
    options = ExportOptions(normals=True, real=True)
    write_export(select_images(drawn, samples, options), out, options)
    table = pd.read_csv(out / "images.csv", dtype={"seed": "Int64"})
    told = table[table["origin"] == "synthetic"].set_index("name")["seed"]
    assert told.to_dict() == dict(zip(drawn.manifest["image_id"], seeds, strict=True))
    assert table.loc[table["origin"] == "real", "seed"].isna().all()


def test_a_kill_half_way_leaves_nothing_there(image_set, samples, out, monkeypatch):
    def half(selection, folder, options):
        (folder / "half").write_text("a")
        os.kill(os.getpid(), signal.SIGKILL)

    options = ExportOptions()
    chosen = select_images(image_set, samples, options)
    if (child := os.fork()) == 0:
        monkeypatch.setitem(FORMATS, "coco", half)
        write_export(chosen, out, options)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert not out.exists()
    write_export(chosen, out, options)
    assert (out / "annotations.json").exists()
    assert {path.name for path in out.iterdir()} == {
        *("images", "annotations.json", "README.md", "images.csv")
    }
