"""Whether two images show the same: scores, thresholds, receiver operating curves."""
