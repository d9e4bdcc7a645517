"""The desk in a real Chromium, from the disk: filters, keys, undo, and what it saves, read back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

from defectsynth_pipeline import review
from defectsynth_pipeline.review.desk import write_desk

from .conftest import Made

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -e .[browser]"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(made: Made, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ö desk") / "v 1"  # a path as people have them
    write_desk(folder, *made, "v1")
    return (folder / "index.html").as_uri()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The open desk; no script may fail, nothing but the disk may be asked."""
    context = browser.new_context(viewport={"width": 1200, "height": 800})
    tab, wrong = context.new_page(), []
    tab.set_default_timeout(60_000)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("requestfailed", lambda request: wrong.append(request.url))
    tab.on("request", lambda request: wrong.append(request.url) if is_outside(request) else None)
    tab.goto(address)
    tab.locator(".tile").first.wait_for()
    yield tab
    context.close()
    assert wrong == []


def is_outside(request: Any) -> bool:
    return not request.url.startswith(("file:", "data:", "blob:"))


def press(page: Any, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def shown(page: Any) -> list[str]:
    return page.evaluate("shown.map((index) => DESK.images[index].id)")


def saved(page: Any, key: str, path: Path) -> Path:
    with page.expect_download() as download:
        press(page, key)
    download.value.save_as(path)
    return path


def test_filters_and_orders_leave_what_they_say(page: Any, made: Made) -> None:
    assert len(shown(page)) == 16
    page.select_option("#category", "plate")
    page.select_option("#type", "scratch")
    assert shown(page) == [f"p-scratch-{number}" for number in range(4)]
    page.select_option("#engine", "paste")
    assert shown(page) == ["p-scratch-1", "p-scratch-3"]
    page.select_option("#verdict", "rejected")
    assert shown(page) == ["p-scratch-3"]
    assert "nothing is there" in page.inner_text("#facts")
    for name in ("category", "type", "engine", "verdict"):
        page.select_option(f"#{name}", "")
    page.locator("#sort").focus()
    page.select_option("#sort", "certainty, lowest first")
    assert {name[-1] for name in shown(page)[:4]} == {"3"}
    page.fill("#least", "0.6")
    page.press("#least", "Enter")
    assert {name[-1] for name in shown(page)} == {"0", "1"}
    press(page, "a")  # the filters have let go of the keys
    assert "1 of 16 decided" in page.inner_text("#progress")
    assert "2 of 8" in page.inner_text("#decision")


def test_keys_decide_undo_and_what_is_saved_is_read_back(
    page: Any, made: Made, tmp_path: Path
) -> None:
    page.fill("#reviewer", "Jürgen")
    page.locator("#grid").focus()
    press(page, "a")  # p-dent-0
    press(page, "r", "2")  # p-dent-1
    press(page, "t", "1")  # p-dent-2 is a scratch
    press(page, "a")  # p-dent-3, which the certificate rejected
    press(page, "r")
    page.keyboard.type("a shadow 3")  # p-scratch-0
    press(page, "Enter")
    press(page, "a", "u")  # p-scratch-1, and not
    press(page, "r", "Escape")
    assert "5 of 16 decided: 3 accepted, 2 rejected, 1 of another type" in page.inner_text("body")
    assert page.evaluate("DESK.images[shown[current]].id") == "p-scratch-1"
    path = saved(page, "s", tmp_path / "review.json")
    found = review.read_review(path, made.images)
    assert found.reviewer == "Jürgen"
    assert {name: (d.verdict, d.reason, d.type) for name, d in found.images.items()} == {
        "p-dent-0": ("accepted", "", None),
        "p-dent-1": ("rejected", "looks pasted", None),
        "p-dent-2": ("accepted", "", "scratch"),
        "p-dent-3": ("accepted", "", None),
        "p-scratch-0": ("rejected", "a shadow 3", None),
    }
    assert all(decision.time.endswith("Z") for decision in found.images.values())
    left = review.apply(found, made.images)
    assert len(left) == 12 - 2 + 1

    page.reload()  # kept in the browser
    page.locator(".tile.accepted").first.wait_for()
    assert page.locator(".tile.rejected").count() == 2
    page.select_option("#decided", "no")
    assert len(shown(page)) == 11
    assert page.input_value("#reviewer") == "Jürgen"


def test_a_saved_review_is_opened_and_one_of_another_set_is_not(
    page: Any, made: Made, tmp_path: Path
) -> None:
    press(page, "a")
    path = saved(page, "s", tmp_path / "review.json")
    press(page, "u")
    assert "0 of 16 decided" in page.inner_text("#progress")
    page.set_input_files("#file", path)
    page.locator(".tile.accepted").wait_for()
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"set": "beef"}))
    page.set_input_files("#file", path)
    page.get_by_text("a review of another set, beef").wait_for()
    path.write_text("{")
    page.set_input_files("#file", path)
    page.get_by_text("no review.json").wait_for()
    assert "1 of 16 decided" in page.inner_text("#progress")


def test_outlines_and_what_was_before_by_key(page: Any) -> None:
    outline, before = page.locator("#views path").first, page.locator("#views .before").first
    assert outline.is_visible()
    assert not before.is_visible()
    press(page, "o", "b")
    assert not outline.is_visible()
    assert before.is_visible()
    assert page.locator("#sources figure").count() == 2


def test_a_phone_shows_the_image_alone_and_comes_back(browser: Any, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    tab = context.new_page()
    tab.goto(address)
    tab.locator(".tile").nth(4).tap()
    tab.locator("#act .accept").tap()
    assert "6 of 16" in tab.inner_text("#decision")
    tab.locator("#close").tap()
    assert tab.locator(".tile.accepted").count() == 1
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()


def test_the_blind_test_scores_with_wilsons_interval(page: Any, made: Made, tmp_path: Path) -> None:
    page.click("#test")
    press(page, "Enter")
    trials = page.evaluate("trials")
    assert len(trials) == 2 * sum(one["real"] for one in trials) > 8
    for number, one in enumerate(trials):  # one wrong
        assert "pictures" not in page.get_attribute("#shown", "src")
        press(page, "ArrowLeft" if one["real"] == (number > 0) else "ArrowRight")
    told = json.loads(saved(page, "s", tmp_path / "blind.json").read_text())
    assert (told["n"], told["right"], told["set"]) == (len(trials), len(trials) - 1, "f00d")
    low, high = binomtest(told["right"], told["n"]).proportion_ci(method="wilson")
    assert (told["low"], told["high"]) == pytest.approx((low, high))
    assert f"{told['right']} of {told['n']} right" in page.inner_text("#score")
    base = set(made.samples.loc[made.samples["split"] == "base", "sample_id"])
    assert {one["id"] for one in told["answers"] if one["real"]} <= base
    press(page, "Escape")
    assert page.locator("#blind").is_hidden()
