"""Procedural photographs of the demo corpora: one module per surface, defects included."""
