"""The command line. The one place of `study` that reaches upward, by imports inside the command
functions.

Commands are registered by import path, so that `cpc --help` loads none of them.
"""

from __future__ import annotations

import sys

from cyclopts import App

HELP = (
    "Studies of Contrastive Predictive Coding of audio with an adversary.\n\n"
    "New here? `cpc study run demo` trains eight small models on the bundled audio in minutes; "
    "`cpc dashboard demo` shows what came of them."
)


EXIT_CODES = (
    "Exit codes: 0 done · 1 the study or trial failed · 2 wrong usage, spec or input · 3 not found · "
    "4 cluster, database or object store unreachable · 130 interrupted. `--debug` shows the traceback of an error."
)


app = App(
    name="cpc",
    help=HELP,
    help_epilogue=EXIT_CODES,
    version_flags=["--version"],
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)


app.command(
    "study.cli.data:app",
    name="data",
    help="Import audio into a corpus, and look at one.",
)


app.command(
    "study.cli.trial:app",
    name="trial",
    help="Train single models on this machine, without a cluster.",
)


app.command("study.cli.study:app", name="study", help="Plan, run, submit, resume and read studies.")


app.command(
    "study.cli.dashboard:dashboard", name="dashboard", help="Open a study's interactive page."
)


app.command(
    "study.cli.dashboard:report",
    name="report",
    help="Write a study's page as one self-contained HTML file.",
)


app.command(
    "study.cli.model:export",
    name="export",
    help="Export a trained model: safetensors and its configuration.",
)


app.command(
    "study.cli.model:probe", name="probe", help="Score an exported model on a labelled corpus."
)


def main() -> None:
    """Entry point of `cpc`."""
    from study.cli.exit_codes import run

    sys.exit(run(app, sys.argv[1:]))
