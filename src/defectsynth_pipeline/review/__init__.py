"""A person looks at a set image by image; what they decided is read, checked and applied."""

from defectsynth_pipeline.review.decisions import Decision, Review, apply, parse_review, read_review

__all__ = ["Decision", "Review", "apply", "parse_review", "read_review"]
