"""What becomes of a command: its exit code, and its error in one sentence."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cpc_core.errors import (
    CheckpointError,
    CorpusError,
    CpcError,
    DamageError,
    PathError,
    RejectedError,
    StorageError,
)
from study.errors import NotFoundError, StudyFailedError, UnreachableError

if TYPE_CHECKING:
    from cyclopts import App


OK, FAILED, USAGE, NOT_FOUND, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 130


def run(app: App, arguments: list[str]) -> int:
    """Runs a command line and returns its exit code."""
    debug = "--debug" in arguments
    try:
        app(
            [argument for argument in arguments if argument != "--debug"],
            result_action="return_none",
        )
    except CpcError as error:
        if debug:
            raise
        print(f"cpc: {error}", file=sys.stderr)  # noqa: T201
        return _code(error)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has gone, as `head` does; Python would complain again while it
        # flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except SystemExit as error:
        # The parser has already said what is wrong, and ends with 1 for what this command line
        # calls wrong usage.
        return OK if not error.code else USAGE
    return OK


def _code(error: CpcError) -> int:
    match error:
        case UnreachableError():
            return UNREACHABLE
        case StudyFailedError() | RejectedError() | DamageError() | StorageError():
            return FAILED
        case NotFoundError() | CheckpointError() | CorpusError() | PathError():
            return NOT_FOUND
        case _:
            return USAGE
