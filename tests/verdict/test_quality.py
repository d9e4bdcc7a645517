"""The table of generation quality: a row per type, arm and region, and what is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from arms.builders import make_bank
from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.external import read_external
from defectsynth_pipeline.arms.shown import Shown, Source, arm_source, untouched_source
from defectsynth_pipeline.features.extractors import lite0
from defectsynth_pipeline.options import ArmOptions, ExternalOptions, QualityOptions
from defectsynth_pipeline.schemas import SCHEMAS
from defectsynth_pipeline.verdict.paper_quality import beside_paper, paper_quality
from defectsynth_pipeline.verdict.quality import measure_quality
from defectsynth_pipeline.verdict.seen import look
from refusals import refused

OPTIONS = QualityOptions(
    images=6, subset=3, subsets=10, neighbours=1, halvings=2, side=64, region_side=64, estimated=2
)
ARMS = ("defectsynth", "crop_paste", "cutpaste")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return make_bank(tmp_path_factory.mktemp("bank"), accepted_only=False)


@pytest.fixture(scope="module")
def plates(bank: Bank) -> pd.DataFrame:
    return bank.samples[bank.samples["category"] == "plate"]


@pytest.fixture(scope="module")
def table(bank: Bank, plates: pd.DataFrame) -> pd.DataFrame:
    sources = {name: arm_source(bank, name) for name in ARMS}
    return measure_quality(
        plates, {**sources, "untouched": untouched_source(bank)}, lite0(), OPTIONS
    )


def write_external(plates: pd.DataFrame, root: Path, side: tuple[int, int] | None = None) -> Path:
    """The real base images as another system's output."""
    for row in plates[plates["split"] == "base"].itertuples():
        for kind, file in (("image", row.image), ("mask", row.mask)):
            to = root / row.category / row.defect_type / kind / f"{Path(row.image).stem}.png"
            to.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.open(Path(row.root) / file)
            (picture.resize(side, Image.Resampling.NEAREST) if side else picture).save(to)
    return root


def with_external(bank: Bank, root: Path) -> Bank:
    options = ArmOptions(external={"seas": ExternalOptions(path=str(root))})
    plates = bank.samples[bank.samples["category"] == "plate"]
    given = read_external("seas", options.external["seas"], plates)
    return replace(bank, external={"seas": given}, options=options, samples=plates)


def test_every_type_and_the_category_have_a_row_per_arm_and_region(table: pd.DataFrame) -> None:
    assert list(table.columns) == list(SCHEMAS["generation_quality"].columns)
    types = set(table["defect_type"]) - {"all"}
    assert len(types) == 2
    typed = {"real", "defectsynth", "crop_paste", "untouched"}
    for defect_type in types:
        rows = table[table["defect_type"] == defect_type]
        assert set(rows["arm"]) == typed
        assert (rows.groupby("arm").size() == 2).all()
    assert set(table.loc[table["defect_type"] == "all", "arm"]) == typed | {"cutpaste"}
    assert (table["extractor"] == "EfficientNet-Lite0, ImageNet").all()


def test_arms_are_measured_at_equal_count(table: pd.DataFrame) -> None:
    made = table[table["arm"] != "real"]
    assert (made.groupby("defect_type")["n_generated"].nunique() == 1).all()
    whole = made[made["region"] == "whole"].groupby("defect_type")["n_generated"].first()
    assert whole["all"] == whole.drop("all").sum()


def test_untouched_backgrounds_are_the_worst_inside_the_defect(table: pd.DataFrame) -> None:
    rows = table[(table["region"] == "defect") & (table["defect_type"] == "all")]
    kid = rows.set_index("arm")["kid"]
    assert kid.idxmax() == "untouched"
    assert kid["crop_paste"] < kid["untouched"] / 2
    assert rows.set_index("arm")["mask_iou"]["untouched"] == 0


def test_what_is_pasted_fits_its_mask(table: pd.DataFrame) -> None:
    rows = table[table["region"] == "whole"].set_index(["defect_type", "arm"])
    assert rows.loc[("all", "crop_paste"), "mask_iou"] > 0.8
    assert np.isnan(rows.loc[("all", "real"), "mask_iou"])
    assert rows.loc[("all", "real"), "mask_iou_estimated"] > 0.3


def test_a_type_with_too_few_images_has_a_reason_instead_of_a_number(
    bank: Bank, plates: pd.DataFrame
) -> None:
    last = sorted(set(plates["defect_type"]) - {"good"})[-1]
    few = plates[
        (plates["defect_type"] != last) | (~plates["sample_id"].duplicated() & _first(plates, 2))
    ]
    options = OPTIONS.model_copy(update={"subset": 4})
    found = measure_quality(few, {"crop_paste": arm_source(bank, "crop_paste")}, lite0(), options)
    rows = found[found["arm"] == "crop_paste"].set_index(["defect_type", "region"])
    assert np.isnan(rows.loc[(last, "whole"), "kid"])
    assert "a subset needs 4 of either" in rows.loc[(last, "whole"), "note"]
    assert rows["kid"].notna().any()


def _first(rows: pd.DataFrame, count: int) -> pd.Series:
    """The first base images of each type."""
    base = rows["split"] == "base"
    return base & (rows[base].groupby("defect_type").cumcount().reindex(rows.index) < count)


