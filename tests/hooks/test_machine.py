"""The watch of the machine: it samples, it stops, and it never stops a run."""

from __future__ import annotations

import threading

import psutil
import pytest

from defectsynth_pipeline.hooks.machine import MachineWatch


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    monkeypatch.setattr("defectsynth_pipeline.hooks.machine.INTERVAL", 0.01)


def test_samples_are_numbered_and_of_this_machine():
    got, enough = [], threading.Event()

    def log(values, step):
        got.append((step, dict(values)))
        if step == 2:
            enough.set()

    watch = MachineWatch(log)
    assert enough.wait(20)
    watch.stop()
    count = len(got)
    assert [step for step, _ in got[:3]] == [0, 1, 2]
    for _, values in got:
        assert all(name.startswith("system/") for name in values)
        assert 0 < values["system/process_memory_megabytes"] < 2**20
        assert 0 < values["system/system_memory_usage_percentage"] <= 100
    assert len(got) == count, "nothing after the end"


def test_what_fails_ends_the_watch_alone(monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: 1 / 0)
    watch = MachineWatch(lambda values, step: pytest.fail("there is no sample"))
    watch._thread.join(20)
    assert not watch._thread.is_alive()
    watch.stop()
