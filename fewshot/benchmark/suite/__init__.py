"""Many kinds of picture, one or few annotated images each: one table for all predictors."""