def test_the_run_ends_only_where_no_type_can_be_measured(bank: Bank, plates: pd.DataFrame) -> None:
    options = OPTIONS.model_copy(update={"subset": 50})
    sources = {"crop_paste": arm_source(bank, "crop_paste")}
    with refused("no defect type has enough images", "a subset needs 50", remedy="quality.subset"):
        measure_quality(plates, sources, lite0(), options)


def test_a_type_without_images_of_an_arm_does_not_stop_the_others(
    bank: Bank, plates: pd.DataFrame
) -> None:
    paste = arm_source(bank, "crop_paste")
    first = sorted(set(plates["defect_type"]) - {"good"})[0]
    empty = Source(paste.show, lambda _, defect_type: 0 if defect_type == first else None)
    found = measure_quality(plates, {"some": empty, "crop_paste": paste}, lite0(), OPTIONS)
    rows = found[found["defect_type"] == first].set_index(["arm", "region"])
    assert rows.loc[("some", "defect"), "note"] == "no images of this type"
    assert rows.loc[("crop_paste", "defect"), "n_generated"] == OPTIONS.images
    whole = found[(found["defect_type"] == "all") & (found["arm"] == "some")]
    assert whole["note"].str.contains(f"without {first}, which the other arms have").all()


def test_real_images_as_another_systems_are_at_the_floor(bank: Bank, tmp_path: Path) -> None:
    plates = bank.samples[bank.samples["category"] == "plate"]
    mine = with_external(bank, write_external(plates, tmp_path / "seas"))
    sources = {"external:seas": arm_source(mine, "external:seas")}
    options = OPTIONS.model_copy(update={"real": "base"})
    found = measure_quality(plates, sources, lite0(), options)
    row = found[(found["arm"] == "external:seas") & (found["defect_type"] == "all")].iloc[1]
    assert row["kid"] < 0  # the unbiased distance of identical sets
    assert (row["precision"], row["recall"]) == (1, 1)
    assert np.isnan(row["mask_iou"])
    assert "backgrounds not known" in row["note"]


def test_an_external_set_that_does_not_fit_is_refused(bank: Bank, tmp_path: Path) -> None:
    plates = bank.samples[bank.samples["category"] == "plate"]
    small = with_external(bank, write_external(plates, tmp_path / "small", (40, 32)))
    with refused("another size than the real ones", "40x32", "80x64", remedy="resize"):
        arm_source(small, "external:seas")
    root = write_external(plates, tmp_path / "more")
    known = next((root / "plate").iterdir())
    shutil.copytree(known, root / "plate" / "rust")
    with refused("a type that is not in the corpus", "rust"):
        arm_source(with_external(bank, root), "external:seas")


@pytest.mark.parametrize("name", ["base", "normals_only", "crop_paste+base"])
def test_real_images_alone_are_not_measured(bank: Bank, name: str) -> None:
    with refused("an arm of real images alone", "quality.arms", remedy="crop_paste"):
        arm_source(bank, name)


def test_an_external_set_that_is_not_given_is_refused(bank: Bank) -> None:
    with refused("external set that is not given", "external:seas", remedy="arms.external.seas"):
        arm_source(bank, "external:seas")


def test_diversity_of_copies_is_none(plates: pd.DataFrame) -> None:
    image = np.full((64, 80, 3), 90, np.uint8)
    mask = np.zeros((64, 80), bool)
    mask[20:40, 20:40] = True
    image[mask] = 10
    base = look([Shown(image, mask, None)], lite0(), OPTIONS)
    found = look([Shown(image, mask, None)] * 5, lite0(), OPTIONS, base.vectors)
    for region in ("whole", "defect"):
        assert found.clusters[region][0].means() == pytest.approx(0, abs=1e-9)
        assert torch.equal(found.features[region][0], found.features[region][4])


def test_the_papers_numbers_stand_beside_its_own_networks_alone() -> None:
    row = {"corpus": "my_mvtec", "category": "Metal Nut", "defect_type": "all", "region": "whole"}
    table = pd.DataFrame([row | {"arm": "external:SeaS"}, row | {"arm": "cutpaste"}])
    table = pd.concat([table, table.assign(region="defect")], ignore_index=True)
    found = beside_paper(table, True)
    columns = ["paper_kid", "paper_lpips", "paper_is"]
    assert found.loc[0, columns].tolist() == [67.75, 0.28, 1.61]
    assert found.loc[1:, columns].isna().all(axis=None)
    assert beside_paper(table, False)[columns].isna().all(axis=None)
    weld = table.assign(corpus="gdxray", category="weld", arm="defectsynth")
    assert beside_paper(weld, True).loc[0, columns].tolist() == [43.56, 0.32, 2.97]


def test_the_papers_table_averages_its_rows() -> None:
    own = paper_quality()
    own = own[(own["table"] == "II") & own["value"].notna()]
    rows = own[own["category"] != "average"].groupby(["arm", "metric"])["value"]
    printed = own[own["category"] == "average"].set_index(["arm", "metric"])["value"]
    assert (rows.size() == 15).all()
    assert (rows.mean() - printed).abs().max() < 0.02 * printed.max()
