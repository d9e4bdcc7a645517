"""What the pages of `make viz` and `make mlflow` ask of the network, in a real browser without one.

Needs Chromium (`chromium`, `google-chrome`) and the extra `browser`.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from defectsynth_pipeline.hooks.tracking import MlflowTracking
from hooks.test_store import closed
from hooks.test_tracking import run
from sessions import runs_of

logger = logging.getLogger(__name__)

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
FONTS = {"fonts.googleapis.com", "fonts.gstatic.com"}
QUIET = ("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "KEDRO_DISABLE_TELEMETRY")
# MLflow and Kedro keep quiet where these are set; a user has none of them.
TESTED = ("CI", "PYTEST_CURRENT_TEST", "PYTEST_VERSION", "GITHUB_ACTIONS")

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install -e .[browser]"
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


class Proxy(BaseHTTPRequestHandler):
    """Refuses everything and remembers what a server wanted."""

    asked: list[str]

    def do_CONNECT(self) -> None:
        self.asked.append(urlsplit(f"//{self.path}").hostname)
        self.send_error(403)

    do_GET = do_POST = do_CONNECT

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def asked() -> Iterator[list[str]]:
    """Hosts that the servers themselves tried to reach."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        Proxy.asked = []
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        Proxy.address = f"http://127.0.0.1:{proxy.server_port}"
        yield Proxy.asked
        proxy.shutdown()


@pytest.fixture
def page() -> Iterator[tuple[Any, list[str]]]:
    """A page that reaches this machine only, and all that it asked of others."""
    outside: list[str] = []

    def handle(route: Any) -> None:
        if urlsplit(route.request.url).hostname == "127.0.0.1":
            route.continue_()
        else:
            outside.append(f"{route.request.method} {route.request.url}")
            route.abort()

    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking"]
        )
        tab = browser.new_page()
        tab.set_default_timeout(120_000)
        tab.route("**/*", handle)
        yield tab, outside
        browser.close()


@pytest.fixture
def served(project: Path, repository: Path, asked: list[str]) -> Iterator[Any]:
    """Starts a server as a user does, with make; gives its address."""
    (project / "src").mkdir()
    for name in ("Makefile", "src/defectsynth_pipeline", "conf", "pyproject.toml", ".telemetry"):
        (project / name).symlink_to(repository / name)
    hidden = (*QUIET, *TESTED)
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"https_proxy": Proxy.address, "http_proxy": Proxy.address, "no_proxy": "127.0.0.1"}
    started: list[subprocess.Popen[bytes]] = []

    def serve(target: str, arguments: str) -> str:
        port = next(port for port in iter(closed, 0) if port < 49152)  # Kedro-Viz takes no other
        command = ["make", target, f"VENV={sys.prefix}", f"--old-file={sys.prefix}/.installed"]
        command.append(f"{target.upper()}_ARGS=--port {port} {arguments}")
        log = (project / "server.log").open("wb")
        started.append(
            subprocess.Popen(
                command, cwd=project, env=env, stdout=log, stderr=log, start_new_session=True
            )
        )
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try:
                urlopen(address, timeout=5).close()
                return address
            except OSError:
                if started[-1].poll() is not None:
                    break
                threading.Event().wait(0.5)
        pytest.fail((project / "server.log").read_text())

    yield serve
    for server in started:
        if server.poll() is not None:
            continue
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(30)


def test_mlflow_shows_a_run_and_asks_nobody(project, served, page, asked):
    tab, outside = page
    run(MlflowTracking(), project)
    (found,) = runs_of(project)
    runs = f"{served('mlflow', '')}/#/experiments/{found.info.experiment_id}/runs"
    for url in (runs, f"{runs}/{found.info.run_id}"):
        tab.goto(url)
        tab.get_by_text(found.info.run_name).first.wait_for()
        assert "usage data" not in tab.inner_text("body").lower()
    assert outside == []
    assert asked == []


def test_kedro_viz_asks_for_a_font_and_its_version_only(served, page, asked):
    tab, outside = page
    tab.goto(served("viz", "--no-browser"))
    tab.locator(".pipeline-node").first.wait_for()
    logger.info("Kedro-Viz asked for %s, its server for %s", outside, asked)
    assert {urlsplit(request.split()[1]).hostname for request in outside} <= FONTS
    assert all(request.startswith("GET ") for request in outside)
    assert set(asked) <= {"pypi.python.org", "pypi.org"}
