"""What an error for the user must name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from defectsynth_pipeline.errors import InputError


@contextmanager
def refused(problem: str, *named: str, remedy: str = "") -> Iterator[None]:
    """Expect an InputError that matches `problem`, holds all of `named`, and has the remedy."""
    with pytest.raises(InputError, match=problem) as caught:
        yield
    for text in named:
        assert text in str(caught.value), text
    assert remedy in caught.value.remedy, remedy
