"""A real defect as it may also look: from nearer and farther, fainter and stronger.

A certificate learns from a handful of real defects. Without these it takes their scale and their
severity for what makes a defect, and refuses the next real one.
"""

from __future__ import annotations

from collections.abc import Iterator

from defectsynth_pipeline.certificate.evidence import Seen, see
from defectsynth_pipeline.certificate.nulls import TakenOut, seen_in
from defectsynth_pipeline.corpora.reading import Sample

_WIDE = (0.75, 1.33)  # of the usual window's side
_SEVERITIES = (0.7, 1.4)  # of the defect's own: what it adds to the surface times that
VARIANTS = len(_WIDE) + len(_SEVERITIES)  # at most


def variants_of(real: Sample, taken: TakenOut) -> Iterator[Seen]:
    """Yield variants of a base defect: two of scale and, where it can be taken out, of severity.

    Args:
        real: The sample.
        taken: It, taken out.
    """
    image, mask, (part, inside, clean) = real.image(), real.mask(), taken
    for wide in _WIDE:
        yield see(image, mask, wide)
    if clean is not part:
        for severity in _SEVERITIES:
            yield seen_in(clean + severity * (part - clean), inside)
