"""Figures show what they are given."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from defectsynth_pipeline import figures
from defectsynth_pipeline.corpora.columns import COLUMNS
from defectsynth_pipeline.figures import overlays, style
from defectsynth_pipeline.figures.ablation import draw_examples
from defectsynth_pipeline.figures.certificate import draw_certificate
from defectsynth_pipeline.figures.lines import draw_finetuning
from defectsynth_pipeline.figures.quality import draw_quality
from defectsynth_pipeline.inspection.results import ClassificationResults, LocalizationResults
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.schemas import empty_table
from defectsynth_pipeline.verdict.ratio import ratio_curve
from defectsynth_pipeline.verdict.verdict import make_verdict
from verdict.measured import (
    classification_results,
    joined,
    localization_results,
    meta_row,
    report_row,
)


def words(figure):
    """Every text that is drawn."""
    figure.canvas.draw()
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text"))]


def test_a_name_is_no_formula():
    assert r"a $\nothing$ b" in words(style.empty_figure(r"a $\nothing$ b"))


def judged(*gaps, detectable=0.05):
    rows = []
    for kind, (low, high) in gaps:
        found = {"difference": (low + high) / 2, "difference_low": low, "difference_high": high}
        found["detectable"] = detectable
        rows.append(report_row(defect_type=kind, against="base", **found))
        rows.append(report_row(defect_type=kind))
    return make_verdict(pd.DataFrame(rows), ProtocolOptions())


def test_verdict_marks_differ_in_colour_and_shape():
    table = judged(("bent", (0.1, 0.2)), ("crack", (-0.1, 0.1)), ("scratch", (-0.3, -0.2)))
    (ax,) = figures.draw_verdict(table).axes
    points = [line for line in ax.lines if len(line.get_xdata()) == 1]
    marks = [(point.get_color(), point.get_marker()) for point in points]
    assert marks == [style.VERDICTS[name] for name in ("pays", "no evidence", "harms")]
    heights = [point.get_ydata()[0] for point in points]
    assert heights == sorted(heights)
    assert ax.yaxis_inverted()
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["screw, localization (lite0)", "bent", "crack", "scratch"]


def test_a_band_ends_at_the_smallest_difference_that_could_be_shown():
    table = judged(("bent", (0.1, 0.2)), detectable=0.07)
    figure = figures.draw_verdict(table)
    (band,) = figure.axes[0].patches
    assert (band.get_x(), band.get_width()) == pytest.approx((-0.07, 0.14))
    assert any("could show (80 % power)" in word for word in words(figure))


def test_what_cannot_be_judged_has_a_mark_of_its_own():
    (ax,) = figures.draw_verdict(judged(("bent", (0.1, 0.2)), detectable=0.4)).axes
    (point,) = [line for line in ax.lines if len(line.get_xdata()) == 1]
    assert (point.get_color(), point.get_marker()) == style.VERDICTS["cannot judge"]


def test_verdict_without_numbers_says_so():
    undefined = figures.draw_verdict(judged(("crack", (np.nan, np.nan))))
    assert " not defined" in words(undefined)
    empty = figures.draw_verdict(
        make_verdict(empty_table("classification_report"), ProtocolOptions())
    )
    assert any("No verdict" in word for word in words(empty))


def test_the_certificate_shows_every_share_once_and_marks_what_is_wrong():
    kinds = {"real": 0.75, "untouched": 0.02, "torn": 0.125}
    rows = [
        {"corpus": "mvtec", "category": category, "defect_type": kind_of, "kind": kind}
        | {"windows": 4, "passed": share, "threshold": 0.5}
        for category, types in {"nut": ["all", "dent"], "bolt": ["all", "a", "b"]}.items()
        for kind_of in types
        for kind, share in kinds.items()
    ]
    figure = draw_certificate(pd.DataFrame(rows))
    (ax,) = figure.axes
    headings = [label.get_text() for label in ax.get_xticklabels()]
    assert [h.split("\n")[:2] for h in headings] == [
        *(["nut", "dent"], ["bolt", "all types"], ["bolt", "a"], ["bolt", "b"])
    ]
    assert [label.get_text() for label in ax.get_yticklabels()][-1] == "torn*"
    assert [words(figure).count(word) for word in ("75.0%", "2.0%", "12.5%")] == [4, 4, 4]
    shown = np.asarray(ax.images[0].get_array())
    np.testing.assert_allclose(shown, np.array([[0.25], [0.02], [0.125]]).repeat(4, 1))
    empty = draw_certificate(empty_table("certificate_test"))
    assert any("No certificate" in word for word in words(empty))


def test_confusion_counts_are_summed_over_seeds():
    skills = {"base": 0.6, "defectsynth": 1.0}
    results = classification_results(skills, per_type=10, seeds=[0, 1, 2])
    figure = figures.draw_confusion(results)
    perfect = figure.axes[1]
    assert [text.get_text() for text in perfect.texts] == ["30", "30"]
    assert perfect.get_title() == "defectsynth\n100% right"
    base = sum(int(text.get_text()) for text in figure.axes[0].texts)
    assert base == 60


def test_curves_have_a_line_per_whole_arm():
    skills = {"base": 2.0, "defectsynth": 5.0, "defectsynth@5": 3.0}
    figure = figures.draw_curves(localization_results(skills))
    assert [len(ax.lines) for ax in figure.axes] == [2, 2, 2, 2]
    worse, better = (line.get_ydata().mean() for line in figure.axes[3].lines)
    assert better > worse


def test_curves_and_confusion_show_the_chosen_detector():
    mine = localization_results({"base": 5.0, "normals_only": 3.0}, held_out=0.6)
    other = localization_results(
        {"base": 2.0, "crop_paste": 2.0}, held_out=0.2, role="paper", detector="resnet18"
    )
    figure = figures.draw_curves(joined(other, mine))
    assert [len(ax.lines) for ax in figure.axes] == [2, 2, 2, 2]
    assert figure.axes[0].get_ylabel().startswith("screw (lite0)")
    right = classification_results({"base": 1.0}, per_type=10, seeds=[0])
    wrong = classification_results({"base": 0.0}, per_type=10, seeds=[0])
    tables = [wrong.meta.assign(detector="resnet34", role="paper"), right.meta]
    both = ClassificationResults(
        pd.concat(tables),
        pd.concat([wrong.predictions.assign(detector="resnet34"), right.predictions]),
    )
    (ax,) = figures.draw_confusion(both).axes
    assert ax.get_title() == "base\n100% right"


def test_curves_without_good_images():
    figure = figures.draw_curves(localization_results({"base": 3.0}, seeds=[0], good=0))
    assert [len(ax.lines) for ax in figure.axes] == [0, 0, 1, 1]
    assert "not defined:\nno good test images" in words(figure)


def test_ratio_rings_the_number_worth_making():
    values = {0: 0.2, 50: 0.6, 100: 0.6}
    rows = [report_row(arm=f"defectsynth@{n}", value=v) for n, v in values.items()]
    figure = figures.draw_ratio(ratio_curve(pd.DataFrame(rows)))
    assert "worth making: 50" in words(figure)
    ring = figure.axes[0].lines[-1]
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == (1, 0.6)


def test_training_has_a_line_per_seed():
    history = pd.DataFrame(
        {
            "fold": -1,
            "task": "localization",
            "corpus": "m",
            "category": "screw",
            "detector": detector,
        }
        | {"arm": arm, "seed": seed, "step": step, "loss": 1 / step}
        for detector in ("lite0",)
        for arm in ("base", "defectsynth")
        for seed in (0, 1)
        for step in (1, 50, 100)
    )
    assert len(figures.draw_training(history).axes[0].lines) == 4
    folds = pd.concat([history, history.query("arm == 'base' and seed == 0").assign(fold=0)])
    figure = figures.draw_training(folds)
    assert len(figure.axes[0].lines) == 5
    assert "with base images held out" in words(figure)
    never = history.head(1).assign(detector="patchcore", step=0, loss=np.nan)
    assert len(figures.draw_training(pd.concat([history, never])).axes) == 1
    other = pd.concat([history, history.assign(detector="resnet18")])
    titles = [ax.get_title(loc="left") for ax in figures.draw_training(other).axes]
    assert titles[:2] == ["screw, localization (lite0)", "screw, localization (resnet18)"]


def test_overlays_enlarge_small_defects(tmp_path):
    rng = np.random.default_rng(0)
    rows, maps = [], {}
    for name, size in (("small", 6), ("large", 60), ("good", 0)):
        mask = np.zeros((96, 120), np.uint8)
        mask[20 : 20 + size, 30 : 30 + size] = 255
        Image.fromarray(rng.integers(90, 160, (96, 120), dtype=np.uint8)).save(
            tmp_path / f"{name}.png"
        )
        Image.fromarray(mask).save(tmp_path / f"{name}_mask.png")
        rows.append(
            dict.fromkeys(COLUMNS, "")
            | {"sample_id": name, "root": str(tmp_path), "image": f"{name}.png"}
            | {"mask": f"{name}_mask.png" if size else ""}
            | {"defect_type": "crack" if size else "good"}
            | {"x": 0, "y": 0, "width": 120, "height": 96}
        )
        maps[name] = mask
    meta = pd.DataFrame(
        [
            meta_row("base", 0, held_out=0.6),
            meta_row("normals_only", 0),
            meta_row("base", 0, held_out=0.2, role="paper", detector="resnet18"),
        ]
    )
    keys = [("lite0", "base"), ("patchcore", "normals_only"), ("resnet18", "base")]
    shown = {("mvtec", "screw", *key): maps for key in keys}
    figure = figures.draw_overlays(LocalizationResults(meta, {}, {}, shown), pd.DataFrame(rows))
    assert {"image", "truth", "base", "normals_only"} <= set(words(figure))
    panels = [ax for ax in figure.axes if ax.images]
    assert len(panels) == (2 + 1 + 1) * 4
    whole, enlarged = (ax.images[0].get_array().shape[:2] for ax in (panels[0], panels[4]))
    assert whole == (96, 120)
    assert enlarged == (32, 32)


def test_probability_shows_as_colour_on_grey():
    image = np.full((4, 4, 3), 100, np.uint8)
    heat = np.zeros((4, 4), np.uint8)
    heat[1, 1] = 255
    shown = overlays._heated(image, heat)
    assert np.ptp(shown[0, 0]) == 0
    assert np.ptp(shown[1, 1].astype(int)) > 100


def test_arms_keep_their_colours_apart():
    names = ["base", "crop_paste", "defectsynth", *(f"external:{i}" for i in range(8))]
    found = style.strokes(names)
    assert found["base"] == style.strokes(["exemplar", "base"])["base"]
    assert len(set(found.values())) == len(names)


@pytest.mark.parametrize(
    ("value", "label"), [(1, "1"), (0.2, "0.2"), (0.05, "0.05"), (0.3, ""), (50, "50")]
)
def test_loss_labels(value, label):
    assert style.plain_number(value) == label


def test_no_label_of_an_axis_is_a_formula():
    figure = figures.draw_curves(localization_results({"base": 3.0}, seeds=[0]))
    assert not [word for word in words(figure) if "$" in word]
    labels = [label.get_text() for label in figure.axes[2].get_xticklabels()]
    assert {"0.0001", "0.01", "1"} <= set(labels)


def test_finetuning_says_where_it_was_best_also_of_one_point():
    history = pd.DataFrame({"step": [50, 100], "train_loss": [0.3, 0.2], "learning_rate": 1e-3})
    figure = draw_finetuning(history.assign(validation_loss=[0.5, 0.25]))
    assert "Fine-tuning: lowest held-out loss 0.2500 at step 100" in words(figure)
    assert len(figure.axes[0].lines) == 2
    alone = draw_finetuning(history.head(1).assign(validation_loss=np.nan))
    assert "Fine-tuning: no base sample was held out" in words(alone)
    assert alone.axes[0].lines[0].get_marker() == "o"


def test_quality_has_a_line_per_arm_and_the_floor_across():
    arms = ["real", "defectsynth", "untouched"]
    rows = [
        {"corpus": "c", "category": "tile", "defect_type": kind, "arm": arm, "region": region}
        | {"kid": number, "ic_distance": 0.5, "recall": 0.2 * number, "mask_iou": None}
        for kind in ("crack", "all")
        for region in ("whole", "defect")
        for number, arm in enumerate(arms)
    ]
    told = {"extractor": "some network", "distance": "some distance", "real": "base"}
    figure = draw_quality(pd.DataFrame(rows).assign(**told))
    ax = figure.axes[3]  # recall
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == arms[1:]
    across = [line.get_xdata()[0] for line in ax.lines if len(line.get_xdata()) == 2]
    assert across == [0]
    marks = {line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"}
    assert marks == {0.2, 0.4}
    assert any("some network" in text for text in words(figure))


def test_quality_is_drawn_where_no_type_has_enough_images_for_kid() -> None:
    row = {"corpus": "c", "category": "part", "defect_type": "all", "arm": "defectsynth"}
    measured = {"kid": np.nan, "ic_distance": 0.5, "recall": 0.5, "mask_iou": 0.5}
    told = {"extractor": "some network", "distance": "some distance", "real": "base"}
    rows = [row | measured | told | {"region": region} for region in ("whole", "defect")]
    assert "part" in words(draw_quality(pd.DataFrame(rows)))


def test_long_ids_do_not_run_into_each_other() -> None:
    planned = [f"screw-manipulated-front_7816_0000{number}" for number in range(8)]

    class Made:
        manifest = pd.DataFrame({"planned": planned, "image_id": planned, "verdict": "accepted"})

        def array(self, image_id: str, name: str) -> np.ndarray:
            return np.ones((64, 64), bool if name == "mask" else np.uint8)

    figure = draw_examples({"all": Made()}, planned)  # type: ignore[dict-item]
    figure.canvas.draw()
    places = [ax.title.get_window_extent() for ax in figure.axes]
    assert all(left.x1 < right.x0 for left, right in pairwise(places))
