"""The one place where pixels are read and written: limits, axes, geometry, masks as numbers."""
