"""Nearest images by their embeddings: exact search, indices, ranking metrics."""
