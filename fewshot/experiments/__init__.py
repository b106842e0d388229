"""Training runs from a data set to a model folder, with split, card and log."""
