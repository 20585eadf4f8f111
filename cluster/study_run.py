"""A whole study on Ray, from its first trial, or the first unfinished one, to its last."""

from __future__ import annotations

from collections.abc import Callable

from ray import tune

from cluster.calibrate import seconds_per_step
from cluster.control_source import ControlSource
from cluster.events import Notice, StudyEvent
from cluster.kinds import cluster_at
from cluster.tune.control import ControlLoop
from cluster.tune.inline_trial import InlineTrial
from cluster.tune.scheduler import StudyScheduler
from cluster.tune.scratch import scratch_folder
from cluster.tune.searcher import StudySearcher
from cluster.tune.train_trial import RayTrainTrial
from cluster.tune.trial import trainable
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.sample import open_corpus
from study.control.requests import clear_stale
from study.dispatch.dispatcher import Dispatcher
from study.dispatch.trial_spec import TrialSpec
from study.folders.study_folder import StudyFolder, disk_errors, unwritable
from study.planning import keep_prediction
from study.results.reader import read_study
from study.results.records import StudyRecord
from study.spec.objectives import require_labels
from study.spec.study_spec import StudySpec
from study.storage.backends import storage_errors, storage_of


def run_study(
    folder: StudyFolder,
    spec: StudySpec,
    *,
    address: str | None,
    on_event: Callable[[StudyEvent], None],
    on_notice: Callable[[Notice], None] = lambda notice: None,
    grace_s: float | None = None,
) -> StudyRecord:
    """Trains every trial of a study that has not ended, and returns the study's record.

    It returns earlier if the study is paused or stopped.

    Args:
        folder: The study folder, created if missing, which every node of a cluster can reach.
        spec: The study.
        address: Of a cluster, as of `cluster_at`; None for this machine.
        on_event: Called in this process for every start, report and end of a trial.
        on_notice: Called in this process when the request to the study changes.
        grace_s: Seconds in which running trials have to end once the study is stopped: those whose
            next report is further away save a checkpoint before it. None: at their next reports.

    Raises:
        ConfigError: The folder holds another study, the corpus has no labels for the metric, or an
            export to start from has other weights.
        CheckpointError: Such an export is missing or damaged.
        CorpusError: The corpus is missing or damaged.
        StorageError: The disk is full or read-only.
        UnreachableError: No cluster answers at the address, or the study's database does not.
        ClusterError: The cluster is too small.
        CpcError: Another process is running this study, whose storage is for one driver.
        KeyboardInterrupt: A signal came. At the first one running trials end at their next report,
            at the second at once. Running the study again resumes it.
    """
    corpus = open_corpus(spec.corpus)
    require_labels(spec.objectives, corpus)
    with storage_errors(folder, storage_of(folder, spec)), disk_errors(folder):
        clear_stale(folder)
        dispatcher = Dispatcher.create_or_open(folder, spec, corpus.hash, corpus.caption)
        try:
            if not dispatcher.finished:
                spec.require_models()
                cluster = cluster_at(address)
                if cluster.is_this_machine:
                    keep_prediction(folder, spec, corpus.clip_samples, seconds_per_step)
                source = ControlSource(dispatcher.folder)
                with cluster.connect(spec.resources), source.signals.caught():
                    # More than once only where other drivers run the study, too, and one of them
                    # leaves trials behind, or where a pause was lifted late.
                    while (first := dispatcher.wait_for_trial(source.to_end)) is not None:
                        _train(dispatcher, first, corpus, source, on_event, on_notice, grace_s)
                    if source.signals.came:
                        raise KeyboardInterrupt
        finally:
            dispatcher.close()
    return read_study(folder)


def _train(
    dispatcher: Dispatcher,
    first: TrialSpec,
    corpus: Corpus,
    source: ControlSource,
    on_event: Callable[[StudyEvent], None],
    on_notice: Callable[[Notice], None],
    grace_s: float | None,
) -> None:
    resources = dispatcher.spec.resources
    kind = InlineTrial if resources.trains_inline else RayTrainTrial
    with scratch_folder(dispatcher.folder.path, shared=dispatcher.shared) as scratch:
        search = StudySearcher(dispatcher, resources.concurrent_trials, scratch, on_event, first)
        control = ControlLoop(dispatcher, search, source, on_notice, scratch, grace_s)
        tune.Tuner(
            trainable(kind, dispatcher.folder, corpus.folder, resources, scratch, grace_s),
            tune_config=tune.TuneConfig(
                search_alg=search,
                scheduler=StudyScheduler(search, control),
                num_samples=-1,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name=dispatcher.spec.name,
                storage_path=scratch,
                verbose=0,
                # The trials' folders hold the checkpoints; Tune would request one from an inline
                # trial at its end.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                # The search dispatches a crashed trial again.
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        ).fit()
        if search.unwritable:
            raise unwritable(dispatcher.folder, search.unwritable)
