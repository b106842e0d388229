"""Steps that measure labels in the original image: one table a step."""
