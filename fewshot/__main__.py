"""`python -m fewshot` is the command `fewshot`."""

from fewshot.cli.main import command

if __name__ == "__main__":
    command()
