"""What a detector is worth: metrics as scikit-learn defines them, and their bootstrap."""
