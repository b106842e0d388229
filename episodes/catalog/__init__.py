"""What images there are, with classes, subjects, areas and splits; no pixels are kept."""
