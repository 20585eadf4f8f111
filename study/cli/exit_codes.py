"""Exit codes of commands, and errors as one sentence on stderr."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cpc_core.errors import CpcError, is_of_the_disk
from study.control.signals import interrupting

if TYPE_CHECKING:
    from cyclopts import App

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes of no error of this project's; the others are `CpcError.exit_code`."""


def run(app: App, arguments: list[str]) -> int:
    """Runs a command line and returns its exit code."""
    debug = "--debug" in arguments
    _repair_streams()
    try:
        with interrupting():
            app(
                [argument for argument in arguments if argument != "--debug"],
                result_action="return_none",
            )
        sys.stdout.flush()
    except CpcError as error:
        if debug:
            raise
        _say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has closed it, as `head` does.
        _discard_output()
        return OK
    except OSError as error:
        if debug or not (is_of_the_disk(error) or isinstance(error, PermissionError)):
            raise
        _discard_output()
        if error.filename is None:
            _say(f"the output cannot be written ({error.strerror})")
        else:
            _say(f"{os.fsdecode(error.filename)} cannot be opened ({error.strerror})")
        return FAILED
    except SystemExit as error:
        # The parser has printed what is wrong; it exits with 1 where this command line's code for
        # wrong usage is 2.
        return OK if not error.code else USAGE
    return OK


def _say(sentence: str) -> None:
    with suppress(OSError):
        print(f"cpc: {sentence}", file=sys.stderr)  # noqa: T201


def _repair_streams() -> None:
    """Gives closed streams an end, and letters that the encoding lacks a `?`."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed, as under cron
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 - for good
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _discard_output() -> None:
    """Sends what is still to be written nowhere: Python would complain while it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
