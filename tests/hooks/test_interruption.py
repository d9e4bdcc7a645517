"""A run that is stopped from outside says so in one line and ends in order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from defectsynth_pipeline.hooks.interruption import Interruption

PROGRAM = """
import atexit, logging, sys, time
from pathlib import Path
from defectsynth_pipeline.hooks.interruption import Interruption
from defectsynth_pipeline.publishing import written_whole

logging.basicConfig(format="%(message)s")
atexit.register(print, "closed")
Interruption().before_pipeline_run()
with written_whole(Path(sys.argv[1]) / "v1" / "table.csv") as aside:
    aside.write_text("half")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -2)])
def test_it_ends_in_order(tmp_path, number, code):
    child = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, tmp_path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "writing\n"
    child.send_signal(number)
    out, said = child.communicate(timeout=60)
    assert child.returncode == code
    line = said.splitlines()[0]
    assert line.startswith(f"stopped by {number.name}; what is finished is kept")
    assert out == "closed\n"
    assert list(tmp_path.iterdir()) == []


def test_after_a_run_signals_do_what_they_did():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for end in ("after_pipeline_run", "on_pipeline_error"):
        hook = Interruption()
        hook.before_pipeline_run()
        assert signal.getsignal(signal.SIGTERM) not in before
        getattr(hook, end)()
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
