"""Each layout read back by the library that it is made for, the masks compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from defectsynth_pipeline.export import Selection, select_images, write_export
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.imaging.codec import decode_image
from defectsynth_pipeline.options import ExportOptions

from . import readers


def exported(
    image_set: ImageSet, samples: pd.DataFrame, out: Path, **options: object
) -> tuple[Selection, Path]:
    told = ExportOptions(out=str(out), **options)
    selection = select_images(image_set, samples, told)
    write_export(selection, out, told)
    return selection, out


def equal(found: readers.Found, selection: Selection, least: float = 1.0) -> None:
    assert set(found) == {image.name for image in selection}
    for image in selection:
        labels, mask = found[image.name], image.mask()
        assert set(labels) == ({image.label} if image.label else set()), image.name
        for given in labels.values():
            assert given.shape == mask.shape
            assert (given & mask).sum() / (given | mask).sum() >= least, image.name


@pytest.mark.parametrize("instances", ["parts", "image"])
@pytest.mark.parametrize("masks", ["auto", "rle", "polygon"])
def test_coco(image_set, samples, out, masks, instances):
    told = {"format": "coco", "masks": masks, "instances": instances, "real": True, "normals": True}
    selection, folder = exported(image_set, samples, out, **told)
    equal(readers.by_pycocotools(folder), selection)
    assert [path.name for path in folder.rglob("*.json")] == ["annotations.json"]


def test_coco_in_supervision(image_set, samples, out):
    pytest.importorskip("supervision")
    selection, folder = exported(image_set, samples, out, format="coco", normals=True)
    equal(readers.by_supervision_coco(folder), selection, least=0.98)


def test_a_thin_part_is_told_in_run_lengths_and_a_large_one_as_a_polygon(image_set, samples, out):
    from pycocotools.coco import COCO

    large = np.zeros((300, 300), dtype=bool)
    large[20:220, 40:260] = True
    thin = large.copy()
    thin[:] = False
    thin[40:42, 10:290] = True
    from defectsynth_pipeline.export.coco import _segmentation

    assert isinstance(_segmentation(large, "auto"), list)
    assert isinstance(_segmentation(thin, "auto"), dict)
    _, folder = exported(image_set, samples, out, format="coco")
    told = COCO(str(folder / "annotations.json")).anns.values()
    assert {one["iscrowd"] for one in told} == {0}


def test_yolo_in_supervision(image_set, samples, out):
    pytest.importorskip("supervision")
    selection, folder = exported(image_set, samples, out, format="yolo", real=True, normals=True)
    equal(readers.by_supervision_yolo(folder), selection)
    # Ultralytics would look for a relative one below the folder it is started in.
    assert "path" not in yaml.safe_load((folder / "data.yaml").read_text(encoding="utf-8"))


def test_voc(image_set, samples, out):
    selection, folder = exported(image_set, samples, out, format="voc", real=True, normals=True)
    equal(readers.by_palette(folder), selection)
    pytest.importorskip("supervision")
    boxes = readers.boxes_by_supervision_voc(folder)
    for image in selection:
        inside = np.zeros_like(image.mask())
        for label, (left, top, right, bottom) in boxes[image.name]:
            assert label == image.label
            inside[round(top) : round(bottom) + 1, round(left) : round(right) + 1] = True
        assert not (image.mask() & ~inside).any(), image.name


def test_hugging_face(image_set, samples, out, tmp_path):
    pytest.importorskip("datasets.load")  # tests/datasets has its name
    selection, folder = exported(image_set, samples, out, format="hf", real=True, normals=True)
    found = readers.by_datasets(folder, tmp_path / "cache")
    named = {image.name: image.label or "good" for image in selection}
    assert {n: next(iter(labels), "good") for n, labels in found.items()} == named
    equal(found, selection)


def test_label_studio(image_set, samples, out):
    pytest.importorskip("label_studio_converter")
    selection, folder = exported(image_set, samples, out, format="labelstudio", normals=True)
    equal(readers.by_label_studio(folder), selection)


def test_cvat(image_set, samples, out):
    selection, folder = exported(image_set, samples, out, format="cvat", real=True, normals=True)
    equal(readers.by_cvat_rules(folder), selection)
    pytest.importorskip("datumaro")
    equal(readers.by_datumaro(folder), selection)


def test_mvtec_in_anomalib_and_in_our_own_reader(image_set, samples, out):
    from defectsynth_pipeline.corpora.mvtec import make_mvtec_samples

    selection, folder = exported(image_set, samples, out, format="mvtec", rejected=True)
    assert any(not image.label for image in selection), "good images come along"
    found = readers.by_anomalib_rules(folder)
    types = {image.name: image.defect_type for image in selection if image.label}
    assert {name: next(iter(labels)) for name, labels in found.items() if labels} == types
    for image in selection:
        for mask in found[image.name].values():
            assert (mask == image.mask()).all()
    read = make_mvtec_samples(folder)
    assert len(read) == len(selection)
    assert set(read["defect_type"]) == {"good", "scratch", "dent"}


@pytest.mark.parametrize("form", ["coco", "yolo", "voc", "mvtec", "hf", "labelstudio", "cvat"])
def test_pixels_are_as_published(image_set, samples, out, form):
    selection, folder = exported(image_set, samples, out, format=form)
    files = {path.stem: path for path in folder.rglob("*.png") if "mask" not in path.parts[-2]}
    for image in selection:
        file = next(p for p in folder.rglob(f"{image.name}.png") if p.read_bytes() == image.png())
        assert image.name in files
        expected = image_set.array(image.name, "image") if image.verdict else None
        if expected is not None:
            assert (decode_image(file.read_bytes(), file) == expected).all()
