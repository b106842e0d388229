"""Episodes, pairs and tasks, each drawn from a seed and a number alone; and their loader."""
