"""The command `fewshot`: parse what was typed, run it, and end with one line whatever happens.

Nothing is imported here but the standard library, so that Ctrl-C is heard from the start.
"""

import atexit
import os
import sys
import threading
import warnings

_NO_MEMORY = (
    "the memory is used up; take a smaller --size or --batch, fewer or smaller images, or end "
    "other programs"
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code (0 fine, 2 bad input, 130 Ctrl-C, 141 pipe)."""
    _mend_streams()
    warnings.showwarning = _show_warning
    try:
        code = _main(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()  # a pipe that broke, or a disk that is full, shows here
        return code
    except BrokenPipeError:  # the reader of a pipe, such as `head`, has seen enough
        _leave_stdout()
        return 141
    except OSError as error:
        place = error.filename or "what is printed"
        _say(f"fewshot: error: {place} cannot be read or written: {error.strerror or error}")
        _leave_stdout()
        return 2
    except KeyboardInterrupt:
        _say("fewshot: stopped by Ctrl-C")
        return 130


def _main(arguments: list[str]) -> int:
    from episodes.errors import FewshotError
    from fewshot.cli.dispatch import parse, run
    from fewshot.cli.startup import keep_freed_memory

    keep_freed_memory()
    try:
        return run(parse(arguments))
    except FewshotError as error:
        _say(f"fewshot: error: {error}")
    except MemoryError:
        _say(f"fewshot: error: {_NO_MEMORY}")
    except RuntimeError as error:  # torch has no class of its own for it on the processor
        if "allocate memory" not in str(error) and "out of memory" not in str(error):
            raise
        _say(f"fewshot: error: {_NO_MEMORY}")
    return 2


def _mend_streams() -> None:
    """Let anything be printed anywhere: odd names of files, to a terminal of any encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _leave_stdout() -> None:
    """Write what is still to come nowhere, or Python would complain at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say(line: str) -> None:
    """Print a line of its own to stderr, below progress bars rather than behind one."""
    progress = sys.modules.get("tqdm")  # nothing is drawn where it was not imported
    if progress is None:
        print(line, file=sys.stderr)
    else:
        progress.tqdm.write(line, file=sys.stderr)


def _show_warning(message: object, *_: object, **__: object) -> None:
    """Print a warning as one line: the place in our code tells a user nothing."""
    _say("fewshot: warning: " + " ".join(str(message).split()))


def command() -> None:
    """Run the command line and end the process: what the shell calls.

    After `segment`, Python does not take its modules apart one by one, which with torch takes a
    second: files are closed, output is flushed, and handlers of the end are run.
    """
    code = main()
    if sys.argv[1:2] == ["segment"] and threading.active_count() == 1:
        atexit._run_exitfuncs()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    command()
