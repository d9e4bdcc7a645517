"""What the desk writes: every image, its real ones, nothing of a test image, and no folder lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from defectsynth_pipeline.review.desk import write_desk
from defectsynth_pipeline.review.scenes import Scene, outline
from refusals import refused

from .conftest import Made


@pytest.fixture(scope="module")
def desk(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk") / "here"
    assert write_desk(folder, *made, "v1") == 16
    return folder


def told(desk: Path) -> dict:
    text = (desk / "data.js").read_text("utf-8")
    return json.loads(text.removeprefix("const DESK = ").removesuffix(";\n"))


def test_every_image_is_there_with_what_it_was_made_from(desk: Path, made: Made) -> None:
    data = told(desk)
    every = set(made.images.manifest["image_id"]) | set(made.images.rejected["image_id"])
    assert {image["id"] for image in data["images"]} == every
    for image in data["images"]:
        assert Image.open(desk / "images" / f"{image['id']}.jpg").size == (80, 64)
        sources = {data["real"][number]["id"] for number in image["real"]}
        assert len(sources) == 2
        assert {name.split("/")[2] for name in sources} == {image["type"]}
        assert image["before"]


def test_no_test_image_is_shown(desk: Path, made: Made) -> None:
    base = set(made.samples.loc[made.samples["split"] == "base", "sample_id"])
    data = told(desk)
    assert {real["id"] for real in data["real"]} <= base
    assert {one["id"] for one in data["blind"] if one["real"]} == base


def test_the_blind_test_has_as_many_of_either_in_every_type(desk: Path) -> None:
    blind = told(desk)["blind"]
    kinds = {(one["category"], one["type"]) for one in blind}
    assert len(kinds) == 4
    for category, kind in kinds:
        real = [o["real"] for o in blind if (o["category"], o["type"]) == (category, kind)]
        assert sum(real) * 2 == len(real) > 0
    assert len(list((desk / "blind").iterdir())) == len(blind)


def test_what_was_there_before_is_the_background_stretched_alike(desk: Path, made: Made) -> None:
    """A 16-bit image and its background are alike outside the mask, also on the page."""
    image = next(i for i in told(desk)["images"] if i["category"] == "x ray")
    x, y, width, height = image["box"]
    whole = np.asarray(Image.open(desk / "images" / f"{image['id']}.jpg").convert("L"), float)
    earlier = np.asarray(Image.open(desk / "before" / f"{image['id']}.jpg").convert("L"), float)
    mask = made.images.array(image["id"], "mask")[y : y + height, x : x + width]
    crop = whole[y : y + height, x : x + width]
    far = ~np.pad(mask, 8)[:-16, 8:-8] & ~np.pad(mask, 8)[16:, 8:-8] & ~mask
    assert np.abs(crop - earlier)[far].mean() < 4
    assert (earlier - crop)[mask].mean() > 20


def test_outlines_lie_on_the_border_of_the_mask() -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:10, 12:20] = True
    points = outline(mask).removeprefix("M").removesuffix("Z").replace(",", " ").split()
    x, y = np.array(points[::2], float), np.array(points[1::2], float)
    assert (x.min(), x.max(), y.min(), y.max()) == (12, 20, 5, 10)
    assert outline(np.zeros((4, 4), bool)) == ""
    assert Scene.of(np.zeros((90, 70), np.uint8), np.zeros((90, 70), bool)).window.extent == 70


def test_a_desk_is_replaced_and_another_folder_never(
    desk: Path, made: Made, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(desk, copy)
    (copy / "old.txt").write_text("old")
    write_desk(copy, *made, "v2")
    assert told(copy)["version"] == "v2"
    assert not (copy / "old.txt").exists()
    (tmp_path / "mine.txt").write_text("mine")
    with refused("something else", str(tmp_path), remedy="empty"):
        write_desk(tmp_path, *made, "v1")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_real_images_that_are_gone_are_left_out_with_a_warning(
    made: Made, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone = made._replace(samples=made.samples.assign(root="/nowhere"))
    write_desk(tmp_path / "desk", *gone, "v1")
    assert "real images are not shown" in caplog.text
    data = told(tmp_path / "desk")
    assert data["real"] == data["blind"] == []
    assert not any(image["before"] or image["real"] for image in data["images"])
