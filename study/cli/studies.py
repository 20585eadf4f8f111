"""`cpc study`: plan, run, resume and read studies."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import App, Parameter

from cpc_core.errors import ConfigError
from study.analysis.answer import answer_info
from study.analysis.cells import ranked
from study.analysis.cost import cost_info, predicted_s
from study.analysis.front import front
from study.analysis.labels import cell_name
from study.catalog import preset_names, scales
from study.cli import EXIT_CODES
from study.cli.comparing import INTERVALS, IntervalName, say_claims
from study.cli.folders import known, place_of, study_folder
from study.cli.one_trial import show_trial
from study.cli.output import Format, emit, next_steps, say
from study.cli.planning import size
from study.cli.steering import state_words
from study.control import lift, read_orders, study_state
from study.drivers import driver_of
from study.errors import StudyFailedError
from study.files import Place
from study.reaching import reached
from study.reading import SPEC, read_spec, read_study
from study.records import StudyRecord, TrialRecord
from study.spec import StudySpec
from study.tabular import score_row

app = App(name="study", help="Plan, run, submit, resume and read studies.", help_epilogue=EXIT_CODES)
for _name, _help in (
    ("submit", "Run a study on a Ray cluster as a Ray job."),
    ("status", "Show submitted studies and how they stand."),
    ("logs", "Print what a submitted study has printed."),
):
    app.command(f"study.cli.jobs:{_name}", name=_name, help=_help)
for _name, _help in (
    ("pause", "Start no new trials of a running study, which then exits with 0."),
    ("stop", "Stop a running or submitted study at its next reports, so that it can go on; it exits with 0."),
    ("cancel", "End trials now, without waiting for a report."),
    ("retry", "Train failed, diverged or cancelled trials again."),
):
    app.command(f"study.cli.steering:{_name}", name=_name, help=_help)
app.command("study.cli.planning:plan", name="plan", help="Show what a study would train, and what that would cost here.")
app.command("study.cli.comparing:compare", name="compare", help="Hold one cell against another, or answer the study's claims.")
app.command("study.cli.watching:watch", name="watch", help="Follow a running study in the terminal.")
app.command("study.cli.tables:export", name="export", help="Write a study's numbers as CSV, Parquet or JSON.")
app.command("study.cli.describing:explain", name="explain", help="Explain a setting of a spec.")
app.command("study.cli.describing:schema", name="schema", help="Print the JSON Schema of a spec.")

Overrides = Annotated[list[str] | None, Parameter(negative="", help="Override a field of the spec: `--set a.b=c`, as often as needed.")]
Output = Annotated[Format, Parameter(name=["--output", "-o"], help="Format of the result.")]
Scale = Annotated[str | None, Parameter(help="Which of the spec's scales, such as small or paper; the first by default.")]
Out = Annotated[str | None, Parameter(name=["--out", "-o"], help="The study folder, a path or a URI; studies/NAME by default.")]
Address = Annotated[str | None, Parameter(help="A running Ray cluster; without one, Ray is started on this machine.")]


@app.command
def validate(spec: str, /, *, scale: Scale = None, set: Overrides = None) -> None:
    """Check a spec file or preset completely, without starting anything: at every scale that it offers, or at one."""
    for each in (scale,) if scale else scales(spec) or (None,):
        loaded = StudySpec.load(spec, set or [], each)
        say(f"{loaded.name} is valid{f' at scale {each}' if each else ''}: {size(loaded)}, spec {loaded.hash}")
    chosen = f" --scale {scale}" if scale else ""
    next_steps(f"cpc study plan {spec}{chosen}", f"cpc study run {spec}{chosen}")


@app.command
def run(spec: str, /, *, scale: Scale = None, set: Overrides = None, out: Out = None, address: Address = None) -> None:
    """Run a study on Ray. Run again, it goes on with what is missing; with nothing missing, it says so.

    Ctrl-C lets running trials go on to their next report, which saves a checkpoint; a second Ctrl-C stops at once. Either way
    the exit code is 130 and `cpc study resume` goes on. Ended by `cpc study pause`, `stop` or `cancel`, it exits with 0.

    Parameters
    ----------
    spec
        A spec file, or the name of a preset.
    """
    loaded = StudySpec.load(spec, set or [], scale)
    _run(place_of(out, loaded.name), loaded, address)


@app.command
def resume(study: str, /, *, address: Address = None) -> None:
    """Finish a study that was paused, stopped or interrupted: exactly the missing trials, each from its last checkpoint.

    Of a study that is still running, it lifts the pause. Ctrl-C and the exit codes are those of `cpc study run`.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    """
    folder = study_folder(study)
    spec, state = read_spec(folder), study_state(folder, read_study(folder))
    if state == "pausing":
        lift(folder)
        say(f"the pause of {spec.name} is lifted: {driver_of(folder)} goes on with it")
        next_steps(f"cpc study watch {study}")
        return
    if state == "stopping":
        raise ConfigError(f"{spec.name} is being stopped by {driver_of(folder)}: resume it when that has ended")
    _run(folder, spec, address)


@app.command
def ls(*, output: Output = "table") -> None:
    """List the studies in studies/."""
    rows = []
    for folder in known():
        record = read_study(folder)
        best = ranked(record)[:1]
        rows.append(
            {
                "study": folder.name,
                "state": study_state(folder, record),
                "ended": record.ended,
                "planned": record.planned,
                "best": best[0].label if best else None,
                "metric": record.metric,
                "mean": best[0].metrics[record.metric].mean if best else None,
            }
        )
    if rows:
        emit(rows, output)
    else:
        say("no study in studies/ yet")
        next_steps("cpc study run demo")


@app.command
def show(study: str, /, *, trial: int | None = None, output: Output = "table") -> None:
    """Show every trial of a study with its time beside the predicted one, and what the study says so far.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    trial
        Show this trial alone: its metrics, and the code and machine of every attempt at it.
    """
    if trial is not None:
        show_trial(study_folder(study), trial, output)
        return
    folder = study_folder(study)
    record = read_study(folder)
    emit([_trial_row(record, each) for each in record.every_trial], output)
    _answer(record)
    say(f"\nstate: {state_words(study_state(folder, record), study)}")
    cost = cost_info(record)
    if cost is not None:
        say(f"\n{cost.words}")


@app.command
def best(study: str, /, *, interval: IntervalName = "t", output: Output = "table") -> None:
    """Show the cells from best to worst, each with its interval over seeds, and answer the study's claims.

    Of a study with several objectives it shows the front: the cells that no other beats in each of them.

    Parameters
    ----------
    study
        A study folder, or the name of one in studies/.
    interval
        Student's interval, or the studentised bootstrap's, which needs five seeds.
    """
    record = read_study(study_folder(study))
    cells = front(record, INTERVALS[interval]) or ranked(record, INTERVALS[interval])
    if not cells:
        raise StudyFailedError(answer_info(record).headline)
    emit([score_row(record, cell) for cell in cells], output)
    _answer(record)
    next_steps(f"cpc dashboard {study}", f"cpc export {study} --best -o model", "cpc study plan table1_epsilon")


@app.command
def presets(*, output: Output = "table") -> None:
    """List the shipped specs, with the question each answers."""
    rows = []
    for name in preset_names():
        spec = StudySpec.load(name)
        rows.append({"preset": name, "scales": ", ".join(scales(name)), "trials": spec.planned_trials, "question": spec.question})
    emit(rows, output)
    next_steps("cpc study plan demo", "cpc study run demo")


def _run(folder: Place, spec: StudySpec, address: str | None) -> None:
    from cluster.runner import run_study
    from study.cli.progress import StudyProgress

    with reached(folder, spec.store):
        ended = read_study(folder).ended if (folder / SPEC).is_file() else 0
    say(f"{spec.name}: {size(spec)}" + (f", {ended} already ended" if ended else "") + f", in {folder}")
    try:
        with StudyProgress(spec.reference, folder) as progress:
            record = run_study(folder, spec, address=address, on_event=progress.on_event, on_notice=progress.on_notice)
    except KeyboardInterrupt:
        say(f"interrupted: `cpc study resume {folder}` goes on from the last checkpoints")
        raise
    state = study_state(folder, record)
    if state in ("paused", "stopped") or read_orders(folder).wanted == "cancel":
        say(state_words(state, folder))
        _answer(record)
        next_steps(f"cpc study {'retry' if state == 'ended' else 'resume'} {folder}", f"cpc study show {folder}")
        return
    if ended == record.planned:
        say("already complete: nothing to train")
    elif record.budget_spent:
        say(f"{record.budget_spent}: raise it in the spec, and running it again goes on")
    _answer(record)
    if not any(trial.outcome == "complete" for trial in record.trials):
        raise StudyFailedError(f"no trial completed; `cpc study show {folder}` says why for each")
    next_steps(f"cpc dashboard {folder}", f"cpc report {folder} -o report.html", f"cpc export {folder} --best -o model")


def _answer(record: StudyRecord) -> None:
    answer = answer_info(record)
    say("\n" + "\n".join(text for text in (answer.headline, answer.detail, answer.state) if text))
    say_claims(record)


def _trial_row(record: StudyRecord, trial: TrialRecord) -> dict[str, Any]:
    step = trial.history[-1].step if trial.history else 0
    metrics = {name: trial.metrics.get(name) for name in ("train_accuracy", "dev_accuracy", "dev_map", "dev_probe_accuracy")}
    outcome = f"{trial.outcome}: {trial.reason}" if trial.reason else trial.outcome
    outcome += "" if trial.retried_as is None else f", retried as trial {trial.retried_as}"
    expected = predicted_s(record, trial)
    minutes = {"minutes": trial.duration_s / 60, "predicted_minutes": None if expected is None else expected / 60}
    cell = cell_name(trial.knobs, record.reference)
    return {"trial": trial.number, "cell": cell, "seed": trial.seed, "step": step, **metrics, **minutes, "outcome": outcome}
