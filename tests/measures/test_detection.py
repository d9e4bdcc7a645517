from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from skimage.measure import label
from sklearn import metrics as reference

from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.measures.counts import image_score, quantise
from defectsynth_pipeline.measures.detection import METRICS, LocalizationStats, over_types
from defectsynth_pipeline.measures.resampling import image_weights
from measures.builders import Shot, shots, stats_of

SWEEP = ["auroc", "ap", "f1", "f1_max"]


def expected(truth: np.ndarray, scores: np.ndarray, threshold: float) -> list[float]:
    precision, recall, _ = reference.precision_recall_curve(truth, scores)
    best = 2 * precision * recall / np.maximum(precision + recall, 1e-30)
    return [
        reference.roc_auc_score(truth, scores),
        reference.average_precision_score(truth, scores),
        reference.f1_score(truth, scores >= threshold),
        best.max(),
    ]


def pixels(images: list[Shot]) -> tuple[np.ndarray, np.ndarray]:
    truth = np.concatenate([shot.mask.ravel() for shot in images])
    return truth, np.concatenate([shot.logits.ravel() for shot in images])


def of_type(images: list[Shot], defect_type: str | None) -> list[Shot]:
    """The images of a type, or of all, and the good ones."""
    return [s for s in images if defect_type is None or s.defect_type in (defect_type, "good")]


def overlap_by_loops(images: list[Shot], limit: float = 0.3) -> float:
    """PRO as its definition reads: every threshold, every region."""
    maps = [quantise(shot.logits) for shot in images]
    regions = []
    for levels, shot in zip(maps, images, strict=True):
        names = label(shot.mask, connectivity=2)
        regions += [levels[names == name] for name in range(1, names.max() + 1)]
    negatives = np.concatenate([m[~shot.mask] for m, shot in zip(maps, images, strict=True)])
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(np.concatenate([m.ravel() for m in maps]))[::-1]:
        rates.append(float((negatives >= threshold).mean()))
        overlaps.append(float(np.mean([(region >= threshold).mean() for region in regions])))
    inside = [x for x in rates if x < limit]
    heights = [*overlaps[: len(inside)], float(np.interp(limit, rates, overlaps))]
    return float(reference.auc([*inside, limit], heights) / limit)


