"""The two detectors: networks, what they are fed, and how they are kept."""
