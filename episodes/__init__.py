"""From files to episodes: catalogs, readers, splits and samplers."""
