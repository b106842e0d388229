"""Few-shot segmentation: encoder, heads, segmenter, training and evaluation."""
