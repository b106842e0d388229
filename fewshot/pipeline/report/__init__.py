"""The results of a pipeline as one page of HTML."""
