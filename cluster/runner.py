"""Runs a study on Ray from its first trial to its last, or from where it was left."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ray import tune

from cluster.driver import train_trial
from cluster.search import StudyEvent, StudySearch
from cluster.session import connected
from cluster.steering import Notice, SteeredPruning, Steering, without_known_errors
from cpc_core.calibrate import seconds_per_step
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.sample import open_corpus
from study.control import forget
from study.planning import keep_prediction
from study.reading import read_study
from study.records import StudyRecord
from study.spec import StudySpec
from study.store import StudyStore

TRIAL_RESOURCES: dict[str, float] = {"CPU": 0, "memory": 64 * 2**20}
"""What a trial's own process reserves: no CPU, those belong to its workers, but Tune refuses to reserve nothing at all.
How many trials there are is bounded by the search."""


def run_study(
    folder: Path,
    spec: StudySpec,
    *,
    address: str | None,
    on_event: Callable[[StudyEvent], None],
    on_notice: Callable[[Notice], None] = lambda notice: None,
) -> StudyRecord:
    """Trains every trial of a study that has not ended, and returns what is then known. Paused or stopped by order, it returns earlier.

    Args:
        folder: The study folder, made if missing; on a cluster every node sees it at this path.
        spec: What is asked.
        address: Of a running Ray cluster, or None to use this machine.
        on_event: Called in this process for every start, report and end of a trial.
        on_notice: Called in this process when the study is asked to pause, to stop, to end or to go on.

    Raises:
        ConfigError: The folder holds another study.
        CorpusError: The corpus is missing or damaged.
        UnreachableError: No cluster answers at the address.
        ClusterError: The cluster is too small.
        CpcError: Another process is running this study.
        KeyboardInterrupt: A signal came. At the first one running trials go on to their next report, at the second they end at once.
            Running the study again goes on where it was.
    """
    folder = folder.absolute()
    corpus = open_corpus(spec.corpus)
    store = StudyStore.create_or_open(folder, spec, corpus.hash, corpus.caption)
    try:
        forget(folder)
        if not store.finished:
            if address is None:
                keep_prediction(folder, spec, corpus.clip_samples, seconds_per_step)
            with connected(address, spec.resources):
                _train(store, corpus, on_event, on_notice)
    finally:
        store.close()
    return read_study(folder)


@contextmanager
def _interruptible(steering: Steering) -> Iterator[None]:
    """Turns the first SIGINT or SIGTERM into an order to stop, and raises at the second."""

    def handle(number: int, frame: FrameType | None) -> None:
        if steering.signalled:
            raise KeyboardInterrupt
        steering.signalled = True

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _train(store: StudyStore, corpus: Corpus, on_event: Callable[[StudyEvent], None], on_notice: Callable[[Notice], None]) -> None:
    resources = store.spec.resources
    search = StudySearch(store, resources.concurrent_trials, on_event)
    steering = Steering(store, search, on_notice)
    trainable = tune.with_parameters(train_trial, study=store.folder, corpus=corpus.folder, resources=resources)
    with (
        tempfile.TemporaryDirectory(prefix="cpc-tune-") as disposable,
        _interruptible(steering),
        without_known_errors(steering),
    ):
        tune.Tuner(
            tune.with_resources(trainable, TRIAL_RESOURCES),
            tune_config=tune.TuneConfig(search_alg=search, scheduler=SteeredPruning(search, steering), num_samples=-1, reuse_actors=False),
            run_config=tune.RunConfig(
                name=store.spec.name,
                storage_path=disposable,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            ),
        ).fit()
    if steering.signalled:
        raise KeyboardInterrupt
