"""DICOM: headers, pixels, and which files make a volume."""
