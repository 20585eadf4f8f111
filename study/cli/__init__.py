"""The command line. A folder is a group of commands: `cpc study compare` is `study/compare.py`.

Commands are registered by import path and with their help, so that a list of commands loads none of
them; the descriptions of parameters are in the docstrings. This is the one room of `study` that
reaches upward, by imports inside the command functions.
"""

from __future__ import annotations

import sys
from importlib import metadata

from cyclopts import App

from study.cli.help import ReflowedHelp

HELP = (
    "Studies of Contrastive Predictive Coding of audio with an adversary.\n\n"
    "New here? `cpc study run demo` trains fifteen small models on the bundled audio in minutes; "
    "`cpc dashboard demo` shows what came of them."
)


EXIT_CODES = (
    "Exit codes: 0 done · 1 the study or trial failed · 2 wrong usage, spec or input · "
    "3 not found · 4 cluster, database or object store unreachable · 130 interrupted. "
    "`--debug` shows the traceback of an error."
)


COMMANDS = {
    "data": ("data:app", "Import audio into a corpus, and look at one."),
    "trial": ("trial:app", "Train single models on this machine, without a cluster."),
    "study": ("study:app", "Plan, run, submit, resume and read studies."),
    "dashboard": ("dashboard:dashboard", "Open a study's interactive page."),
    "report": ("dashboard:report", "Write a study's page as one self-contained HTML file."),
    "export": ("model:export", "Export a trained model, with the code that loads it."),
    "exports": ("exports:app", "Look at an export, and check it."),
    "embed": (
        "embed:embed",
        "Write a model's features of recordings into a Parquet file. Interrupted, the same command "
        "goes on; the result is the same.",
    ),
    "probe": ("probe.run:probe", "Score an exported model on a labelled corpus."),
}
"""Name → module and object in this package, and the line that `cpc --help` shows."""


app = App(
    name="cpc",
    help=HELP,
    help_epilogue=EXIT_CODES,
    help_format="plaintext",
    help_formatter=ReflowedHelp(),
    version=lambda: metadata.version("cpc-study"),
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,
)
for _name, (_object, _help) in COMMANDS.items():
    app.command(f"{__name__}.{_object}", name=_name, help=_help)


def main() -> None:
    """Entry point of `cpc`."""
    from study.cli.exit_codes import run

    sys.exit(run(app, sys.argv[1:]))
