"""The report: one file that loads nothing, tells what was made, and takes a verdict."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from categories import SHAPE, blob, publish_set, save, surface
from defectsynth_pipeline.errors import InputError
from defectsynth_pipeline.figures.strips import best_median_worst
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ProtocolOptions
from defectsynth_pipeline.report.distributions import differences, distributions
from defectsynth_pipeline.report.findings import Tables, is_restricted, suspicions
from defectsynth_pipeline.report.judgement import Judged, with_verdict
from defectsynth_pipeline.report.measured import check_page, with_quality
from defectsynth_pipeline.report.page import extended, fill, image_report, made_by_type
from defectsynth_pipeline.schemas import empty_table
from defectsynth_pipeline.verdict.ratio import ratio_curve
from defectsynth_pipeline.verdict.verdict import make_verdict
from refusals import refused
from report.builders import row_of
from verdict.measured import localization_results, report_row

EVIL = "<b>x</b>"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder, rows = tmp_path_factory.mktemp("real"), []
    for number in range(6):
        split = "base" if number < 3 else "normal" if number < 5 else "test"
        image, mask = surface(number), blob(number)
        if split != "normal":
            image[mask] //= 2
            save(folder / f"{number}_mask.png", mask)
        save(folder / f"{number}.png", image)
        row = {"sample_id": f"c/tile/dent/{number}", "corpus": "c", "category": "tile"}
        row |= {"defect_type": "good" if split == "normal" else "dent", "root": str(folder)}
        row |= {"mask": "" if split == "normal" else f"{number}_mask.png", "group": str(number)}
        size = {"width": SHAPE[1], "height": SHAPE[0]}
        found = row_of("samples", image=f"{number}.png", split=split, **row, **size)
        rows.append(found | {"licence": "CC-BY-NC-SA-4.0"})
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory, samples: pd.DataFrame) -> ImageSet:
    plan = pd.DataFrame(
        {
            "image_id": f"f00d-tile-dent_{n:05d}",
            "category": "tile",
            "defect_type": "dent",
            "engine": "paste" if n % 2 else "transfer",
            "verdict": "rejected" if n == 11 else "accepted",
            "reason": EVIL if n == 11 else "",
            "certainty": 1 - n / 20,
            "attempts": 1,
            "network": False,
            "contrast": 0.25,
            "background": "c/tile/dent/3",
            "reference": "c/tile/dent/0",
            "others": "",
        }
        for n in range(12)
    )

    def draw(row: object) -> dict[str, np.ndarray]:
        number = int(str(row.image_id)[-5:])  # type: ignore[attr-defined]
        image, mask = surface(number), blob(40 + number)
        image[mask] //= 2
        return {"image": image, "mask": mask}

    return publish_set(tmp_path_factory.mktemp("set"), plan, draw)


@pytest.fixture(scope="module")
def tables(samples: pd.DataFrame) -> Tables:
    tile = {"category": "tile", "defect_type": "dent"}
    summary = row_of("synthesis_summary", images=11, accepted=11, rejected=1, **tile)
    summary |= {"first_attempts": 0.8, "mean_attempts": 1.0, "network": 0.0}
    choice = row_of("engine_choice", engine="paste", gain=0.01, error=0.02, share=1.0, **tile)
    trials = [
        row_of("engine_trials", candidate=name, images=3, ap=0.99, gain=gain, error=0.01, **tile)
        for name, gain in (("real alone", 0.0), ("paste", 0.01), ("mask moved", 0.2))
    ]
    test = [
        row_of("certificate_test", kind=kind, windows=30, passed=share, threshold=0.5, **tile)
        | {"defect_type": of}
        for of in ("dent", "all")
        for kind, share in (("real", 0.5), ("untouched", 0.2), ("torn", 0.9))
    ]
    found = map(pd.DataFrame, ([summary], [choice], trials, test))
    return Tables(samples, *found)


@pytest.fixture(scope="module")
def page(tables: Tables, images: ImageSet) -> str:
    return image_report(tables, images, {"synthesis.render_images": 12.25})


def test_the_page_loads_nothing_and_shows_every_picture(page: str):
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "url(" not in page
    assert "<script" not in page
    uris = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', page)
    # 3 real, best, median and worst by three, one rejected; spreads, engines, certificate
    assert [kind for kind, _ in uris] == ["jpeg"] * 12 + ["png", "jpeg", "png", "png"]
    for kind, data in uris:
        picture = Image.open(io.BytesIO(base64.b64decode(data)))
        assert picture.format == kind.upper()
        assert np.ptp(np.asarray(picture.convert("L"))) > 40


def test_names_are_shown_as_they_are(page: str):
    assert EVIL not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_the_page_tells_numbers_sources_and_cost(tables: Tables, images: ImageSet, page: str):
    (made,) = made_by_type(tables, images)
    assert (made.base, made.planned, made.published, made.rejected) == (3, 12, 11, 1)
    assert made.engines == "transfer 55%, paste 45%"
    assert "synthesis.render_images<td>12.2" in page
    assert "c/tile/dent/3<td>3.png<td>11<td>" in page
    assert "c/tile/dent/5" not in page, "a test image"
    assert f"run {images.root.parent.name}" in page


def test_a_type_of_which_nothing_was_published_is_told(tables: Tables, images: ImageSet):
    none = ImageSet(images.root, images.manifest.iloc[:0])
    summary = tables.synthesis_summary.assign(images=0, accepted=0, rejected=1)
    page = image_report(tables._replace(synthesis_summary=summary), none, {})
    assert "all 1 images were rejected; there is none to use" in page
    assert "No image of this type was published" in page
    assert "Not known: this page was not written by the run" in page


def test_best_median_and_worst_are_by_certainty_and_none_twice():
    table = pd.DataFrame({"certainty": [0.1, 0.9, 0.5, 0.7, 0.3]})
    found = best_median_worst(table, 2)
    shown = {heading: list(rows["certainty"]) for heading, rows in found.items()}
    assert shown == {"best": [0.9, 0.7], "median": [0.5], "worst": [0.3, 0.1]}
    assert best_median_worst(table.iloc[:0], 2) == {}
    assert list(best_median_worst(table.iloc[:1], 2)) == ["best"]


class TestSuspicions:
    def test_all_that_is_wrong_is_said_in_a_sentence_each(self, tables: Tables):
        told = "\n".join(suspicions(tables))
        assert "tile / dent: 1 of 12 images (8%) rejected." in told
        assert "tile / all types: the certificate accepts 20% of untouched images" in told
        assert "torn" not in told, "spoilt defects are not counted"
        assert "accepts 15 of the 30 real defects" in told
        assert "only 80% were accepted at the first attempt" in told
        assert "the trials of engines say nothing" in told
        assert "no engine in use was shown to help" in told
        assert "tile / dent (3): made from photographs of so few parts" in told
        assert "tile / dent (0.99): the real images alone" in told
        assert "under CC-BY-NC-SA-4.0" in told

    def test_nothing_is_said_where_nothing_is_wrong(self, tables: Tables):
        samples = pd.concat([tables.samples.assign(licence="MIT")] * 3, ignore_index=True)
        samples["group"] = [str(number) for number in range(len(samples))]
        summary = tables.synthesis_summary.assign(rejected=0, first_attempts=1.0)
        trials = tables.engine_trials.assign(ap=0.6, gain=0.0)
        test = tables.certificate_test
        test = test.assign(passed=np.where(test["kind"] == "real", 1.0, 0.0))
        good = Tables(samples, summary, tables.engine_choice.assign(gain=0.1), trials, test)
        assert suspicions(good) == []

    def test_a_named_engine_has_no_trials(self, tables: Tables):
        none = {name: empty_table(name) for name in ("engine_trials", "certificate_test")}
        choice = tables.engine_choice.assign(gain=np.nan, error=np.nan)
        told = "\n".join(suspicions(tables._replace(engine_choice=choice, **none)))
        assert "engine" not in told
        assert "certificate" not in told

    @pytest.mark.parametrize(
        ("licence", "restricted"),
        [
            ("CC-BY-NC-SA-4.0", True),
            ("MIT; non-commercial", True),
            ("research and education only", True),
            ("MIT", False),
            ("CC-BY-SA-4.0", False),
            ("INC", False),
        ],
    )
    def test_restricted_licences(self, licence: str, restricted: bool):
        assert is_restricted(licence) is restricted


def test_spreads_are_measured_alike_and_differences_said(samples: pd.DataFrame, images: ImageSet):
    (found,) = distributions(samples, images)
    assert (found.real.images, found.synthetic.images) == (3, 11)
    mean = np.mean([blob(number).mean() for number in range(3)])
    assert found.real.areas.mean() == pytest.approx(mean)
    assert 0 < found.real.contrasts.min() < found.real.contrasts.max() < 1
    assert found.synthetic.places.max() <= 1
    assert not list(differences([found]))
    faint = ImageSet(images.root, images.manifest.assign(contrast=0.01))
    (sentence,) = differences(distributions(samples, faint))
    assert "fainter than the real ones" in sentence


def test_a_verdict_is_put_into_the_page(page: str, samples: pd.DataFrame):
    gap = {"difference": 0.1, "difference_low": 0.05, "difference_high": 0.2, "detectable": 0.05}
    rows = [report_row(against="base", **gap), report_row()]
    verdict = make_verdict(pd.DataFrame(rows), ProtocolOptions())
    results = localization_results({"base": 3.0, "defectsynth": 5.0}, seeds=[0])
    curve = ratio_curve(pd.DataFrame([report_row()]))
    told = "# Does it?\n\n<script>alert(1)</script>\n\n| a |\n| --- |\n| b |\n"
    whole = with_verdict(page, Judged(verdict, told, results, samples, curve), {"train": 7.0})
    assert "of 1 defect type\n" in whole
    assert '<span class="badge pays">pays: 1</span>' in whole
    assert "has not been measured yet" not in whole
    assert "<script" not in whole
    assert "<td>b</td>" in whole
    assert whole.count("data:image") == page.count("data:image") + 3
    again = fill(whole, "verdict", "another")
    assert "<td>b</td>" not in again, "the section is replaced"
    assert again.count("data:image") == page.count("data:image")


def quality_table() -> pd.DataFrame:
    told = {"corpus": "c", "category": "tile", "extractor": "some network", "real": "base"}
    told |= {"distance": "some distance"}
    rows = [
        row_of("generation_quality", defect_type=kind, arm=arm, region=region, **told)
        | {
            "kid": 1000 * number + 1,
            "kid_std": 250,
            "ic_distance": 0.5,
            "recall": 0.13,
            "mask_iou": None,
        }
        | {"note": f"{EVIL} too few" if kind == "dent" else ""}
        for kind in ("dent", "all")
        for region in ("whole", "defect")
        for number, arm in enumerate(["real", "defectsynth", "untouched"])
    ]
    return pd.DataFrame(rows)


def test_measures_and_verdict_stand_in_one_page_in_either_order(
    page: str, samples: pd.DataFrame, images: ImageSet
):
    check_page(page, images.root.parent.name)
    measured = with_quality(page, quality_table())
    for number in ("1 ± 250", "1,001 ± 250", "2,001 ± 250"):  # of all types, inside the defect
        assert measured.count(f"<td>{number}<td>0.50<td>0.13<td></tr>") == 1
    assert "&lt;b&gt;x&lt;/b&gt; too few" in measured
    assert EVIL not in measured
    judged = fill(page, "verdict", "it pays")
    both = fill(extended(page, measured), "verdict", "it pays")
    assert "<td>1,001 ± 250<td>" in both
    assert both == with_quality(extended(page, judged), quality_table())


def test_what_is_about_other_images_is_not_gone_on_with(page: str, images: ImageSet):
    version = images.root.parent.name
    other = fill(page, "verdict", "it pays").replace(f'content="{version}"', 'content="older"')
    assert extended(page, "") == extended(page, other) == page
    with refused("not about the images", "older", remedy="--pipeline=report"):
        check_page(other, version)


def test_a_page_without_the_section_is_refused():
    with pytest.raises(InputError, match="pipeline=report"):
        fill("<html></html>", "verdict", "x")
