"""How fast the review desk is: first paint, first tiles, and the slowest frame of a long scroll.

Opens a desk that `defectsynth review` made in a headless Chromium, several times, and prints
medians as JSON. Needs Chromium and the extra `browser`. Exits with 1 if the first paint takes
two seconds or more.

    python benchmarks/review_desk.py data/08_reporting/review/VERSION [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

LIMIT = 2000  # ms
MEASURE = """async () => {
  const paints = performance.getEntriesByType("paint");
  const painted = paints.find((one) => one.name === "first-contentful-paint");
  const frame = () => new Promise(requestAnimationFrame);
  const found = {images: DESK.images.length, first_paint_ms: painted.startTime, tiles_ms: TILES};
  found.slowest_frame_ms = 0;
  let last = performance.now();
  for (let top = 0; top < grid.scrollHeight; top += grid.clientHeight / 2) {
    grid.scrollTop = top;
    await frame();
    found.slowest_frame_ms = Math.max(found.slowest_frame_ms, performance.now() - last);
    last = performance.now();
  }
  return found;
}"""


def measure(browser: Any, address: str) -> dict[str, float]:
    """One opening of the page, with an empty cache."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.goto(address)
    page.locator(".tile").first.wait_for()
    shown = page.evaluate("performance.now()")
    found: dict[str, float] = page.evaluate(MEASURE.replace("TILES", str(shown)))
    context.close()
    return found


def main() -> int:
    """Print the medians."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("desk", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))))
    with sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-background-networking"]
        )
        address = (given.desk / "index.html").absolute().as_uri()
        found = [measure(browser, address) for _ in range(given.repeats)]
        browser.close()
    medians = {key: round(statistics.median(one[key] for one in found), 1) for key in found[0]}
    sys.stdout.write(json.dumps(medians, indent=2) + "\n")
    return int(medians["first_paint_ms"] >= LIMIT)


if __name__ == "__main__":
    raise SystemExit(main())
