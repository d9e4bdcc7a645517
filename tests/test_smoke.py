"""Both pipelines through real sessions in env smoke: what a run leaves, and what a failed one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from kedro import __version__ as kedro_version
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from defectsynth_pipeline.appearance import render
from defectsynth_pipeline.base_model.loading import load_base_model
from defectsynth_pipeline.cli import cli
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imagesets import verify
from sessions import (
    REPOSITORY,
    artifact,
    client_of,
    every_image,
    make_project,
    open_catalog,
    run,
    runs_of,
    sessions_of,
    versions,
    write_own,
)

AUGMENT = {
    "samples",
    "area_ratios",
    "defect_masks",
    "mask_preview",
    "controlnet",
    "finetune_history",
    "finetune_curves",
    "engine_choice",
    "engine_trials",
    "engine_figure",
    "first_look",
    "synthesis_plan",
    "synthetic_images",
    "synthetic_preview",
    "certificate",
    "certificate_test",
    "certificate_figure",
    "synthesis_summary",
    "report",
}
PRETRAIN = {"compact_model", "pretrain_preview"}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, mlflow_template: Path) -> Path:
    """A project in which `augment` has run once on the demo."""
    project = make_project(tmp_path_factory.mktemp("demo") / "project", mlflow_template)
    run(project)
    return project


@pytest.fixture(scope="module")
def catalog(demo: Path) -> Any:
    return open_catalog(demo)


@contextmanager
def chdir(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def command(demo: Path) -> Callable[..., Any]:
    """`defectsynth` in that project."""
    shutil.copytree(REPOSITORY / "conf", demo / "conf")
    settings = {"package_name": "defectsynth_pipeline", "project_name": "p", "source_dir": "."}
    lines = [f'{key} = "{value}"' for key, value in settings.items()]
    lines = ["[tool.kedro]", *lines, f'kedro_init_version = "{kedro_version}"', ""]
    (demo / "pyproject.toml").write_text("\n".join(lines))

    def call(*arguments: str) -> Any:
        with chdir(demo):
            return CliRunner().invoke(cli, arguments, catch_exceptions=False)

    return call


class TestAudit:
    def test_one_file_in_hand_is_traced_to_its_sources(
        self, command: Callable[..., Any], catalog: Any, tmp_path: Path
    ) -> None:
        images = catalog.load("synthetic_images")
        row = every_image(images).iloc[0]
        copy, strip = tmp_path / "found.png", tmp_path / "strip.png"
        (file,) = images.root.rglob(f"images/{row['image_id']}.png")
        shutil.copy(file, copy)
        told = json.loads(command("explain", str(copy), "--json", "--strip", str(strip)).stdout)
        assert told["image"] == row["image_id"]
        assert told["mask"]["image_id"] == row["mask"]
        roles = {source["role"]: source for source in told["sources"]}
        assert roles["background"]["sample"] == row["background"]
        assert {source["now"] for source in told["sources"]} == {"unchanged"}
        assert {source["licence"] for source in told["sources"]} == {"MIT"}
        assert Image.open(strip).width > 3 * Image.open(strip).height
        by_id = command("explain", row["planned"]).stdout
        assert row["image_id"] in by_id
        assert "parent of the mask" in by_id

    def test_an_image_of_no_set_is_refused(
        self, command: Callable[..., Any], tmp_path: Path
    ) -> None:
        Image.new("L", (8, 8)).save(tmp_path / "other.png")
        with pytest.raises(InputError, match="does not say which set"):
            command("explain", str(tmp_path / "other.png"))
        with pytest.raises(InputError, match="no set of this project"):
            command("explain", "no-such-image")

    def test_an_image_is_made_again_bit_for_bit(
        self, command: Callable[..., Any], catalog: Any
    ) -> None:
        name = every_image(catalog.load("synthetic_images"))["image_id"].iloc[-1]
        done = command("replay", name, "--env=smoke")
        assert done.stdout.split() == ["image", "identical", "mask", "identical"]
        assert done.exit_code == 0

    def test_every_published_file_is_sound(self, command: Callable[..., Any]) -> None:
        done = command("verify")
        assert done.exit_code == 0
        assert done.stdout.count("sound") == 2


class TestAugment:
    def test_every_entry_has_one_version_and_nothing_is_left_over(self, demo: Path) -> None:
        found = versions(demo)
        assert set(found) == AUGMENT
        assert {len(v) for v in found.values()} == {1}
        assert not list((demo / "data").rglob(".partial*"))
        assert not list((demo / "data").rglob("*.tmp"))

    def test_the_demo_holds_all_three_layouts(self, catalog: Any) -> None:
        samples = catalog.load("samples")
        assert samples["corpus"].nunique() == 3
        assert set(samples["split"]) == {"base", "test", "normal", "unused"}
        assert samples.loc[samples["split"] == "base", "defect_type"].nunique() >= 5

    def test_images_are_pairs_that_leave_the_background_alone(self, catalog: Any) -> None:
        images, samples = catalog.load("synthetic_images"), catalog.load("samples")
        index = samples.set_index("sample_id", drop=False)
        every = every_image(images)
        assert len(every) == 8
        assert (every["pixels_outside_collar"] == 0).all()
        for row in every.itertuples():
            image, mask = images.array(row.image_id, "image"), images.array(row.image_id, "mask")
            background = Sample.of(index.loc[row.background]).image()
            assert (image.shape, image.dtype) == (background.shape, background.dtype)
            assert mask.any()
            assert mask.shape == image.shape[:2]
            assert (image != background).any()

    def test_no_test_image_reached_a_generator(self, catalog: Any) -> None:
        samples = catalog.load("samples").set_index("sample_id")
        plan = catalog.load("synthesis_plan")
        used = {*plan["background"], *plan["reference"]}
        masks = catalog.load("defect_masks").manifest
        used |= {p for parents in masks["parents"] for p in str(parents).split("|") if p}
        assert set(samples.loc[sorted(used), "split"]) == {"base", "normal"}

    def test_the_controlnet_belongs_to_the_base(self, catalog: Any) -> None:
        model = catalog.load("controlnet")
        assert model.meta["base"] == catalog.load("base_model").fingerprint
        assert model.meta["steps"] == 4
        assert list(catalog.load("finetune_history")["step"]) == [2, 4]

    def test_pictures_can_be_looked_at(self, demo: Path) -> None:
        for name in ("first_look", "mask_preview", "synthetic_preview", "finetune_curves"):
            (path,) = (demo / "data" / "08_reporting").glob(f"{name}.png/*/{name}.png")
            with Image.open(path) as picture:
                assert min(picture.size) > 100
                assert np.asarray(picture.convert("L")).std() > 5

    def test_the_summary_counts_every_image(self, catalog: Any) -> None:
        summary = catalog.load("synthesis_summary")
        assert summary[["accepted", "relabelled", "rejected"]].sum().sum() == 8
        assert (summary["images"] == summary["accepted"] + summary["relabelled"]).all()
        assert (summary["pixels_outside_collar"] == 0).all()

    def test_mlflow_has_the_run(self, demo: Path, catalog: Any) -> None:
        tracked, finetuning = runs_of(demo)
        assert tracked.info.status == "FINISHED"
        assert tracked.data.params["finetune.steps"] == "4"
        assert tracked.data.params["synthesis.sae.angles"] == "8"
        metrics = tracked.data.metrics
        told = {"accepted_share", "attempts_per_image", "held_out_gain", "nothing_passed"}
        assert {name for name in metrics if not name.startswith("system/")} == told
        published = len(catalog.load("synthetic_images"))
        assert tracked.info.run_name == f"augment demo {published}"
        assert tracked.data.tags["base_model"] == "compact"
        assert tracked.data.tags["device"]
        (data,) = tracked.inputs.dataset_inputs
        assert (data.dataset.name, len(data.dataset.digest)) == ("samples", 16)
        client = client_of(demo)
        curve = client.get_metric_history(finetuning.info.run_id, "finetune.train_loss")
        assert [point.step for point in curve] == [2, 4]
        noted = json.loads(artifact(tracked, "dataset_versions.json").read_text())
        assert noted["save"] == {name: v[0] for name, v in versions(demo).items()}
        assert noted["load"]["synthetic_images"] == noted["save"]["synthetic_images"]
        (version,) = versions(demo)["synthetic_images"]
        record = json.loads((demo / "data" / "runs" / f"{version}.json").read_text())
        assert set(record["entries"]) == AUGMENT
        behind = record["entries"]["synthetic_images"]["made_from"]
        assert set(behind) > {"samples", "defect_masks", "controlnet", "synthesis_plan"}
        assert tracked.data.tags["mlflow.note.content"].endswith(f"`{record['command']}`")
        manifest = pd.read_csv(artifact(tracked, "synthetic_images/manifest.csv"))
        assert len(manifest) == published

    def test_the_notebook_runs_on_it(self, demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # the notebook sets it: put it back
        (demo / "notebooks").mkdir(exist_ok=True)
        for name in ("conf", "src"):
            if not (demo / name).exists():
                shutil.copytree(
                    REPOSITORY / name,
                    demo / name,
                    ignore=shutil.ignore_patterns("assets", "__pycache__"),
                )
        shutil.copy(REPOSITORY / "pyproject.toml", demo)
        monkeypatch.chdir(demo / "notebooks")
        notebook = json.loads((REPOSITORY / "notebooks" / "look_at_a_run.ipynb").read_text())
        cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
        names: dict[str, Any] = {}
        for number, cell in enumerate(cells):
            exec(compile(cell, f"cell {number}", "exec"), names)
        assert len(names["versions"]) == 1
        assert len(every_image(names["images"])) == 8
        assert list(names["summaries"]) == names["versions"]
        assert list(names["runs"]["status"]) == ["FINISHED"]


class TestFailures:
    """A run that cannot end well publishes nothing more."""

    @pytest.fixture
    def before(self, demo: Path) -> Iterator[dict[str, list[str]]]:
        found = versions(demo)
        yield found
        assert versions(demo) == found

    def test_a_parameter_out_of_range(self, demo: Path, before: dict[str, list[str]]) -> None:
        with pytest.raises(InputError, match="out of range") as caught:
            run(demo, synthesis={"steps": 0})
        assert "synthesis.steps = 0" in str(caught.value)
        assert len(sessions_of(demo)) == 1

    def test_an_unknown_parameter(self, demo: Path, before: dict[str, list[str]]) -> None:
        with pytest.raises(InputError, match="unknown parameter") as caught:
            run(demo, finetune={"step": 9})
        assert "did you mean finetune.steps" in str(caught.value)

    def test_a_missing_root(self, demo: Path, before: dict[str, list[str]], tmp_path: Path) -> None:
        missing = (tmp_path / "no parts").as_posix()
        with pytest.raises(Exception, match="no parts"):
            run(demo, root=missing)
        failed = sessions_of(demo)[-1]
        assert failed.info.status == "FAILED"
        assert "no parts" in failed.data.tags["error"]
        assert "remedy" in failed.data.tags["error"]


def test_a_failure_in_the_last_stage_publishes_no_images(
    tmp_path: Path, mlflow_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make_project(tmp_path / "project", mlflow_template)
    root = write_own(tmp_path / "parts").as_posix()

    def out_of_memory(*_: object) -> None:
        raise MemoryError("no room for the network's activations")

    with monkeypatch.context() as patch:
        patch.setattr(render, "denoise_regions", out_of_memory)
        with pytest.raises(Exception, match="no room"):
            run(project, root=root)
    found = versions(project)
    assert "controlnet" in found
    assert "synthetic_images" not in found
    assert sessions_of(project)[-1].info.status == "FAILED"
    catalog = run(project, root=root)
    assert len(every_image(catalog.load("synthetic_images"))) == 8


def add_exif(root: Path, place: str) -> None:
    """Let every photograph say where it was taken, as cameras do."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = place
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSAreaInformation] = place
    text = PngInfo()
    text.add_text("Comment", place)
    for path in root.rglob("*.png"):
        with Image.open(path) as image:
            image.load()
            image.save(path, exif=exif, pnginfo=text)


