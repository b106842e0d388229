"""From annotated images to the masks of others."""
