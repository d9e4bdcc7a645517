"""Training and testing every arm alike."""
