"""Few-shot defect synthesis: from a handful of real defects to labelled images.

The functions named in `__all__` work on arrays, without Kedro; each is imported when it is asked
for, and `help(...)` of each has an example.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "align": "appearance.alignment",
    "as_samples": "corpora.arrays",
    "classification_metrics": "measures.classification",
    "compose": "appearance.compose",
    "contact_sheet": "figures.previews",
    "fit_certificate": "certificate.certificate",
    "interpolate_masks": "library",
    "interval": "measures.resampling",
    "localization_metrics": "library",
    "measure_label": "certificate.label",
    "outlined": "figures.previews",
    "pasted": "appearance.paste",
    "transferred": "appearance.transfer",
    "unlike_good": "library",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
