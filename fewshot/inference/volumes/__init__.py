"""Volumes: registration, slices of support and query matched, labels propagated."""
