"""Preprocess, segment, post-process, analyse: the steps of an evaluation as one value."""
