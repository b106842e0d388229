"""Random changes of images and masks together."""
