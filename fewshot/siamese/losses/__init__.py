"""Losses on embeddings: pure functions of distances or similarities, and modules around them.

Labels are exact int64, -1 where the class is unknown. A batch without the pairs that a loss needs
costs 0, with a gradient of 0.
"""
