"""`cpc study`: one module per group of commands, each loaded when its command runs."""

from __future__ import annotations

from cyclopts import App

from study.cli import EXIT_CODES

app = App(
    name="study", help="Plan, run, submit, resume and read studies.", help_epilogue=EXIT_CODES
)

COMMANDS = {
    "validate": (
        "run:validate",
        "Check a spec file or preset completely, without starting anything: at every scale that it offers, or at one.",
    ),
    "plan": ("plan:plan", "Show what a study would train, and what that would cost here."),
    "run": (
        "run:run",
        "Run a study on Ray. Run again, it goes on with what is missing; with nothing missing, it says so.",
    ),
    "resume": (
        "run:resume",
        "Finish a study that was paused, stopped or interrupted: exactly the missing trials, each from its last checkpoint.",
    ),
    "submit": ("jobs:submit", "Run a study on a Ray cluster as a Ray job."),
    "status": ("jobs:status", "Show submitted studies and how they stand."),
    "logs": ("jobs:logs", "Print what a submitted study has printed."),
    "pause": ("control:pause", "Start no new trials of a running study, which then exits with 0."),
    "stop": (
        "control:stop",
        "Stop a running or submitted study at its next reports, so that it can go on; it exits with 0.",
    ),
    "cancel": ("control:cancel", "End trials now, without waiting for a report."),
    "retry": ("control:retry", "Train failed, diverged or cancelled trials again."),
    "ls": ("show:ls", "List the studies in studies/."),
    "show": (
        "show:show",
        "Show every trial of a study with its time beside the predicted one, and what the study says so far.",
    ),
    "best": (
        "show:best",
        "Show the cells from best to worst, each with its interval over seeds, and answer the study's claims.",
    ),
    "presets": ("show:presets", "List the specs that come with the package."),
    "compare": ("compare:compare", "Hold one cell against another, or answer the study's claims."),
    "watch": ("watch:watch", "Follow a running study in the terminal."),
    "export": ("export:export", "Write a study's numbers as CSV, Parquet or JSON."),
    "explain": ("explain:explain", "Explain a setting of a spec."),
    "schema": ("explain:schema", "Print the JSON Schema of a spec."),
}
"""Name → module and function in this package, and the line that `cpc study --help` shows."""

for _name, (_function, _help) in COMMANDS.items():
    app.command(f"{__name__}.{_function}", name=_name, help=_help)
