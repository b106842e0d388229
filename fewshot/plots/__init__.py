"""Pictures of images, masks and classes."""
