"""Few-shot defect synthesis: from a handful of real defects to labelled images."""

__version__ = "0.1.0"