def test_parts_of_ones_own(tmp_path: Path, mlflow_template: Path) -> None:
    project = make_project(tmp_path / "mein projekt", mlflow_template)
    root = write_own(tmp_path / "Eigene Teile")
    add_exif(root, "secret place")
    before = {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
    catalog = run(project, root=root.as_posix())
    assert set(versions(project)) == AUGMENT
    images = catalog.load("synthetic_images")
    every = every_image(images)
    assert len(every) == 8
    assert every["image_id"].is_unique
    assert set(every["defect_type"]) == {"Kratzer tief", "裂纹", "Kratzer_tief"}
    for row in every.itertuples():
        assert images.array(row.image_id, "image").shape == (48, 48, 3)
        assert row.pixels_outside_collar == 0
    assert {p: p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()} == before
    (tracked,) = sessions_of(project)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["root"] == root.as_posix()
    written = [path for path in project.rglob("*") if path.is_file()]
    assert not [path for path in written if b"secret place" in path.read_bytes()]
    for path in (p for p in written if p.suffix == ".png"):
        with Image.open(path) as picture:
            assert not picture.getexif(), path
    sets = [path.parent for path in project.glob("data/0[47]*/*/*/*/manifest.csv")]
    assert [verify(folder) for folder in sets] == [[], []]


def test_pretrain_makes_a_base_that_augment_can_use(tmp_path: Path, mlflow_template: Path) -> None:
    project = make_project(tmp_path / "project", mlflow_template)
    run(project, "pretrain")
    found = versions(project)
    assert set(found) == PRETRAIN
    (folder,) = (project / "data" / "06_models" / "compact_model").glob("*/compact_model")
    assert load_base_model(folder, device="cpu").resolution == 64
    (tracked,) = sessions_of(project)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["pretrain.unet_steps"] == "2"
    assert (folder / "README.md").is_file()