@pytest.mark.parametrize("precision", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("defect_type", [None, "crack"])
def test_pixel_metrics_are_those_of_scikit_learn(
    precision: type[np.floating], defect_type: str | None
) -> None:
    images = [shot._replace(logits=shot.logits.astype(precision)) for shot in shots(side=64)]
    values = stats_of(images).metrics(defect_type)
    truth, logits = pixels(of_type(images, defect_type))
    ours = [values[f"pixel_{name}"] for name in SWEEP]
    assert ours == pytest.approx(expected(truth, quantise(logits), 32768), abs=1e-9)
    assert values["pixel_f1"] == pytest.approx(reference.f1_score(truth, logits >= 0), abs=1e-12)
    # Unquantised, only pixels within 1/2048 of each other can change places.
    moved = np.abs(np.subtract(ours, expected(truth, logits.astype(float), 0)))
    assert (moved < [1e-5, 2e-4, 1e-12, 2e-4]).all()


def test_many_ties_are_counted_as_scikit_learn_counts_them() -> None:
    images = [shot._replace(logits=np.round(shot.logits)) for shot in shots()]
    truth, logits = pixels(images)
    values = stats_of(images).metrics()
    assert [values[f"pixel_{n}"] for n in SWEEP] == pytest.approx(
        expected(truth, logits, 0), abs=1e-9
    )


@pytest.mark.parametrize("defect_type", [None, "scratch"])
def test_image_metrics_are_those_of_scikit_learn(defect_type: str | None) -> None:
    images = shots(per_type=12, side=24)
    values = stats_of(images).metrics(defect_type)
    chosen = of_type(images, defect_type)
    truth = np.array([shot.defect_type != "good" for shot in chosen])
    scores = np.array([image_score(shot.logits) for shot in chosen])
    assert [values[f"image_{n}"] for n in SWEEP] == pytest.approx(
        expected(truth, scores, 0), abs=1e-9
    )


@pytest.mark.parametrize("decimals", [0, 2])
@pytest.mark.parametrize("defect_type", [None, "crack"])
def test_region_overlap_is_that_of_the_loops(decimals: int, defect_type: str | None) -> None:
    images = [s._replace(logits=np.round(s.logits, decimals)) for s in shots(per_type=2, side=24)]
    expected = overlap_by_loops(of_type(images, defect_type))
    assert stats_of(images).metrics(defect_type)["pro"] == pytest.approx(expected, abs=1e-9)


def test_images_of_other_sizes_and_order_change_nothing() -> None:
    images = [*shots(side=20), *[s._replace(sample_id=f"b{s.sample_id}") for s in shots(side=33)]]
    forth, back = stats_of(images), stats_of(images[::-1])
    assert forth.metrics() == pytest.approx(back.metrics(), abs=1e-12)
    assert forth.images["sample_id"].tolist() == [shot.sample_id for shot in images]
    truth, logits = pixels(images)
    assert forth.metrics()["pixel_ap"] == pytest.approx(
        reference.average_precision_score(truth, quantise(logits)), abs=1e-9
    )


def test_without_good_images_image_metrics_are_not_defined() -> None:
    stats = stats_of([shot for shot in shots() if shot.defect_type != "good"])
    values = stats.metrics()
    drawn = stats.resampled(np.ones((2, len(stats)), dtype=np.float32))
    for name in METRICS:
        assert np.isnan(values[name]) == name.startswith("image")
        assert np.isnan(drawn[name]).all() == name.startswith("image")
    curves = stats.curves()
    assert curves["image_roc"].shape == curves["image_pr"].shape == (0, 2)
    assert len(curves["pixel_pr"])


def test_without_defects_nothing_is_defined() -> None:
    for stats in (stats_of([s for s in shots() if s.defect_type == "good"]), LocalizationStats()):
        assert np.isnan(list(stats.metrics().values())).all()
        drawn = stats.resampled(np.ones((2, len(stats))))
        assert np.isnan(np.array(list(drawn.values()))).all()
        assert all(curve.shape == (0, 2) for curve in stats.curves().values())


def test_a_blind_detector_has_an_f1_of_zero_and_not_nan() -> None:
    stats = stats_of([s._replace(logits=s.logits - 30) for s in shots()])
    assert stats.metrics()["pixel_f1"] == stats.metrics()["image_f1"] == 0
    assert stats.resampled(np.ones((1, len(stats))))["pixel_f1"].tolist() == [0]


@pytest.mark.parametrize("defect_type", [None, "crack"])
def test_unit_weights_give_the_exact_values(defect_type: str | None) -> None:
    stats = stats_of(shots(per_type=6, side=64))
    exact = stats.metrics(defect_type)
    drawn = stats.resampled(np.ones((3, len(stats)), dtype=np.float32), defect_type)
    assert list(drawn) == list(exact) == list(METRICS)
    for name in METRICS:
        assert drawn[name] == pytest.approx([exact[name]] * 3, abs=1e-9), name


@pytest.mark.parametrize("defect_type", [None, "scratch"])
def test_a_resample_is_the_test_set_with_images_repeated(defect_type: str | None) -> None:
    images = shots(per_type=5)
    stats = stats_of(images)
    table = stats.images
    weights = image_weights(table["group"], table["defect_type"], 300, seed=3)
    drawn = stats.resampled(weights, defect_type)
    for row in (0, 7, 299):
        repeated = [
            shot._replace(sample_id=f"{shot.sample_id}/{turn}")
            for shot, count in zip(images, weights[row], strict=True)
            for turn in range(int(count))
        ]
        exact = stats_of(repeated).metrics(defect_type)
        for name in METRICS:
            # Coarse levels cost far less than what resampling itself scatters.
            tolerance = 1e-9 if name.startswith("image") else 0.15 * drawn[name].std()
            assert drawn[name][row] == pytest.approx(exact[name], abs=tolerance), name


def test_a_resample_without_the_type_is_nan() -> None:
    stats = stats_of(shots())
    weights = np.ones((2, len(stats)))
    weights[1, (stats.images["defect_type"] == "crack").to_numpy()] = 0
    assert np.isnan(stats.resampled(weights, "crack")["pixel_ap"]).tolist() == [False, True]
    assert not np.isnan(stats.resampled(weights)["pixel_ap"]).any()


def test_curves_are_short_and_carry_the_areas() -> None:
    stats = stats_of(shots(side=64))
    curves, values = stats.curves(), stats.metrics()
    assert all(0 < len(curve) <= 200 for curve in curves.values())
    for kind in ("image", "pixel"):
        roc, pr = curves[f"{kind}_roc"], curves[f"{kind}_pr"]
        assert roc[0].tolist() == [0, 0]
        assert roc[-1].tolist() == [1, 1]
        assert (pr[0, 0], pr[-1, 0]) == (0, 1)
        assert reference.auc(*roc.T) == pytest.approx(values[f"{kind}_auroc"], abs=5e-3)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    stats = stats_of(shots())
    stats.save(tmp_path / "deep" / "base.seed0")
    loaded = LocalizationStats.load(tmp_path / "deep" / "base.seed0")
    assert loaded.metrics() == stats.metrics()
    assert loaded.metrics("crack") == stats.metrics("crack")
    assert loaded.images.equals(stats.images)
    weights = np.random.default_rng(0).integers(0, 3, (5, len(stats)))
    for name, drawn in stats.resampled(weights).items():
        assert np.array_equal(loaded.resampled(weights)[name], drawn, equal_nan=True)
    with pytest.raises(InputError, match="twice"):
        loaded.update(*shots()[0])


def test_nothing_evaluated_can_be_saved_too(tmp_path: Path) -> None:
    LocalizationStats().save(tmp_path / "empty.npz")
    assert LocalizationStats.load(tmp_path / "empty.npz").images.empty


@pytest.mark.parametrize("content", [None, b"", b"no archive", "array", "other"])
def test_a_file_that_is_no_archive_is_named(tmp_path: Path, content: bytes | str | None) -> None:
    path = tmp_path / "stats.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        with path.open("wb") as file:
            if content == "array":
                np.save(file, np.zeros(3))
            else:
                np.savez(file, other=np.zeros(3))
    with pytest.raises(InputError, match=r"stats\.npz"):
        LocalizationStats.load(path)


def test_bad_images_are_refused_with_their_name() -> None:
    shot = shots()[0]
    stats = stats_of([shot])
    with pytest.raises(InputError, match=r"crack0.*shape"):
        stats.update("crack0", "", "crack", shot.logits[:-1], shot.mask)
    with pytest.raises(InputError, match="twice"):
        stats.update(*shot)
    with pytest.raises(InputError, match="good image"):
        stats.update("x", "", "good", shot.logits, shot.mask)
    for bad in (np.nan, np.inf):
        logits = shot.logits.copy()
        logits[3, 3] = bad
        with pytest.raises(InputError, match="not finite"):
            stats.update("x", "", "crack", logits, shot.mask)
    assert len(stats) == 1


def test_unknown_types_and_ill_fitting_weights_are_refused() -> None:
    stats = stats_of(shots())
    for unknown in ("dent", "good"):
        with pytest.raises(InputError, match="crack, scratch"):
            stats.metrics(unknown)
    with pytest.raises(InputError, match="12 images"):
        stats.resampled(np.ones((4, 3)))


def test_memory_does_not_grow_with_the_size_of_images() -> None:
    rng = np.random.default_rng(0)
    logits, mask = rng.normal(size=(1024, 1024)).astype(np.float32), np.zeros((1024, 1024), bool)
    stats = LocalizationStats()
    tracemalloc.start()
    for number in range(4):
        stats.update(str(number), "", "good", logits, mask)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 3e6
    assert peak < 1e8


def test_prevalence_is_the_pixel_ap_of_scores_dealt_out_at_random() -> None:
    images = shots(per_type=6, side=96)
    rng = np.random.default_rng(2)
    level = np.mean([shot.mask.mean() for shot in of_type(images, "crack")])
    assert stats_of(images).prevalence("crack") == pytest.approx(level)
    noise = [s._replace(logits=rng.normal(size=(96, 96)).astype(np.float32)) for s in images]
    assert stats_of(noise).metrics("crack")["pixel_ap"] == pytest.approx(level, rel=0.1)


def test_prevalence_is_nan_where_pixel_ap_is() -> None:
    empty = [shot._replace(mask=np.zeros_like(shot.mask)) for shot in shots()]
    assert np.isnan(stats_of(empty).prevalence("crack"))
    assert np.isnan(stats_of(empty).mean_pixel_ap())


def test_the_mean_over_types_counts_a_type_once_however_large_its_defects() -> None:
    images = shots(per_type=3)
    single = [
        stats_of(of_type(images, kind)).metrics()["pixel_ap"] for kind in ("crack", "scratch")
    ]
    assert stats_of(images).mean_pixel_ap() == pytest.approx(np.mean(single))


def test_a_type_without_a_value_is_left_out_of_the_mean() -> None:
    drawn = over_types([np.array([0.2, np.nan, np.nan]), np.array([0.4, 0.6, np.nan])])
    np.testing.assert_allclose(drawn, [0.3, 0.6, np.nan])
    assert np.isnan(over_types([]))
