"""Exports of labelling tools: every format gives the masks it was drawn with, or says why not."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from categories import save
from defectsynth_pipeline.corpora.labels.exports import LabelMask
from defectsynth_pipeline.corpora.layout import find_corpora
from defectsynth_pipeline.corpora.reading import Sample, each_sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.options import IngestOptions
from refusals import refused

from .builders import texture
from .exported import (
    BOXES,
    SHAPE,
    WRITERS,
    box_mask,
    coco,
    cvat,
    label_studio,
    labelme,
    six_defects,
    write_images,
    write_json,
    yolo,
)

Writer = Callable[..., Path]


def exported(folder: Path, write: Writer, drawn: str, **images: Any) -> Path:
    """A folder with photographs and their labels."""
    defects = six_defects()
    write(folder, defects, write_images(folder, defects, **images), drawn)
    return folder


def read(folder: Path, **options: Any) -> pd.DataFrame:
    return make_samples(folder, IngestOptions(**options))


@pytest.mark.parametrize("case", WRITERS)
def test_every_format_gives_its_masks_back(tmp_path: Path, case: str) -> None:
    root = exported(tmp_path / "plate", *WRITERS[case], good=6)
    assert [(c.name, c.layout) for c in find_corpora(root)] == [("plate", "labels")]
    samples = read(root)
    by_id = {sample.sample_id: sample for sample in each_sample(samples)}
    for stem, regions in six_defects().items():
        sample = by_id[f"plate/plate/{regions[0][0]}/{stem}"]
        wanted = np.logical_or.reduce([mask for _, mask in regions])
        assert (sample.mask() == wanted).all(), stem
        assert sample.image().shape == (*SHAPE, 3)
    good = samples[samples["defect_type"] == "good"]
    assert good["split"].value_counts().to_dict() == {"normal": 5, "test": 1}
    assert set(samples["split"]) == {"base", "test", "normal"}
    assert samples["sha256"].is_unique


@pytest.mark.parametrize("case", BOXES)
def test_boxes_are_refused_unless_asked_for(
    tmp_path: Path, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    root = exported(tmp_path / "plate", *BOXES[case])
    with refused("a box says where", "8 more like it", remedy="ingest.boxes=fill"):
        read(root)
    samples = read(root, boxes="fill")
    assert "9 boxes are taken as masks" in caplog.text
    scratch = samples[samples["sample_id"] == "plate/plate/scratch/s1"].iloc[0]
    assert (Sample.of(scratch).mask() == six_defects()["s1"][0][1]).all()


def test_a_line_needs_a_width(tmp_path: Path) -> None:
    root = exported(tmp_path / "plate", cvat, "polyline")
    with refused("a line has no width", "polyline 0", remedy="ingest.line_width"):
        read(root)
    samples = read(root, line_width=3)
    scratch = samples[samples["sample_id"] == "plate/plate/scratch/s0"].iloc[0]
    assert scratch["mask"] == "annotations.xml?image=s0.png&line_width=3"
    assert 80 <= Sample.of(scratch).mask().sum() <= 110


def test_a_mask_is_written_as_text() -> None:
    for name in ("001.png", "a b/ü?&#=%.png"):
        mask = LabelMask("labels/a.json", name, 4)
        assert LabelMask.of(str(mask)) == mask
    assert LabelMask.of("ground_truth/dent/000_mask.png") is None


def test_images_of_several_types_count_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    defects = six_defects()
    both = [("scratch", box_mask(2, 2, 3, 3)), ("dent", box_mask(20, 20, 9, 9))]
    defects["both"] = both
    root = tmp_path / "plate"
    coco(root, defects, write_images(root, defects))
    samples = read(root)
    row = samples[samples["image"] == "images/both.png"]
    assert row["defect_type"].tolist() == ["dent"]
    assert (Sample.of(row.iloc[0]).mask() == both[0][1] | both[1][1]).all()
    assert "1 images show several defect types" in caplog.text


def test_good_folders_and_unlabelled_images(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = exported(tmp_path / "plate", coco, "rle", good=3)
    for number, place in enumerate(("train/good", "test/good", "good", "other")):
        save(root / place / f"x{number}.png", texture(200 + number, shape=(*SHAPE, 3)))
    assert find_corpora(root)[0].layout == "labels"
    samples = read(root, base_share=1.0)
    split = samples.set_index("image")["split"].to_dict()
    assert split["train/good/x0.png"] == split["good/x2.png"] == "normal"
    assert split["test/good/x1.png"] == "test"
    assert "other/x3.png" not in split
    assert "1 images are not in the labels and are not read" in caplog.text
    assert [name for name, side in split.items() if side == "test"] == ["test/good/x1.png"]


def test_folders_of_parts_beside_mask_files(part: Path) -> None:
    exported(part / "lid", coco, "rle", seed=300)
    exported(part / "rim", yolo, "polygon", seed=500)
    save(part / "rim" / "train" / "good" / "more.png", texture(7, shape=(*SHAPE, 3)))
    samples = read(part)
    assert set(samples["category"]) == {"plate", "lid", "rim"}
    assert set(read(part, categories=["rim"])["corpus"]) == {"rim"}


def test_splits_of_an_export_are_read_together(tmp_path: Path) -> None:
    root = tmp_path / "plate"
    defects = six_defects()
    halves = {"train": ["d0", "d1", "s0"], "valid": ["d2", "s1", "s2"]}
    for place, stems in halves.items():
        own = {stem: defects[stem] for stem in stems}
        coco(root / place, own, write_images(root / place, own, 2, ".", seed=ord(place[0])))
        (root / place / "annotations.json").rename(root / place / "_annotations.coco.json")
    samples = read(root)
    assert len(samples) == 10
    assert {f"plate/plate/good/{place}-good0" for place in halves} <= {*samples["sample_id"]}


def test_label_studio_takes_the_last_submitted_and_names_of_any_store(tmp_path: Path) -> None:
    root = exported(tmp_path / "plate", label_studio, "brush")
    path = root / "project-7-at-2024.json"
    tasks = json.loads(path.read_text())
    stores = ["s3://bucket/shots/{}", "/data/local-files/?d=images/{}", "http://host/a/{}?sig=1"]
    for task, store in zip(tasks, stores, strict=False):
        name = task["data"]["image"].partition("-")[2]
        task["data"] = {"id": "7", "image": store.format(name)}
    tasks[-1]["annotations"] = []  # not labelled: not good
    write_json(path, tasks)
    assert len(read(root)) == len(tasks) - 1


def test_shots_and_duplicates_hold_for_labels_too(tmp_path: Path) -> None:
    root = exported(tmp_path / "plate", coco, "rle")
    samples = read(root, shots=2, base_share=1.0)
    assert (samples["split"] == "base").sum() == 4
    assert (samples["split"] == "unused").sum() == 2
    save(root / "images" / "good1.png", texture(100, shape=(*SHAPE, 3)))  # as good0
    assert len(read(root)) == len(samples) - 1
    image = Sample.of(samples[samples["image"] == "images/d0.png"].iloc[0]).image()
    save(root / "images" / "good1.png", image)
    with refused("one image occurs in two places", "good1.png"):
        read(root)


def change(root: Path, edit: Callable[[Any], object]) -> None:
    """Change the COCO file of a folder."""
    path = root / "annotations.json"
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))


def first(content: Any, **values: object) -> None:
    content["annotations"][0].update(values)


FAR = [[500.0, 500.0, 520.0, 500.0, 520.0, 520.0]]
BAD: dict[str, tuple[Callable[[Any], object], list[str]]] = {
    "missing": (
        lambda c: c["images"].append({"id": 7, "file_name": "no.png"}),
        ["images that the labels name are missing", "no.png, 1 of 11", "copy them"],
    ),
    "size": (
        lambda c: c["images"][0].update(width=640),
        ["another size", "d0.png: labels 640x48, image 56x48"],
    ),
    "unnamed": (
        lambda c: c["categories"][0].pop("name"),
        ["annotation 1: category 1 has no name", "a name"],
    ),
    "unknown category": (lambda c: first(c, category_id=9), ["category 9 has no name"]),
    "unknown image": (lambda c: first(c, image_id=99), ["annotation 1 is of image 99"]),
    "twice": (
        lambda c: c["images"].append({"id": 8, "file_name": "d0.png"}),
        ["labelled twice", "d0.png", "a name of its own"],
    ),
    "same id": (lambda c: c["images"].append(c["images"][0]), ["image id 1 is there twice"]),
    "outside": (
        lambda c: first(c, segmentation=FAR),
        ["wholly outside its image", "annotation 1 (dent) of d0.png", "move or delete"],
    ),
    "far": (
        lambda c: first(c, segmentation=[[1e7, 1e7, 2e7, 1e7, 2e7, 2e7]]),
        ["wholly outside its image"],
    ),
    "empty": (lambda c: first(c, segmentation=[[]]), ["covers no pixel", "draw it anew"]),
    "two points": (lambda c: first(c, segmentation=[[1, 1, 9, 9]]), ["covers no pixel"]),
    "odd": (lambda c: first(c, segmentation=[[1, 1, 9, 9, 4]]), ["cannot be read", "annotation 1"]),
    "nan": (
        lambda c: first(c, segmentation=[[1, 1, 9, 9, 4, float("nan")]]),
        ["cannot be read", "no number"],
    ),
    "rle size": (
        lambda c: first(c, segmentation={"size": [9, 9], "counts": [3, 5]}),
        ["malformed", "runs of 8 pixels for 9x9"],
    ),
    "label good": (
        lambda c: c["categories"][0].update(name="good"),
        ["a name that the tables use otherwise", "rename it"],
    ),
    "label": (lambda c: c["categories"][0].update(name="a/b"), ["a label is no name", "'a/b'"]),
    "not a list": (lambda c: c.update(categories=[1]), ["cannot be read"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_coco(tmp_path: Path, case: str) -> None:
    root = exported(tmp_path / "plate", coco, "rle")
    edit, expected = BAD[case]
    change(root, edit)
    with refused("remedy: ", *expected, "file:", "value:", "annotations.json" * (case != "twice")):
        read(root)


def test_what_reaches_out_of_an_image_is_cut_off(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    root = exported(tmp_path / "plate", coco, "rle")
    change(root, lambda c: first(c, segmentation=[[-9, -9, 12, -9, 12, 10, -9, 10]]))
    samples = read(root)
    mask = Sample.of(samples[samples["image"] == "images/d0.png"].iloc[0]).mask()
    assert mask[:10, :12].all()
    assert "1 regions reach beyond their image" in caplog.text


def test_broken_files(tmp_path: Path) -> None:
    broken = [(coco, "rle", '"images": ['), (cvat, "mask", "<annotations><image")]
    broken += [(labelme, "mask", "{")]
    for number, (write, drawn, end) in enumerate(broken):
        root = tmp_path / f"{number}"
        defects = six_defects()
        path = write(root, defects, write_images(root, defects), drawn)
        path.write_text(end)
        with refused("cannot be read", path.name, remedy="export the labels again"):
            read(root)


def test_cvat_of_a_video_and_label_studio_min(tmp_path: Path) -> None:
    video = exported(tmp_path / "video", cvat, "mask") / "annotations.xml"
    video.write_text(video.read_text().replace("</annotations>", "<track id='0'/></annotations>"))
    with refused("cannot be read", "tracks", remedy="CVAT for images 1.1"):
        read(video.parent)
    least = exported(tmp_path / "least", label_studio, "brush")
    tasks = [{"id": 1, "image": "a.png", "brush": [], "annotation_id": 3, "annotator": 1}]
    write_json(least / "project-7-at-2024.json", tasks)
    with refused("cannot be read", "no annotations", remedy="not JSON-MIN"):
        read(least)


def test_two_exports_in_one_folder(tmp_path: Path) -> None:
    root = exported(tmp_path / "plate", coco, "rle")
    (root / "old.json").write_bytes((root / "annotations.json").read_bytes())
    with refused("two label exports", "annotations.json (COCO), old.json (COCO)", "ingest.labels"):
        read(root)
    assert len(read(root, labels=["old.json"])) == 10
    with refused("unknown label file", "new.json", remedy="old.json"):
        read(root, labels=["new.json"])
    cvat(root, six_defects(), [])
    (root / "old.json").unlink()
    with refused("two label exports", "annotations.xml (CVAT)"):
        read(root)


def test_ambiguous_names_and_labelled_good_images(tmp_path: Path) -> None:
    root = exported(tmp_path / "plate", coco, "rle")
    save(root / "more" / "d0.png", texture(9, shape=(*SHAPE, 3)))
    with refused("two images have the name", "images/d0.png and more/d0.png", remedy="rename"):
        read(root)
    (root / "more").rename(root / "good")  # good ones may have any name
    assert len(read(root)) == 11
    change(root, lambda c: c["images"][0].update(file_name="good/d0.png"))
    with refused("in a folder good is labelled", "good/d0.png", "dent"):
        read(root)


def test_an_image_with_a_type_but_no_region(tmp_path: Path) -> None:
    root = exported(tmp_path / "plate", labelme, "mask")
    path = root / "images" / "good0.json"
    content = json.loads(path.read_text())
    write_json(path, {**content, "flags": {"checked": True}})
    assert len(read(root)) == 10
    write_json(path, {**content, "flags": {"dent": True}})
    with refused("a defect's name but no region", "good0.png: dent", remedy="draw"):
        read(root)


def test_bad_yolo(tmp_path: Path) -> None:
    root = exported(tmp_path / "plate", yolo, "polygon")
    labels, data = root / "labels" / "d0.txt", root / "data.yaml"
    whole = labels.read_text()
    for text, expected in (("7 .1 .1 .2 .1 .2 .2", "class 7"), ("0 .1 .1 .2 .1 .2", "5 coord")):
        labels.write_text(f"{whole}{text}\n")
        with refused("cannot be read", "d0.txt", "line 3", expected):
            read(root)
    labels.write_text("0 100 100 200 100 200 200\n")  # pixels, not shares
    with refused("wholly outside", "d0.txt, line 1"):
        read(root)
    labels.write_text(whole)
    data.write_text(yaml.safe_dump({"names": ["dent", ""]}))
    with refused("cannot be read", "class 1 has no name"):
        read(root)
    data.write_text("names: [dent")
    with refused("cannot be read", "data.yaml"):
        read(root)
    data.unlink()
    (root / "classes.txt").write_text("dent\nscratch\n")
    assert len(read(root)) == 10


def test_labels_that_change_are_read_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    root = exported(tmp_path / "plate", coco, "rle")
    samples = read(root)
    sample = Sample.of(samples[samples["image"] == "images/d0.png"].iloc[0])
    before = sample.mask().sum()
    change(root, lambda c: c["annotations"].pop(0))
    assert 0 < sample.mask().sum() < before
    change(root, lambda c: c.update(annotations=[]))
    with refused("no longer labelled", "d0.png", remedy="run ingest again"):
        sample.mask()
    assert not caplog.records
