"""What is said while something takes long."""

from __future__ import annotations

import pytest

from defectsynth_pipeline.resumable import Progress


@pytest.fixture
def said(monkeypatch, caplog):
    """Plays the arrival of `done` at `seconds` and gives what was logged, with the second."""
    caplog.set_level("INFO")

    def play(total, arrivals):
        clock = [0.0]
        monkeypatch.setattr("time.monotonic", lambda: clock[0])
        progress, heard = Progress("image", total), []
        for done, seconds in enumerate(arrivals, start=1):
            clock[0] = seconds
            progress(done)
            heard += [(seconds, message) for message in caplog.messages]
            caplog.clear()
        return heard

    return play


def batches(size, pause, prepared, total):
    return [prepared + pause * (i // size) + 0.05 * (i % size) for i in range(total)]


@pytest.mark.parametrize(
    ("size", "pause", "prepared"),
    [(1, 0.3, 49.0), (8, 10.0, 2.0), (8, 14.9, 14.9), (8, 40.0, 70.0)],
)
def test_no_time_left_is_told_before_it_can_be_believed(said, size, pause, prepared):
    total = 400
    arrivals = batches(size, pause, prepared, total)
    seconds = {" s": 1, " min": 60, " h": 3600}
    told = 0
    for now, message in said(total, arrivals)[:-1]:
        if "left" not in message:
            assert now < prepared + 31
            continue
        number, unit = message.split(", ")[-1].removesuffix(" left").split(" ")
        left = float(number) * seconds[f" {unit}"]
        true = arrivals[-1] - now
        told += 1
        assert true / 2 - pause <= left <= true * 2 + pause, message
    assert told > 3


def test_the_last_one_is_told_without_a_time_that_is_not_known(said):
    assert said(1, [0.2]) == [(0.2, "image 1/1")]
