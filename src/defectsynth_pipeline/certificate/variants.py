"""A real defect as it may also look: from nearer and farther, fainter and stronger.

A certificate learns from a handful of real defects. Without these it takes their scale and their
severity for what makes a defect, and refuses the next real one.
"""

from __future__ import annotations

from collections.abc import Iterator

from defectsynth_pipeline.certificate.evidence import Seen, see
from defectsynth_pipeline.certificate.nulls import inpainted, seen_in, wide_window
from defectsynth_pipeline.corpora.reading import Sample
from defectsynth_pipeline.imaging.pixels import crop, to_float

_WIDE = (0.75, 1.33)  # of the usual window's side
_SEVERITIES = (0.7, 1.4)  # of the defect's own: what it adds to the surface times that


def variants_of(real: Sample) -> Iterator[Seen]:
    """Yield variants of a base defect: two of scale and, where it can be taken out, of severity."""
    image, mask = real.image(), real.mask()
    for wide in _WIDE:
        yield see(image, mask, wide)
    window = wide_window(mask)
    part, inside = crop(to_float(image), window), crop(mask, window)
    clean = inpainted(part, inside)
    if clean is not part:
        for severity in _SEVERITIES:
            yield seen_in(clean + severity * (part - clean), inside)
