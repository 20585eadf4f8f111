"""`cpc study`: one module per group of commands, each loaded when its command runs."""

from __future__ import annotations

from cyclopts import App

COMMANDS = {
    "validate": (
        "run:validate",
        "Check a spec file or preset completely, without starting anything: at every scale that it "
        "offers, or at one.",
    ),
    "plan": ("plan:plan", "Show what a study would train, and what that would cost here."),
    "run": (
        "run:run",
        "Run a study on Ray. Run again, it trains what is missing; with nothing missing, it says "
        "so.\n\n"
        "After Ctrl-C running trials train to their next report, which saves a checkpoint; a "
        "second Ctrl-C stops at once. Either way the exit code is 130, and `cpc study resume` "
        "continues. Ended by `cpc study pause`, `stop` or `cancel`, it exits with 0.",
    ),
    "resume": (
        "run:resume",
        "Finish a study that was paused, stopped or interrupted: exactly the missing trials, each "
        "from its last checkpoint.\n\n"
        "Of a study that is still running, it lifts the pause. Ctrl-C and the exit codes are those "
        "of `cpc study run`.",
    ),
    "submit": (
        "jobs:submit",
        "Run a study on a Ray cluster as a Ray job.\n\n"
        "The study folder has the same path or URI on every node.",
    ),
    "status": ("jobs:status", "Show submitted studies and their status."),
    "logs": ("jobs:logs", "Print what a submitted study has printed."),
    "pause": ("control:pause", "Start no new trials of a running study, which then exits with 0."),
    "stop": (
        "control:stop",
        "Stop a running or submitted study at its next reports, so that it can be resumed; it "
        "exits with 0.",
    ),
    "cancel": ("control:cancel", "End trials now, without waiting for a report."),
    "retry": (
        "control:retry",
        "Train failed, diverged or cancelled trials again.\n\n"
        "Each gets a new number, under which it counts instead of the old one. A failed or "
        "cancelled trial resumes from its last checkpoint, a diverged one starts from scratch.",
    ),
    "ls": ("show:ls", "List the studies in studies/."),
    "show": (
        "show:show",
        "Show every trial of a study with its time beside the predicted one, and what the study "
        "says so far.",
    ),
    "best": (
        "show:best",
        "Show the cells from best to worst, each with its interval over seeds, and answer the "
        "study's claims.\n\n"
        "Of a study with several objectives it shows the Pareto front: the cells that no other "
        "beats in each of them.",
    ),
    "presets": ("show:presets", "List the shipped specs, with the question each answers."),
    "compare": (
        "compare:compare",
        "Compare one cell with another, or answer the study's claims.\n\n"
        "The interval is for two cells chosen beforehand: to ask whether the best of several is "
        "better, declare a claim in the spec.",
    ),
    "watch": (
        "watch:watch",
        "Follow a running study in the terminal.\n\n"
        "On a terminal it is a table that changes in place; elsewhere a line per change. Ctrl-C "
        "ends only the watching.",
    ),
    "export": ("export:export", "Write a study's numbers as CSV, Parquet or JSON."),
    "archive": (
        "archive:archive",
        "Write a study's records as one small file, without models: `report`, `study best`, "
        "`compare` and `export` read it like the study.",
    ),
    "explain": ("explain:explain", "Explain a setting of a spec."),
    "schema": ("explain:schema", "Print the JSON Schema of a spec."),
}
"""Name → module and function in this package, and its help, by the first paragraph of which
`cpc study --help` lists it.
"""


app = App(name="study", help="Plan, run, submit, resume and read studies.")
for _name, (_function, _help) in COMMANDS.items():
    app.command(f"{__name__}.{_function}", name=_name, help=_help)
