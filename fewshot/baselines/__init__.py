"""What few-shot methods are compared with."""
