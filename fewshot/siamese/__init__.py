"""Siamese networks: embeddings, distances, mining, losses and training on pairs."""
