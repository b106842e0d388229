"""One file format a module: from a file to the numbers in it."""
