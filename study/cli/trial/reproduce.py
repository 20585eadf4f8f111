"""`cpc trial reproduce`: a trial trained again, and compared."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from study.cli.arguments import Study
from study.cli.output import Format, message, next_steps, print_record, print_rows
from study.errors import StudyFailedError
from study.folders.provenance import attempts
from study.folders.study_folder import StudyFolder
from study.home import HOME, study_folder
from study.reproduce import Comparison, Reproduction, changed_since, compare, reproduction
from study.results.records import TrialRecord

if TYPE_CHECKING:
    from cpc_core.corpus.corpus import Corpus


def reproduce(
    study: Study,
    trial: int,
    /,
    *,
    steps: int | None = None,
    tolerance: float = 0.0,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    output: Format = "table",
    address: str | None = None,
) -> None:
    """Trains a trial again, and prints the first step whose metrics differ.

    A trial of one worker is trained in this process, of several on Ray.

    Parameters
    ----------
    trial
        The trial's number.
    steps
        Compare so many steps at most; all that were taken by default.
    tolerance
        Largest relative difference that counts as none.
    out
        Folder of the new training; studies/NAME by default. An interrupted one resumes there.
    output
        Format of the result.
    address
        A running Ray cluster, for a trial of several workers; without one, Ray is started on this
        machine.
    """
    wanted = reproduction(study_folder(study), trial, steps)
    if wanted.device == "cpu":
        # Before torch is imported: it would use a GPU, whose numbers differ.
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    from cpc_core.corpus.sample import open_corpus

    corpus = open_corpus(wanted.spec.corpus)
    wanted.require(corpus.hash)
    folder = StudyFolder(out or HOME / wanted.spec.name)
    again = folder.trial(0)
    if again.ending() is not None:
        message(
            f"trained again already, on {attempts(again)[-1]['started']}; to do it once more, "
            f"delete {folder} or name another with -o"
        )
    several = wanted.spec.resources.workers > 1
    trained = (
        train_on_ray(wanted, folder, address) if several else train_here(wanted, folder, corpus)
    )
    if trained.outcome in ("waiting", "running"):
        message(f"stopped: the same command resumes from the last checkpoint in {folder}")
        return
    if trained.outcome == "cancelled":
        message(f"{trained.reason}: to train it again, delete {folder} or name another with -o")
        raise KeyboardInterrupt
    if trained.outcome not in ("complete", "diverged"):
        raise StudyFailedError(
            f"trial {trial} of {study} was not trained again to its end ({trained.outcome}: "
            f"{trained.reason})"
        )
    comparison = compare(wanted, again.log(), tolerance)
    changed = changed_since(wanted, attempts(again)[-1])
    _print(comparison, changed, output)
    if comparison.step is not None:
        raise StudyFailedError(f"trial {trial} of {study} was not reproduced: {comparison.words}")
    next_steps(f"cpc report {study} -o report.html", f"cpc export {study} --trial {trial} -o model")


def train_here(wanted: Reproduction, folder: StudyFolder, corpus: Corpus) -> TrialRecord:
    """Trains in this process, with the recorded number of threads."""
    import torch

    from cluster.local_trial import run_trial
    from study.cli.progress import TrialProgress

    torch.set_num_threads(wanted.threads)
    with TrialProgress(folder, wanted.spec.accuracy) as progress:
        return run_trial(
            folder,
            wanted.spec,
            corpus,
            on_step=progress.on_step,
            on_report=progress.on_report,
            on_stopping=progress.on_stopping,
        ).trials[0]


def train_on_ray(wanted: Reproduction, folder: StudyFolder, address: str | None) -> TrialRecord:
    """Trains with the recorded number of workers, on a running cluster or on this machine."""
    from cluster.study_run import run_study
    from study.cli.progress import StudyProgress

    with StudyProgress(None, folder) as progress:
        return run_study(
            folder,
            wanted.spec,
            address=address,
            on_event=progress.on_event,
            on_notice=progress.on_notice,
        ).trials[0]


def _print(comparison: Comparison, changed: list[str], output: Format) -> None:
    rows = [
        {
            "step": comparison.step,
            "metric": each.metric,
            "recorded": each.recorded,
            "again": each.again,
            "difference": each.amount,
        }
        for each in comparison.differences
    ]
    if output in ("json", "yaml"):
        result = {
            "identical": comparison.step is None,
            "through": comparison.through,
            "differences": rows,
            "changed": changed,
        }
        print_record(result, output)
        return
    message(f"\n{comparison.words}")
    if rows:
        # All digits: a difference in the last ones counts.
        exact = [
            {name: repr(each) if isinstance(each, float) else each for name, each in row.items()}
            for row in rows
        ]
        print_rows(exact, output)
    if changed:
        message(f"\n{'likely reasons' if rows else 'although this has changed'}:")
        for line in changed:
            message(f"  {line}")
    elif rows:
        message("\ncode, versions and hardware are those that were recorded")
