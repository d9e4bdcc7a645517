"""What labelling tools export, read as regions of pixels: one module per format."""
