"""What the values of masks mean: named, found out from all masks together, or refused."""
