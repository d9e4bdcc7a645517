"""Image sets: lossless, whole or not at all, resumed per image."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from categories import publish_job
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.fingerprints import fingerprint
from defectsynth_pipeline.imagesets import ImageSet, verify
from defectsynth_pipeline.imaging.codec import encode_png
from defectsynth_pipeline.rendering import ImageSetJob, Rendered, publish, render_set

NAME, VERSION, KEY = "pictures", "v1", "abc123"
WORK = f"work/{fingerprint(KEY, None)}"


def make_plan(count: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "image_id": [f"crack-{i:03d}" for i in range(count)],
            "defect_type": ["NA", "007"] * (count // 2),
            "seed": range(count),
        }
    )


def render_row(row) -> Rendered:
    rng = np.random.default_rng(row.seed)
    image, mask = rng.integers(0, 65536, (9, 7), dtype=np.uint16), rng.random((9, 7)) > 0.5
    record = {"score": float(row.seed) / 2, "verdict": None if row.seed else "ok"}
    return Rendered(row.image_id, {"image": image, "mask": mask}, record)


class Renderer:
    """Renders plan rows, remembers which, and stops with `error` before the row `stop`."""

    def __init__(self, stop: int | None = None, error: Exception | None = None):
        self.stop, self.error, self.rendered = stop, error, []

    def __call__(self, plan):
        for index, row in enumerate(plan.itertuples()):
            if index == self.stop:
                raise self.error
            self.rendered.append(row.image_id)
            yield render_row(row)


def run(folder: Path, renderer, plan=None, key=KEY, version=VERSION) -> ImageSet:
    job = ImageSetJob(key, make_plan() if plan is None else plan, renderer)
    return publish_job(job, folder, version, NAME)


def crash(folder: Path, stop: int = 4) -> None:
    """A run that ends before the row `stop`."""
    with pytest.raises(RuntimeError, match="boom"):
        run(folder, Renderer(stop, RuntimeError("boom")))


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


class TestPublish:
    def test_what_was_rejected_lies_apart_with_its_own_manifest(self, tmp_path):
        def render(plan):
            for row in plan.itertuples():
                yield replace(render_row(row), rejected=row.seed % 3 == 1)

        def broken(plan):
            for number, item in enumerate(render(plan)):
                if number == 5:
                    raise RuntimeError("boom")
                yield item

        with pytest.raises(RuntimeError):
            run(tmp_path, broken)
        published, made = run(tmp_path, render), make_plan()
        assert published.manifest["seed"].tolist() == [0, 2, 3, 5]
        assert published.rejected["seed"].tolist() == [1, 4]
        assert list(published.rejected) == list(published.manifest)
        for row in made.itertuples():
            image = published.array(row.image_id, "image")
            assert np.array_equal(image, render_row(row).arrays["image"])
        assert {p.stem for p in (published.root / "images").iterdir()}.isdisjoint(
            p.stem for p in (published.root / "rejected/images").iterdir()
        )
        assert (published.root / "rejected" / "manifest.csv").is_file()

    def test_nothing_rejected_has_no_folder(self, tmp_path):
        published = run(tmp_path, Renderer())
        assert published.rejected.empty
        assert not (published.root / "rejected").exists()

    def test_a_set_may_be_published_without_an_image(self, tmp_path):
        def render(plan):
            return (replace(render_row(row), rejected=True) for row in plan.itertuples())

        published = run(tmp_path, render)
        assert len(published) == 0
        assert len(published.rejected) == 6

    def test_pictures_and_manifest_come_back_unchanged(self, tmp_path):
        published = run(tmp_path, Renderer())
        opened = ImageSet.open(tmp_path / VERSION / NAME)
        pd.testing.assert_frame_equal(opened.manifest, published.manifest)
        assert list(opened.manifest["defect_type"]) == ["NA", "007"] * 3
        assert opened.manifest["score"].tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
        assert len(opened) == 6
        for row in make_plan().itertuples():
            expected = render_row(row).arrays
            image, mask = (opened.array(row.image_id, n) for n in ("image", "mask"))
            assert image.dtype == np.uint16
            assert mask.dtype == bool
            np.testing.assert_array_equal(image, expected["image"])
            np.testing.assert_array_equal(mask, expected["mask"])

    @pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3)])
    @pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
    def test_every_kind_of_picture_is_lossless(self, tmp_path, rng, shape, dtype):
        picture = rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype)
        published = run(
            tmp_path, lambda plan: (Rendered(i, {"image": picture}) for i in plan["image_id"])
        )
        loaded = published.array("crack-000", "image")
        assert loaded.dtype == dtype
        np.testing.assert_array_equal(loaded, picture)

    def test_only_the_set_is_left(self, tmp_path):
        published = run(tmp_path, Renderer())
        assert {path.name for path in tmp_path.iterdir()} == {VERSION, "work"}
        assert list((tmp_path / "work").iterdir()) == []
        names = {path.name for path in published.root.iterdir()}
        assert names == {"images", "manifest.csv", "manifest.parquet", "masks"}

    def test_order_of_rendering_does_not_matter(self, tmp_path):
        forward = run(tmp_path / "a", Renderer())
        backward = run(tmp_path / "b", lambda plan: Renderer()(plan.iloc[::-1]))
        assert contents(forward.root) == contents(backward.root)

    def test_numpy_scalars_in_records(self, tmp_path):
        record = {"area": np.float32(0.25), "count": np.int64(3)}
        mask = np.eye(3, dtype=bool)
        published = run(
            tmp_path, lambda plan: (Rendered(i, {"mask": mask}, record) for i in plan["image_id"])
        )
        assert published.manifest["area"].tolist() == [0.25] * 6
        assert published.manifest["count"].tolist() == [3] * 6

    def test_progress_is_told(self, tmp_path, caplog):
        caplog.set_level("INFO")
        run(tmp_path, Renderer())
        assert "image 6/6" in caplog.text


class TestResume:
    def test_crash_leaves_no_version_and_only_the_rest_is_rendered(self, tmp_path):
        crash(tmp_path)
        assert not (tmp_path / VERSION).exists()
        second = Renderer()
        resumed = run(tmp_path, second)
        assert second.rendered == ["crack-004", "crack-005"]
        assert contents(resumed.root) == contents(run(tmp_path / "other", Renderer()).root)

    def test_a_kill_before_the_publication_costs_nothing(self, tmp_path):
        second, work = Renderer(), tmp_path / "work"
        render_set(ImageSetJob(KEY, make_plan(), Renderer()), work)
        finished = render_set(ImageSetJob(KEY, make_plan(), second), work)
        assert second.rendered == []
        published = publish(finished, tmp_path, version=VERSION, name=NAME)
        assert contents(published.root) == contents(run(tmp_path / "other", Renderer()).root)
        with pytest.raises(InputError, match="another run has published"):
            publish(finished, tmp_path, version="v2", name=NAME)
        assert not (tmp_path / "v2").exists()

    def test_work_of_another_batch_size_is_not_gone_on_with(self, tmp_path):
        crash(tmp_path)
        second = Renderer()
        job = ImageSetJob(KEY, make_plan(), second, execution=8)
        published = publish_job(job, tmp_path, VERSION, NAME)
        assert len(second.rendered) == 6
        assert contents(published.root) == contents(run(tmp_path / "other", Renderer()).root)

    def test_other_fingerprint_starts_anew(self, tmp_path):
        crash(tmp_path)
        second = Renderer()
        run(tmp_path, second, key="other")
        assert len(second.rendered) == 6

    @pytest.mark.parametrize("harm", ["truncate", "empty", "remove", "record"])
    def test_a_harmed_item_is_rendered_again(self, tmp_path, harm):
        crash(tmp_path)
        work = tmp_path / WORK
        picture = work / "set" / "masks" / "crack-001.png"
        if harm == "record":
            (work / "records" / "crack-001.json").write_text("{")
        elif harm == "remove":
            picture.unlink()
        else:
            picture.write_bytes(picture.read_bytes()[:-5] if harm == "truncate" else b"")
        second = Renderer()
        run(tmp_path, second)
        assert second.rendered == ["crack-001", "crack-004", "crack-005"]

    def test_leftover_temporary_files_are_cleaned(self, tmp_path):
        crash(tmp_path, stop=1)
        leftover = tmp_path / WORK / "set" / "masks" / "crack-003.png.tmp"
        leftover.write_bytes(b"half")
        published = run(tmp_path, Renderer())
        assert not list(published.root.rglob("*.tmp"))

    def test_kill_9_leaves_no_version_and_the_rest_is_rendered(self, tmp_path):
        script = (
            "import sys, time; sys.path[:0] = [sys.argv[1], sys.argv[2]]\n"
            "from test_imagesets import *\n"
            "def slow(plan):\n"
            "    for row in plan.itertuples():\n"
            "        time.sleep(0.3 if row.seed > 1 else 0)\n"
            "        yield render_row(row)\n"
            "run(Path(sys.argv[3]), slow)\n"
        )
        tests = Path(__file__).parent
        source = tests.parent / "src"
        child = subprocess.Popen([sys.executable, "-c", script, source, tests, tmp_path])
        records = tmp_path / WORK / "records"
        deadline = time.monotonic() + 60
        while len(list(records.glob("*.json"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        finished = {path.stem for path in records.glob("*.json")}
        assert 2 <= len(finished) < 6
        assert not (tmp_path / VERSION).exists()
        second = Renderer()
        resumed = run(tmp_path, second)
        assert set(second.rendered) == set(make_plan()["image_id"]) - finished
        assert contents(resumed.root) == contents(run(tmp_path / "other", Renderer()).root)


class TestErrors:
    def test_disk_full_publishes_nothing_and_the_run_can_go_on(self, tmp_path, monkeypatch):
        write = Path.write_bytes

        def full(path, data):
            if path.name.startswith("crack-003.png"):
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            return write(path, data)

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError, match="the disk is full") as caught:
            run(tmp_path, Renderer())
        assert WORK in str(caught.value)
        assert "No space left" in str(caught.value)
        assert "run the same command again" in str(caught.value)
        assert not (tmp_path / VERSION).exists()
        monkeypatch.undo()
        second = Renderer()
        run(tmp_path, second)
        assert second.rendered == ["crack-003", "crack-004", "crack-005"]

    def test_other_system_errors_are_not_hidden(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            run(tmp_path, Renderer(stop=0, error=FileNotFoundError(errno.ENOENT, "no")))

    def test_duplicate_ids_in_the_plan(self, tmp_path):
        plan = pd.concat([make_plan(2), make_plan(2).iloc[:1]])
        with pytest.raises(InputError, match="crack-000"):
            run(tmp_path, Renderer(), plan)

    @pytest.mark.parametrize("image_id", ["../up", "a/b", ".hidden", "", "a b", "ä"])
    def test_ids_that_are_no_file_names(self, tmp_path, image_id):
        plan = pd.DataFrame({"image_id": [image_id], "seed": [0]})
        with pytest.raises(InputError, match="cannot be a file name"):
            run(tmp_path, Renderer(), plan)

    def test_rendering_an_unknown_or_repeated_id(self, tmp_path):
        item = render_row(next(make_plan().itertuples()))
        with pytest.raises(InputError, match="crack-000"):
            run(tmp_path, lambda _: iter([item, item]))
        with pytest.raises(InputError, match="stranger"):
            run(tmp_path, lambda _: iter([Rendered("stranger", item.arrays)]))

    def test_rendering_too_few(self, tmp_path):
        with pytest.raises(InputError, match="5 planned images were not rendered"):
            run(tmp_path, lambda plan: Renderer()(plan.iloc[:1]))
        assert not (tmp_path / VERSION).exists()

    def test_two_runs_at_once(self, tmp_path):
        def both(plan):
            run(tmp_path, Renderer())
            yield from Renderer()(plan)

        with pytest.raises(InputError, match="another run"):
            run(tmp_path, both)

    def test_an_id_or_picture_that_is_not_in_the_set(self, tmp_path):
        published = run(tmp_path, Renderer())
        with pytest.raises(InputError, match=r"nobody\.png"):
            published.array("nobody", "image")


def harmed(root: Path, harm: str) -> None:
    """Do to a published set what disks and people do."""
    mask, image = root / "masks" / "crack-001.png", root / "images" / "crack-001.png"
    if harm == "deleted":
        image.unlink()
    elif harm == "cut":
        image.write_bytes(image.read_bytes()[:-9])
    elif harm in ("zeroed", "resized"):
        shape = (9, 7) if harm == "zeroed" else (5, 5)
        mask.write_bytes(encode_png(np.zeros(shape, bool)))
    else:
        mask.write_bytes(mask.read_bytes()[:40] + b"?" + mask.read_bytes()[41:])


class TestVerify:
    @pytest.mark.parametrize("harm", ["deleted", "cut", "zeroed", "resized", "flipped bits"])
    def test_a_harmed_picture_stops_the_loading(self, tmp_path, harm):
        root = run(tmp_path, Renderer()).root
        harmed(root, harm)
        with pytest.raises(InputError, match=r"crack-001\.png") as caught:
            ImageSet.open(root)
        assert caught.value.value
        assert "--load-versions" in caught.value.remedy
        assert [text.split("; ")[0] for text in verify(root)] == [caught.value.problem]

    def test_a_rejected_picture_is_looked_at_too(self, tmp_path):
        def render(plan):
            return (replace(render_row(row), rejected=row.seed == 1) for row in plan.itertuples())

        root = run(tmp_path, render).root
        assert verify(root) == []
        (root / "rejected" / "masks" / "crack-001.png").write_bytes(b"")
        with pytest.raises(InputError, match="rejected/masks"):
            ImageSet.open(root)
        assert len(verify(root)) == 1

    @pytest.mark.parametrize("image_id", ["../../outside", "/etc/outside", "a\\b", ".."])
    def test_an_id_that_leads_outside(self, tmp_path, image_id):
        published = run(tmp_path, Renderer())
        with pytest.raises(InputError, match="cannot be a file name"):
            published.array(image_id, "image")
        changed = published.manifest.assign(image_id=[image_id, *published.manifest.image_id[1:]])
        changed.to_parquet(published.root / "manifest.parquet")
        with pytest.raises(InputError, match="cannot be a file name") as caught:
            ImageSet.open(published.root)
        assert caught.value.file == published.root / "manifest.parquet"
        assert verify(published.root) == [str(caught.value)]

    @pytest.mark.parametrize("harm", ["cut", "empty", "garbage", "missing", "older"])
    def test_a_manifest_that_cannot_be_read(self, tmp_path, harm):
        published = run(tmp_path, Renderer())
        path = published.root / "manifest.parquet"
        whole = path.read_bytes()
        if harm == "older":
            make_plan().to_parquet(path)
        elif harm == "missing":
            path.unlink()
        else:
            path.write_bytes({"cut": whole[:-20], "empty": b"", "garbage": b"x" * 99}[harm])
        with pytest.raises(InputError, match=r"manifest\.parquet") as caught:
            ImageSet.open(published.root)
        assert caught.value.value
        assert verify(published.root) == [str(caught.value)]

    def test_strangers_and_pictures_of_another_set(self, tmp_path):
        root = run(tmp_path, Renderer()).root
        (root / "images" / "photo.jpg").write_bytes(b"?")
        assert "photo.jpg" in verify(root)[0]
        (root / "images" / "photo.jpg").unlink()
        manifest = pd.read_parquet(root / "manifest.parquet").assign(of_set="another")
        manifest.to_parquet(root / "manifest.parquet")
        assert len(verify(root)) == 12
        assert f"Set {KEY}, Image crack-000" in verify(root)[0]
