"""Opens the bank that arms draw from, after all checks that no test image is in it."""

from __future__ import annotations

import pandas as pd

from defectsynth_pipeline.arms.bank import Bank
from defectsynth_pipeline.arms.external_set import read_external
from defectsynth_pipeline.arms.leaks import check_leaks
from defectsynth_pipeline.imagesets import ImageSet
from defectsynth_pipeline.options import ArmOptions, FramingOptions, SynthesisOptions


def open_bank(
    samples: pd.DataFrame,
    synthetic: ImageSet,
    masks: ImageSet,
    options: ArmOptions,
    synthesis: SynthesisOptions,
    framing: FramingOptions,
) -> Bank:
    """Read the external sets and make sure that nothing an arm may draw from is a test image.

    Raises:
        InputError: An external set cannot be read, or a test image is where it must not be.
    """
    external = {name: read_external(name, o, samples) for name, o in options.external.items()}
    check_leaks(samples, synthetic, masks, external)
    return Bank(samples, synthetic, masks, external, options, synthesis, framing)
