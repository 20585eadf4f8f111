"""Exit codes of commands, and errors as one sentence on stderr."""

from __future__ import annotations

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cpc_core.errors import CpcError
from study.control.signals import interrupting

if TYPE_CHECKING:
    from cyclopts import App

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes of no error of this project's; the others are `CpcError.exit_code`."""


_FILE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
)
"""Reasons why a file or the output cannot be written."""


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
        if debug or error.errno not in _FILE_ERRORS:
            raise
        _discard_output()
        _say(f"{_written(error)} cannot be written ({error.strerror})")
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


def _written(error: OSError) -> str:
    return "the output" if error.filename is None else os.fsdecode(error.filename)
