"""Exit codes of commands, and errors as one sentence on stderr."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from cpc_core.errors import CpcError
from study.control.signals import interrupting

if TYPE_CHECKING:
    from cyclopts import App

OK, USAGE, INTERRUPTED = 0, 2, 130
"""Exit codes of no error of this project's; the others are `CpcError.exit_code`."""


def run(app: App, arguments: list[str]) -> int:
    """Runs a command line and returns its exit code."""
    debug = "--debug" in arguments
    try:
        with interrupting():
            app(
                [argument for argument in arguments if argument != "--debug"],
                result_action="return_none",
            )
    except CpcError as error:
        if debug:
            raise
        print(f"cpc: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output has closed it, as `head` does; Python would complain again while
        # it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except SystemExit as error:
        # The parser has printed what is wrong; it exits with 1 where this command line's code for
        # wrong usage is 2.
        return OK if not error.code else USAGE
    return OK
