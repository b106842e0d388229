"""Objects one by one: from a semantic answer to numbered instances, their table and files."""
