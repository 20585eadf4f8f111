"""`cpc study validate|run|resume`: from a spec to trained trials."""

from __future__ import annotations

from cpc_core.errors import ConfigError
from study.cli.arguments import (
    Address,
    Grace,
    Out,
    Overrides,
    Scale,
    Spec,
    Study,
    say_what_is_ignored,
    seconds,
    target_path,
)
from study.cli.output import message, next_steps, state_text
from study.cli.study.plan import size_text
from study.cli.study.show import print_answer
from study.control.requests import clear_pause, read_requests
from study.control.state import study_state
from study.errors import StudyFailedError
from study.folders.study_folder import StudyFolder
from study.home import study_folder
from study.results.reader import read_study
from study.spec.objectives import label_notice
from study.spec.presets import scales
from study.spec.study_spec import StudySpec
from study.storage.backends import driver_of, storage_errors, storage_of


def validate(spec: Spec, /, *, scale: Scale = None, set: Overrides = None) -> None:
    """Checks a spec at every scale that it offers, or at one."""
    for each in (scale,) if scale else scales(spec) or (None,):
        loaded = StudySpec.load(spec, set or [], each)
        at = f" at scale {each}" if each else ""
        message(f"{loaded.name} is valid{at}: {size_text(loaded)}, spec {loaded.hash}")
    chosen = f" --scale {scale}" if scale else ""
    next_steps(f"cpc study plan {spec}{chosen}", f"cpc study run {spec}{chosen}")


def run(
    spec: Spec,
    /,
    *,
    scale: Scale = None,
    set: Overrides = None,
    out: Out = None,
    address: Address = None,
    grace: Grace = None,
) -> None:
    """Trains what is missing of a study."""
    loaded = StudySpec.load(spec, set or [], scale)
    _run(target_path(out, loaded.name), loaded, address, seconds(grace))


def resume(study: Study, /, *, address: Address = None, grace: Grace = None) -> None:
    """Trains what is missing of a study in a folder; of a running study it lifts the pause."""
    folder = study_folder(study)
    spec, state = folder.spec(), study_state(folder, read_study(folder))
    if state == "pausing":
        clear_pause(folder)
        message(f"the pause of {spec.name} is lifted: {driver_of(folder)} continues")
        next_steps(f"cpc study watch {study}")
        return
    if state == "stopping":
        raise ConfigError(
            f"{spec.name} is being stopped by {driver_of(folder)}: resume it when that has ended"
        )
    _run(folder, spec, address, seconds(grace))


def _run(folder: StudyFolder, spec: StudySpec, address: str | None, grace_s: float | None) -> None:
    from cluster.study_run import run_study
    from cpc_core.corpus.sample import open_corpus
    from study.cli.progress import StudyProgress

    say_what_is_ignored(address)
    with storage_errors(folder, storage_of(folder, spec)):
        ended = read_study(folder).ended if folder.holds_study() else 0
    already = f", {ended} already ended" if ended else ""
    message(f"{spec.name}: {size_text(spec)}{already}, in {folder}")
    if notice := label_notice(open_corpus(spec.corpus)):
        message(notice)
    try:
        with StudyProgress(spec.reference, folder) as progress:
            record = run_study(
                folder,
                spec,
                address=address,
                on_event=progress.on_event,
                on_notice=progress.on_notice,
                grace_s=grace_s,
            )
    except KeyboardInterrupt:
        message(f"interrupted: `cpc study resume {folder}` continues from the last checkpoints")
        raise
    state = study_state(folder, record)
    if state in ("paused", "stopped") or read_requests(folder).desired == "cancel":
        message(state_text(state, folder))
        print_answer(record)
        verb = "retry" if state == "ended" else "resume"
        next_steps(f"cpc study {verb} {folder}", f"cpc study show {folder}")
        return
    if ended == record.planned:
        message("already complete: nothing to train")
    elif record.budget_spent:
        message(f"{record.budget_spent}: raise it in the spec and run the study again to continue")
    print_answer(record)
    if not any(trial.outcome == "complete" for trial in record.trials):
        raise StudyFailedError(f"no trial completed; `cpc study show {folder}` gives the reasons")
    next_steps(
        f"cpc dashboard {folder}",
        f"cpc report {folder} -o report.html",
        f"cpc export {folder} --best -o model",
    )
