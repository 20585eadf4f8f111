"""One trial in this process, without Ray: a study of one cell and one seed, with the same files."""

from __future__ import annotations

from collections.abc import Callable

from cluster.attempt import TrialStopped, in_process, run_attempt
from cluster.grace import Grace
from cpc_core.config import CpcConfig
from cpc_core.corpus.corpus import Corpus
from cpc_core.report import Report
from cpc_core.step import StepMetrics
from cpc_core.training import TrainingPaused
from study.control.requests import ControlReader, clear_stale
from study.control.signals import StopSignals
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.folders.study_folder import StudyFolder, disk_errors
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.spec.study_spec import StudySpec
from study.storage.attributes import CANCELLED_BY_USER

OnStep = Callable[[CpcConfig, int, StepMetrics], None]


OnReport = Callable[[Report], None]


def run_trial(
    folder: StudyFolder,
    spec: StudySpec,
    corpus: Corpus,
    *,
    on_step: OnStep,
    on_report: OnReport,
    on_stopping: Callable[[], None] = lambda: None,
    grace_s: float | None = None,
) -> StudyRecord:
    """Trains the one trial of `spec`, from its last checkpoint if there is one.

    A trial that has ended is left alone. After `cpc study stop` the trial is still running in the
    record that is returned, and resumable; after `cpc study cancel` it is cancelled.

    Args:
        folder: The study folder, created if missing.
        spec: A spec with one cell and one seed.
        corpus: The opened corpus of the spec.
        on_step: Called after each optimizer step.
        on_report: Called with every entry of the metrics log.
        on_stopping: Called once if a signal came, while the trial trains to its next report.
        grace_s: Seconds in which the trial has to end after a signal or `cpc study stop`: with a
            checkpoint before its next report, if that is further away. None: at that report.

    Raises:
        ConfigError: The folder holds another study, the corpus's clips are too short, or the
            export to start from has other weights.
        CheckpointError: That export is missing or damaged.
        CorpusError: A shard is damaged.
        StorageError: The disk is full or read-only.
        CpcError: Another process is running it.
        KeyboardInterrupt: A signal came. At the first one the trial ends at its next report, at the
            second at once. The same call resumes it.
    """
    clear_stale(folder)
    signals = StopSignals()
    with disk_errors(folder):
        dispatcher = Dispatcher.create_or_open(folder, spec, corpus.hash, corpus.caption)
        try:
            if not dispatcher.finished:
                spec.require_models()
            trial = dispatcher.ask()
            if trial is not None:
                with signals.caught():
                    _train(
                        dispatcher, trial, corpus, signals, on_step, on_report, on_stopping, grace_s
                    )
        finally:
            dispatcher.close()
    if signals.came:
        raise KeyboardInterrupt
    return read_study(folder)


def _train(
    dispatcher: Dispatcher,
    trial: TrialSpec,
    corpus: Corpus,
    signals: StopSignals,
    on_step: OnStep,
    on_report: OnReport,
    on_stopping: Callable[[], None],
    grace_s: float | None,
) -> None:
    """Trains until the trial ends, is cancelled, or pauses or reports after a request to stop."""
    control, folder = ControlReader(dispatcher.folder), dispatcher.trial_folder(trial.number)
    stopping = False

    def step(taken: int, measured: StepMetrics) -> None:
        nonlocal stopping
        on_step(trial.config, taken, measured)
        if signals.came and not stopping:
            stopping = True
            on_stopping()
        requests = control.latest()
        if requests.desired == "cancel" or trial.number in requests.cancel:
            raise TrialStopped

    def stopped() -> bool:
        return signals.came or control.latest().desired == "stop"

    pause = None if grace_s is None else Grace(grace_s, stopped)
    try:
        for report in run_attempt(folder, corpus, in_process, on_step=step, pause=pause):
            dispatcher.check()
            if report.final:
                dispatcher.tell(trial.number, report.final, report.metrics, report.reason)
            on_report(report)
            if not report.final and stopped():
                return
    except TrainingPaused:
        return
    except TrialStopped:
        log = folder.log()
        dispatcher.tell(
            trial.number, "cancelled", log[-1].metrics if log else {}, CANCELLED_BY_USER
        )
