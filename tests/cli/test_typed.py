"""What is typed wrongly is told in one line, with the way out; whatever the terminal."""

import io
import os
import re
import subprocess
import sys
import warnings

import pytest
from tqdm import tqdm

from fewshot.cli import main as cli
from fewshot.cli.descriptions import groups_of, options_of
from fewshot.cli.dispatch import COMMANDS, parse
from fewshot.cli.match_options import MATCH_COMMANDS

SEGMENT = ["segment", "--support", "a", "--mask", "b", "--query", "c", "--out", "d"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ([], "no command after `fewshot`; expected one of demo, train"),
        (["segmnt"], "no command `fewshot segmnt`; did you mean `fewshot segment`?"),
        (["match", "qery"], "no command `fewshot match qery`; did you mean `fewshot match query`?"),
        (["match"], "no command after `fewshot match`; expected one of train, score"),
        (
            ["segment"],
            "--support, --mask, --query, --out are missing; see `fewshot segment",
        ),
        (["segment", "--suport", "a"], "has no option --suport; did you mean --support?"),
        ([*SEGMENT, "--backbone", "resnet18"], "`fewshot segment` has no option --backbone;"),
        ([*SEGMENT, "--size", "abc"], "--size is 'abc'; expected a whole number;"),
        ([*SEGMENT, "--size"], "--size has no value after it"),
        ([*SEGMENT, "--ensemble", "mean"], "--ensemble is 'mean'; expected one of "),
        ([*SEGMENT, "--similarity", "2"], "similarity is 2.0; expected a share from 0 to 1"),
        (["protocol", "x", "--under", "alpnet"], "--under is called --protocols now; see `few"),
        (["train", "x", "--exclude=any"], "--exclude is called --training-exclusion now"),
        (["match", "train", "x", "--turns", "4"], "--turns is called --rotation-classes now"),
        (["inspect", "x", "--exclude", "any"], "`fewshot inspect` has no option --exclude;"),
        (["train", "x", "--class-weights", "1"], "is '1'; expected a number and a number"),
        (["train", "x", "y"], "'y' belongs to no option"),
        (["train", "x", "--head", "local"], "--head is 'local'; expected one of 'adnet', 'alpnet'"),
        (["train", "x", "--batch=-1"], "batch is -1; expected"),
    ],
)
@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])  # tyro draws lines in the latter
def test_one_line_and_the_way_out(typed, said, encoding, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding=encoding))
    assert cli.main(typed) == 2
    sys.stdout.flush()
    assert sys.stdout.buffer.getvalue() == b""
    printed = capsys.readouterr()
    assert printed.err.startswith("fewshot: error: ")
    assert said in printed.err
    assert printed.err.count("\n") == 1
    assert "tyro" not in printed.err


def test_options_may_be_typed_in_any_accepted_form(capsys):
    """Those that tyro takes are not refused before it sees them."""
    for form in (["--no-cache"], ["--subject_pattern", "x"], ["--subject-pattern=x"]):
        assert cli.main(["train", "nothing-there", *form]) == 2
        assert "there is no file or folder" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        cli.main(["segment", "--help"])
    assert not end.value.code
    assert "--support" in capsys.readouterr().out


def test_a_warning_stands_on_a_line_of_its_own(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = cli._show_warning
        for _ in tqdm(range(2), mininterval=0, ascii=True):
            warnings.warn("first\nsecond", stacklevel=1)
    lines = capsys.readouterr().err.replace("\r", "\n").splitlines()
    assert lines.count("fewshot: warning: first second") == 2


def printed(code: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom fewshot.cli import main as cli\n{code}"],
        env={**os.environ, **variables},
        capture_output=True,
    )


def test_odd_names_are_printed_in_any_encoding():
    code = "cli._mend_streams(); print('\\udcff 5 mm\\u00b2'); cli._say('\\udcff \\u00b2')"
    for encoding in ("ascii", "latin-1", "utf-8"):
        done = printed(code, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(rb"\udcff 5 mm")
        assert done.stderr.startswith(rb"\udcff ")


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ('"$0" -m fewshot.cli.main recipes >&- 2>&-', 0),
        ('COLUMNS=0 NO_COLOR=1 "$0" -m fewshot.cli.main nonsense', 2),
        ('"$0" -m fewshot.cli.main recipes >/dev/full', 2),
    ],
)
def test_streams_that_are_closed_or_full(shell, code):
    done = subprocess.run(["sh", "-c", shell, sys.executable], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def every_command():
    for word, kind in COMMANDS.items():
        if word != "match":
            yield [word], kind
    for word, kind in MATCH_COMMANDS.items():
        yield ["match", word], kind


@pytest.mark.parametrize(("words", "kind"), list(every_command()), ids=lambda each: str(each))
def test_help_explains_what_people_use_and_names_the_rest(words, kind, capsys):
    texts = {}
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit) as end:
            cli.main([*words, flag])
        assert not end.value.code
        texts[flag] = capsys.readouterr().out
    flags = {o.flag for o in options_of(kind)} | {o.flag for _, g in groups_of(kind) for o in g}
    for flag in flags - {""}:
        pattern = rf"(?m)(?<![\w-]){flag}(?![\w-])"
        assert re.search(pattern, texts["--help"]), flag
        assert re.search(rf"(?m)^  {flag}(?![\w-])", texts["--help-all"]), flag
    if first := getattr(kind, "FIRST", ()):
        assert len(first) == 10
        explained = re.findall(r"(?m)^  (?:--)?([\w-]+)", texts["--help"].split("More options")[0])
        assert [each.lower().replace("-", "_") for each in explained] == list(first)


def test_help_lists_the_names_of_registered_parts(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "--head {" in out
    assert {"alpnet", "panet"} <= set(out.split("--head {")[1].split("}")[0].split(", "))


@pytest.mark.parametrize("typed", [["--dim", "none"], ["--dim=none"]])
def test_none_is_typed_for_a_number_that_may_be_left_out(typed):
    assert parse(["match", "train", "data", *typed]).action.net.dim is None
    assert parse(["match", "train", "data", "--augment", "none", *typed]).action.net.dim is None
    assert parse(["inspect", "data", "--subject-pattern", "none"]).dataset.subject_pattern == "none"
