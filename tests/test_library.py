"""What may be imported from the package: without Kedro, fast to import, each with an example."""

from __future__ import annotations

import doctest
import subprocess
import sys

import numpy as np
import pytest

import defectsynth_pipeline
from defectsynth_pipeline.errors import InputError


@pytest.mark.parametrize("name", defectsynth_pipeline.__all__)
def test_the_example_of_every_public_function_is_true(name: str) -> None:
    function = getattr(defectsynth_pipeline, name)
    (found,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={name: function})
    assert found.examples
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found)
    assert result.failed == 0


def test_importing_the_package_imports_nothing_heavy_and_no_kedro() -> None:
    code = (
        "import sys, defectsynth_pipeline as d; print(*{'torch', 'numpy'} & set(sys.modules));"
        "[getattr(d, name) for name in d.__all__]; print('kedro' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = defectsynth_pipeline.nothing


def test_thin_masks_are_interpolated_as_strokes() -> None:
    first, second = np.zeros((64, 64), bool), np.zeros((64, 64), bool)
    first[20:22, 4:60] = second[40:42, 4:60] = True
    between = defectsynth_pipeline.interpolate_masks(first, second, 0.5)
    assert between[26:36].any()
    assert between.sum() < 2 * first.sum()
    with pytest.raises(InputError, match="not empty"):
        defectsynth_pipeline.interpolate_masks(first, np.zeros_like(first), 0.5)


def test_arrays_that_do_not_fit_are_refused() -> None:
    image, mask = np.zeros((8, 8), np.uint8), np.zeros((8, 8), bool)
    with pytest.raises(InputError, match="differ in number"):
        defectsynth_pipeline.as_samples([image], [])
    with pytest.raises(InputError, match="show a defect"):
        defectsynth_pipeline.as_samples([image], [mask])
