"""The Siamese branch: embeddings of whole images, how well they match, and what matching is for."""
