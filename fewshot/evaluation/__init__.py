"""Predictors, and what they predict held against the truth."""
