"""Runs a study on Ray from its first trial to its last, or from where it was left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ray import tune

from cluster.calibrate import seconds_per_step
from cluster.events import Notice, StudyEvent
from cluster.kinds import connected
from cluster.tune.control import ControlLoop, ControlSource, without_known_errors
from cluster.tune.inline_trial import inline_trainable
from cluster.tune.scheduler import StudyScheduler
from cluster.tune.scratch import scratch_folder
from cluster.tune.searcher import StudySearcher
from cluster.tune.train_trial import ray_train_trainable
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.sample import open_corpus
from study.control.requests import clear_stale
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.folders.study_folder import StudyFolder
from study.planning import keep_prediction
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.spec.study_spec import StudySpec
from study.storage.backends import storage_errors, storage_of


def run_study(
    folder: StudyFolder,
    spec: StudySpec,
    *,
    address: str | None,
    on_event: Callable[[StudyEvent], None],
    on_notice: Callable[[Notice], None] = lambda notice: None,
) -> StudyRecord:
    """Trains every trial of a study that has not ended, and returns what is then known. Paused or
    stopped by order, it returns earlier.

    Args:
        folder: The study folder, made if missing; a path or a URI, at which every node of a cluster
            sees it.
        spec: What is asked.
        address: Of a running Ray cluster, or None to use this machine.
        on_event: Called in this process for every start, report and end of a trial.
        on_notice: Called in this process when the study is asked to pause, to stop, to end or to go
            on.

    Raises:
        ConfigError: The folder holds another study.
        CorpusError: The corpus is missing or damaged.
        UnreachableError: No cluster answers at the address, or the study's database does not.
        ClusterError: The cluster is too small.
        CpcError: Another process is running this study, and it is remembered in a journal, which is
            for one.
        KeyboardInterrupt: A signal came. At the first one running trials go on to their next
            report, at the second they end at once. Running the study again goes on where it was.
    """
    corpus = open_corpus(spec.corpus)
    with storage_errors(folder, storage_of(folder, spec)):
        clear_stale(folder)
        store = Dispatcher.create_or_open(folder, spec, corpus.hash, corpus.caption)
        try:
            if not store.finished:
                if address is None:
                    keep_prediction(folder, spec, corpus.clip_samples, seconds_per_step)
                asked = ControlSource(store.folder)
                with connected(address, spec.resources), _interruptible(asked):
                    # More than once only where other drivers run the study, too, and one of them
                    # leaves trials behind, or where a pause was lifted late.
                    while (first := store.wait_for_trial(asked.to_end)) is not None:
                        _train(store, first, corpus, asked, on_event, on_notice)
                    if asked.signalled:
                        raise KeyboardInterrupt
        finally:
            store.close()
    return read_study(folder)


@contextmanager
def _interruptible(asked: ControlSource) -> Iterator[None]:
    """Turns the first SIGINT or SIGTERM into an order to stop, and raises at the second."""

    def handle(number: int, frame: FrameType | None) -> None:
        if asked.signalled:
            raise KeyboardInterrupt
        asked.signalled = True

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _train(
    store: Dispatcher,
    first: TrialSpec,
    corpus: Corpus,
    asked: ControlSource,
    on_event: Callable[[StudyEvent], None],
    on_notice: Callable[[Notice], None],
) -> None:
    resources = store.spec.resources
    search = StudySearcher(store, resources.concurrent_trials, on_event, first)
    steering, inline = ControlLoop(store, search, asked, on_notice), resources.trains_inline
    with (
        scratch_folder(store.folder.path, shared=store.shared) as scratch,
        without_known_errors(steering),
    ):
        tune.Tuner(
            inline_trainable(store.folder, corpus.folder, resources)
            if inline
            else ray_train_trainable(store.folder, corpus.folder, resources, scratch),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=StudyScheduler(search, steering),
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=store.spec.name,
                storage_path=scratch,
                verbose=0,
                # The trials' folders hold the checkpoints; Tune would ask an inline trial for one
                # at its end.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                # The search hands a lost trial out again.
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        ).fit()
