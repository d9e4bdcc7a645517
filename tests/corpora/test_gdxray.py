from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from categories import save
from defectsynth_pipeline.corpora.gdxray import (
    defect_windows,
    good_windows,
    make_gdxray_samples,
    window_side,
)
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.corpora.samples import make_samples
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.imaging.codec import decode_mask
from defectsynth_pipeline.imaging.rectangle import Rectangle
from defectsynth_pipeline.options import IngestOptions

from .builders import texture


def test_windows_are_squares_of_one_side_inside_the_radiograph(welds: Path) -> None:
    samples = make_gdxray_samples(welds, context=3.0)

    assert samples["width"].nunique() == 1
    assert (samples["width"] == samples["height"]).all()
    assert (samples["x"] + samples["width"]).max() <= 400
    assert (samples["y"] + samples["height"]).max() <= 120
    assert samples["group"].nunique() == 5
    assert samples["sha256"].is_unique


def test_every_defect_is_whole_in_a_window_and_none_in_a_good_one(welds: Path) -> None:
    samples = make_gdxray_samples(welds)

    for image, rows in samples.groupby("image"):
        path = welds / str(image).replace("W0001", "W0002")
        mask = decode_mask(path.read_bytes(), path)
        seen = np.zeros_like(mask)
        for row in rows.itertuples():
            part = np.s_[row.y : row.y + row.height, row.x : row.x + row.width]
            assert mask[part].any() == (row.defect_type == "defect")
            if row.defect_type == "defect":
                np.testing.assert_array_equal(Sample.of(row).mask(), mask[part])
                seen[part] = True
        assert seen[mask].all()


def test_image_and_mask_are_cut_at_the_same_place(welds: Path) -> None:
    samples = make_gdxray_samples(welds)
    row = samples[samples["defect_type"] == "defect"].iloc[0]
    whole = texture(1, shape=(120, 400))

    np.testing.assert_array_equal(
        Sample.of(row).image(), whole[row.y : row.y + row.height, row.x : row.x + row.width]
    )


def test_windows_of_test_radiographs_are_test(welds: Path) -> None:
    samples = make_samples(welds, IngestOptions())

    for _, rows in samples.groupby("group"):
        assert set(rows["split"]) in ({"test"}, {"base", "normal"})
    assert set(samples["split"]) == {"base", "normal", "test"}


def test_neighbouring_defects_share_a_window() -> None:
    boxes = [Rectangle(40, 40, 48, 48), Rectangle(50, 60, 58, 70), Rectangle(40, 300, 50, 310)]

    windows = defect_windows(boxes, 64, 120, 400)

    assert len(windows) == 2
    assert all(any(window.holds(box) for window in windows) for box in boxes)


def test_a_defect_larger_than_the_side_gets_a_larger_window() -> None:
    (window,) = defect_windows([Rectangle(10, 100, 30, 220)], 64, 200, 400)

    assert window.holds(Rectangle(10, 100, 30, 220))
    assert window.bottom - window.top == window.right - window.left == 144


def test_good_windows_keep_off_defects_and_each_other() -> None:
    boxes = [Rectangle(50, 100, 60, 110)]

    chosen = good_windows(boxes, [Rectangle(23, 73, 87, 137)], 64, 120, 400)

    assert chosen
    assert not any(window.meets(box) for window in chosen for box in boxes)
    assert not any(a.meets(b) for a in chosen for b in chosen if a is not b)


def test_good_windows_lie_on_the_weld_where_it_has_room() -> None:
    defective = [Rectangle(150, 73, 214, 137)]
    on_weld = good_windows([Rectangle(180, 100, 190, 110)], defective, 64, 400, 400)
    assert on_weld
    assert all(abs(window.top - 150) <= 16 for window in on_weld)

    whole = good_windows([Rectangle(120, 0, 250, 400)], defective, 64, 400, 400)
    assert whole
    assert all(window.bottom <= 120 or window.top >= 250 for window in whole)


def test_side_follows_the_clusters_and_the_context() -> None:
    # Two defects of 40 px, 20 px apart, are one cluster of 100 px; the third stands alone.
    defects = [[Rectangle(0, 0, 40, 40), Rectangle(0, 60, 40, 100), Rectangle(0, 500, 40, 540)]]

    assert window_side(defects, 2.0, 1000) == 8 * round(2 * np.percentile([100, 40], 90) / 8)
    assert window_side(defects, 2.0, 96) == 96
    assert window_side([[Rectangle(0, 0, 3, 3)]], 2.0, 1000) == 128


def test_a_series_in_the_root_itself_is_found(welds: Path) -> None:
    assert len(make_gdxray_samples(welds / "Welds")) == len(make_gdxray_samples(welds))


def test_unpaired_radiographs(welds: Path) -> None:
    (welds / "Welds" / "W0002" / "W0002_0003.png").unlink()
    with pytest.raises(InputError, match=r"no mask(.|\n)*W0001_0003.png(.|\n)*remedy: add"):
        make_gdxray_samples(welds)

    (welds / "Welds" / "W0001" / "W0001_0003.png").unlink()
    (welds / "Welds" / "W0001" / "W0001_0004.png").unlink()
    with pytest.raises(InputError, match=r"no image(.|\n)*W0002_0004.png(.|\n)*remedy: add"):
        make_gdxray_samples(welds)


def test_no_window_free_of_defects(tmp_path: Path) -> None:
    mask = np.zeros((80, 80), np.uint8)
    mask[20:60, 20:60] = 255
    save(tmp_path / "W0001" / "W0001_0001.png", texture(0, shape=(80, 80)))
    save(tmp_path / "W0002" / "W0002_0001.png", mask)

    with pytest.raises(InputError, match=r"no normal images(.|\n)*80 px(.|\n)*radiograph_context"):
        make_gdxray_samples(tmp_path)
