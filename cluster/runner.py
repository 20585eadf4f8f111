"""Runs a study on Ray from its first trial to its last, or from where it was left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ray import tune
from ray.tune.stopper import Stopper

from cluster.driver import nested_trials
from cluster.inline import inline_trials
from cluster.scratch import scratch_folder
from cluster.search import Beginnings, StorePruning, StudyEvent, StudySearch
from cluster.session import connected
from cpc_core.calibrate import seconds_per_step
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.sample import open_corpus
from study.files import Place
from study.planning import keep_prediction
from study.reaching import reached
from study.reading import read_study
from study.records import StudyRecord
from study.spec import StudySpec
from study.store import StudyStore


def run_study(folder: Place, spec: StudySpec, *, address: str | None, on_event: Callable[[StudyEvent], None]) -> StudyRecord:
    """Trains every trial of a study that has not ended, and returns what is then known.

    Args:
        folder: The study folder, made if missing; a path or a URI, at which every node of a cluster sees it.
        spec: What is asked.
        address: Of a running Ray cluster, or None to use this machine.
        on_event: Called in this process for every start, report and end of a trial.

    Raises:
        ConfigError: The folder holds another study.
        CorpusError: The corpus is missing or damaged.
        UnreachableError: No cluster answers at the address, or the study's database does not.
        ClusterError: The cluster is too small.
        CpcError: Another process is running this study, and it is remembered in a journal, which is for one.
        KeyboardInterrupt: The study was interrupted; running it again goes on where it was.
    """
    corpus = open_corpus(spec.corpus)
    with reached(folder, spec.store):
        store = StudyStore.create_or_open(folder, spec, corpus.hash, corpus.caption)
        try:
            if not store.finished:
                if address is None:
                    keep_prediction(folder, spec, corpus.clip_samples, seconds_per_step)
                with connected(address, spec.resources), _interruptible() as interrupted:
                    # More than once only where other drivers run the study, too, and one of them leaves trials behind.
                    while store.wait(interrupted.stop_all):
                        _train(store, corpus, interrupted, on_event)
                    if interrupted.by is not None:
                        raise KeyboardInterrupt
        finally:
            store.close()
    return read_study(folder)


class _Interrupted(Stopper):
    """Tells Tune to stop everything once a signal has arrived. Trials stay running in the store, so that they are resumed."""

    def __init__(self) -> None:
        self.by: int | None = None

    def __call__(self, trial_id: str, result: dict[str, object]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.by is not None


@contextmanager
def _interruptible() -> Iterator[_Interrupted]:
    """Turns the first SIGINT or SIGTERM into a clean stop, and raises at the second."""
    interrupted = _Interrupted()

    def handle(number: int, frame: FrameType | None) -> None:
        if interrupted.by is not None:
            raise KeyboardInterrupt
        interrupted.by = number

    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupted
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _train(store: StudyStore, corpus: Corpus, interrupted: _Interrupted, on_event: Callable[[StudyEvent], None]) -> None:
    resources = store.spec.resources
    search = StudySearch(store, resources.concurrent_trials, on_event)
    inline = resources.trains_inline
    with scratch_folder(store.folder, shared=store.spec.store is not None) as scratch:
        tune.Tuner(
            inline_trials(store.folder, corpus.folder, resources)
            if inline
            else nested_trials(store.folder, corpus.folder, resources, scratch),
            # The actor of a nested trial must go: reused after a stop, it would fail its next trial unrun.
            tune_config=tune.TuneConfig(search_alg=search, scheduler=StorePruning(search), num_samples=-1, reuse_actors=inline),
            run_config=tune.RunConfig(
                name=store.spec.name,
                storage_path=scratch,
                stop=interrupted,
                callbacks=[Beginnings(search)],
                verbose=0,
                # The trials' folders hold the checkpoints; Tune would ask an inline trial for one at its end.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=resources.max_failures),
            ),
        ).fit()
