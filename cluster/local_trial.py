"""One trial in this process, without Ray: a study of one cell and one seed, in the same folder with
the same files.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from cluster.attempt import in_process, run_attempt
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.report import Report
from cpc_core.step import StepMetrics
from study.control.requests import ControlReader, clear_stale
from study.dispatch.dispatcher import Dispatcher
from study.folders.study_folder import StudyFolder
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.spec.study_spec import StudySpec

OnStep = Callable[[CpcConfig, int, StepMetrics], None]


OnReport = Callable[[Report], None]


def run_trial(
    folder: StudyFolder,
    spec: StudySpec,
    corpus: Corpus,
    *,
    on_step: OnStep,
    on_report: OnReport,
) -> StudyRecord:
    """Trains the one trial of `spec`, from its last checkpoint where there is one; an ended trial
    is left alone.

    Args:
        folder: The study folder, made if missing.
        spec: A spec with one cell and one seed.
        corpus: The opened corpus of the spec.
        on_step: Called after each optimizer step.
        on_report: Called with every entry of the metrics log.

    Raises:
        ConfigError: The folder holds another study, or the corpus's clips are too short.
        CorpusError: A shard is damaged.
        CpcError: Another process is running it.
        KeyboardInterrupt: `cpc study stop` or `cpc study cancel` ended it.
    """
    clear_stale(folder)
    store = Dispatcher.create_or_open(folder, spec, corpus.hash, corpus.caption)
    try:
        assignment = store.ask()
        if assignment is not None:
            on_step, on_report = _obeying(
                ControlReader(store.folder), assignment.number, on_step, on_report
            )
            trial = store.trial_folder(assignment.number)
            for progress in run_attempt(
                trial, corpus, in_process, on_step=partial(on_step, assignment.config)
            ):
                store.check()
                if progress.final:
                    store.tell(assignment.number, progress.final, progress.metrics, progress.reason)
                on_report(progress)
    finally:
        store.close()
    return read_study(folder)


def _obeying(
    follower: ControlReader, number: int, on_step: OnStep, on_report: OnReport
) -> tuple[OnStep, OnReport]:
    """The same calls, which end the training where the user cancels the trial, or at a report where
    the study is stopped.
    """

    def step(config: CpcConfig, taken: int, measured: StepMetrics) -> None:
        on_step(config, taken, measured)
        orders = follower.latest()
        if orders.desired == "cancel" or number in orders.cancel:
            raise KeyboardInterrupt

    def report(progress: Report) -> None:
        on_report(progress)
        if progress.outcome == "running" and follower.latest().desired == "stop":
            raise KeyboardInterrupt

    return step, report
