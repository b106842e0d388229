"""Steps that change the intensities or the grid of images, the annotated ones as all others."""
