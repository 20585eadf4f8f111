"""Runs a study on Ray from its first trial to its last, or from where it was left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ray import tune

from cluster.inline import inline_trials
from cluster.nested import nested_trials
from cluster.scratch import scratch_folder
from cluster.search import StudyEvent, StudySearch
from cluster.session import connected
from cluster.steering import Asked, Notice, SteeredPruning, Steering, without_known_errors
from cpc_core.calibrate import seconds_per_step
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.sample import open_corpus
from study.control import forget
from study.files import Place
from study.planning import keep_prediction
from study.reaching import reached
from study.reading import read_study
from study.records import StudyRecord
from study.spec import StudySpec
from study.store import StudyStore


def run_study(
    folder: Place,
    spec: StudySpec,
    *,
    address: str | None,
    on_event: Callable[[StudyEvent], None],
    on_notice: Callable[[Notice], None] = lambda notice: None,
) -> StudyRecord:
    """Trains every trial of a study that has not ended, and returns what is then known. Paused or stopped by order, it returns earlier.

    Args:
        folder: The study folder, made if missing; a path or a URI, at which every node of a cluster sees it.
        spec: What is asked.
        address: Of a running Ray cluster, or None to use this machine.
        on_event: Called in this process for every start, report and end of a trial.
        on_notice: Called in this process when the study is asked to pause, to stop, to end or to go on.

    Raises:
        ConfigError: The folder holds another study.
        CorpusError: The corpus is missing or damaged.
        UnreachableError: No cluster answers at the address, or the study's database does not.
        ClusterError: The cluster is too small.
        CpcError: Another process is running this study, and it is remembered in a journal, which is for one.
        KeyboardInterrupt: A signal came. At the first one running trials go on to their next report, at the second they end at once.
            Running the study again goes on where it was.
    """
    corpus = open_corpus(spec.corpus)
    with reached(folder, spec.store):
        forget(folder)
        store = StudyStore.create_or_open(folder, spec, corpus.hash, corpus.caption)
        try:
            if not store.finished:
                if address is None:
                    keep_prediction(folder, spec, corpus.clip_samples, seconds_per_step)
                asked = Asked(store.folder)
                with connected(address, spec.resources), _interruptible(asked):
                    # More than once only where other drivers run the study, too, and one of them leaves trials behind, or where a
                    # pause was lifted late.
                    while store.wait(asked.to_end):
                        _train(store, corpus, asked, on_event, on_notice)
                    if asked.signalled:
                        raise KeyboardInterrupt
        finally:
            store.close()
    return read_study(folder)


@contextmanager
def _interruptible(asked: Asked) -> Iterator[None]:
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
    store: StudyStore, corpus: Corpus, asked: Asked, on_event: Callable[[StudyEvent], None], on_notice: Callable[[Notice], None]
) -> None:
    resources = store.spec.resources
    search = StudySearch(store, resources.concurrent_trials, on_event)
    steering, inline = Steering(store, search, asked, on_notice), resources.trains_inline
    with scratch_folder(store.folder, shared=store.spec.store is not None) as scratch, without_known_errors(steering):
        tune.Tuner(
            inline_trials(store.folder, corpus.folder, resources)
            if inline
            else nested_trials(store.folder, corpus.folder, resources, scratch),
            tune_config=tune.TuneConfig(search_alg=search, scheduler=SteeredPruning(search, steering), num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name=store.spec.name,
                storage_path=scratch,
                verbose=0,
                # The trials' folders hold the checkpoints; Tune would ask an inline trial for one at its end.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                # The search hands a lost trial out again.
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        ).fit()
