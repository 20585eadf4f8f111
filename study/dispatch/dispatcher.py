"""Dispatcher of a study's trials: the next one to train, and the outcome of each."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from cpc_core.errors import ConfigError
from cpc_core.report import FinalOutcome
from search_spaces.samplers.replicate_mean import ReplicateMeanSampler
from study.dispatch.enqueue import Enqueuer
from study.dispatch.prepare import Preparation
from study.dispatch.retry import retry_attributes
from study.dispatch.reuse import TrialReuse, earlier_looks
from study.dispatch.trial_index import ended, proposed, waits
from study.dispatch.trial_recorder import TrialRecorder
from study.dispatch.trial_spec import TrialSpec
from study.folders.provenance import collect
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import TrialFolder
from study.folders.usage import RunClock, UsageReader, usage_of
from study.spec.budget import Budget
from study.spec.study_spec import StudySpec
from study.storage.attributes import CANCELLED_BY_USER, TrialAttributes, identity, successors
from study.storage.backends import storage_errors, storage_of
from study.storage.base import Storage

POLL_S = 1.0
"""Seconds between two looks at the trials of other drivers."""


class Dispatcher:
    """Dispatches trials and records their outcomes, as the driver of a study until it is closed.

    Use `create_or_open`. Trials that a crashed driver left running are dispatched again first,
    under the same number.
    """

    def __init__(
        self, folder: StudyFolder, spec: StudySpec, corpus_hash: str, storage: Storage
    ) -> None:
        self.folder, self.spec, self._storage = folder, spec, storage
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        stored = storage.open()
        self._study = study = optuna.create_study(
            study_name=storage.name,
            storage=stored,
            directions=[objective.direction for objective in spec.objectives],
            load_if_exists=True,
        )
        self._clock, self._usage = RunClock(study), UsageReader(folder)
        openings: int = study.user_attrs.get("openings", 0)
        study.set_user_attr("openings", openings + 1)
        study.pruner = spec.pruner.build(spec.longest)
        # Drivers that open the study before any trial was proposed must not draw the same ones.
        first_seed = int(spec.hash, 16)
        seed = (first_seed + len(self.trials()) + openings) % 2**32
        study.sampler = ReplicateMeanSampler(
            spec.sampler.build(seed, first_seed % 2**32), study, spec.sampler.modelled_points
        )
        self._recorder = TrialRecorder(study, stored, spec.objectives)
        enqueuer = Enqueuer(study, spec, corpus_hash)
        # In an object store every look at another study would be a request.
        reuse: TrialReuse | None = None
        if spec.resources.share and folder.path.is_local:
            reuse = TrialReuse(Path(folder.path))
        self._preparation = Preparation(folder, spec, corpus_hash, self._recorder, enqueuer, reuse)
        for trial in self.trials():
            # A shared storage measures for how long a trial has had no driver: from this try on,
            # before Ray is started.
            if trial.state == TrialState.RUNNING and storage.try_acquire(trial.number):
                storage.release(trial.number)
        enqueuer.add_grid()
        self._ended = ended(self.trials())

    @classmethod
    def create_or_open(
        cls, folder: StudyFolder, spec: StudySpec, corpus_hash: str, corpus_caption: str
    ) -> Dispatcher:
        """Opens the study in a folder, created if it is missing.

        Args:
            folder: The study folder.
            spec: The study's.
            corpus_hash: Hash of the corpus manifest.
            corpus_caption: Corpus name and totals as text, for reports.

        Raises:
            ConfigError: The folder holds a study of another spec or corpus, or cannot be written.
            CpcError: Another driver is running the study.
        """
        if folder.path.is_local:
            try:
                Path(folder.path).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"the study folder {folder} cannot be made ({error.strerror}): choose another "
                    "one with -o"
                ) from error
        storage = storage_of(folder, spec)
        with storage_errors(folder, storage):
            try:
                with storage.exclusive():
                    if folder.holds_study():
                        folder.require_same(spec, corpus_hash)
                    else:
                        content = {
                            **collect(folder.path, spec.hash, corpus_hash, corpus_caption),
                            "study_id": uuid.uuid4().hex[:12],
                            "earlier_looks": earlier_looks(folder, spec, corpus_hash),
                        }
                        folder.write_provenance(content)
                    folder.write_spec(spec)
                    return cls(folder, spec, corpus_hash, storage)
            except BaseException:
                storage.close()
                raise

    def close(self) -> None:
        """Records the time that the study was run, and releases it to other drivers."""
        try:
            self._clock.save()
        finally:
            self._storage.close()

    @property
    def shared(self) -> bool:
        """True if several drivers may work on the study at a time."""
        return self._storage.shared

    def trials(self) -> list[FrozenTrial]:
        """Every stored trial, by number."""
        return self._study.get_trials(deepcopy=False)

    @property
    def ended(self) -> int:
        """Trials that have ended, without retried ones, as of the latest `ask` or `tell`."""
        return self._ended

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Numbers of the trials that run or wait."""
        return tuple(trial.number for trial in self.trials() if not trial.state.is_finished())

    @property
    def finished(self) -> bool:
        """True if nothing is left to train, or no budget to train it."""
        trials = self.trials()
        running = any(trial.state == TrialState.RUNNING for trial in trials)
        return not (running or self._starts_more(trials))

    @property
    def budget_spent(self) -> str | None:
        """The limit of the budget that has been reached, as text; None if none has."""
        return self._budget_spent(self.trials())

    def trial_folder(self, number: int) -> TrialFolder:
        """The folder of a trial's files."""
        return self.folder.trial(number)

    def ask(self) -> TrialSpec | None:
        """The next trial to train; None if all run, here or elsewhere, or have ended."""
        with self._storage.exclusive():
            while (trial := self._next(known := self.trials())) is not None:
                self._ended = ended(known)
                prepared = self._preparation.prepare(trial, known)
                if isinstance(prepared, TrialSpec):
                    return prepared
                if prepared.final is not None:
                    self.tell(trial.number, prepared.final, prepared.metrics, prepared.reason)
            self._ended = ended(known)
        return None

    def wait_for_trial(self, interrupted: Callable[[], bool]) -> TrialSpec | None:
        """The next trial to train, waited for while other drivers train what is left.

        Another driver that crashes leaves one.

        Args:
            interrupted: Ends the wait.
        """
        while not (self.finished or interrupted()):
            trial = self.ask()
            if trial is not None:
                return trial
            time.sleep(POLL_S)
        return None

    def check(self) -> None:
        """Verifies that the running trials are still this driver's; called every few seconds.

        Raises:
            psycopg.Error: The database may have given them to another driver; `storage_errors`
                translates it.
            UnreachableError: The object store may have.
        """
        self._storage.check()

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Records the (first) objective's value at a step, unless that step has one."""
        self._recorder.report(number, step, metrics)

    def should_prune(self, number: int) -> bool:
        """True if the pruner stops the trial, given the stored reports of all trials."""
        return self._recorder.should_prune(number)

    def tell(
        self, number: int, outcome: FinalOutcome, metrics: Mapping[str, float], reason: str = ""
    ) -> None:
        """Ends a trial.

        Args:
            number: A trial that `ask` returned.
            outcome: Only `complete` gives the trial a final value.
            metrics: Final metrics of a complete trial, the latest ones otherwise.
            reason: Explanation of any outcome but plain success.
        """
        self._recorder.end(number, outcome, metrics, reason, self.trial_folder(number).log())
        self._storage.release(number)
        self._ended += 1
        self._clock.save()

    def cancel(self, number: int) -> None:
        """Ends a trial that waits, or that a crashed driver left running; no other trial.

        A trial in training is ended by its own driver, which then calls `tell`.
        """
        with self._storage.exclusive():
            trial = self.trials()[number]
            if trial.state == TrialState.WAITING:
                self._recorder.cancel_waiting(number, CANCELLED_BY_USER)
            elif trial.state == TrialState.RUNNING and self._try_acquire(number):
                self._recorder.resume(number)
                if not TrialAttributes.of(trial).complete:
                    # The driver crashed while it proposed the trial. With itself as its point it
                    # does not count as a proposal, so that another one is made.
                    attributes = identity({}, self.spec.seeds[0], point=number)
                    self._recorder.describe(number, attributes)
                log = self.trial_folder(number).log()
                self.tell(number, "cancelled", log[-1].metrics if log else {}, CANCELLED_BY_USER)
            self._ended = ended(self.trials())

    def retry(self, number: int, *, from_scratch: bool) -> None:
        """Queues a trial that failed, diverged or was cancelled under a new number, which replaces
        it.

        Args:
            number: The trial; one that was retried before stays as it is.
            from_scratch: True to train from the first step although there is a checkpoint.
        """
        with self._storage.exclusive():
            trials = self.trials()
            if number in successors(trials):
                return
            old = TrialAttributes.of(trials[number])
            point = number if old.point is None else old.point
            attributes = retry_attributes(
                trials[number],
                self.trial_folder(number),
                # With a point it does not count as a proposal.
                point=point if self.spec.cells is None else None,
                from_scratch=from_scratch,
            )
            self._study.enqueue_trial(dict(old.knobs), user_attrs=attributes)
            self._ended = ended(self.trials())

    def _next(self, known: Sequence[FrozenTrial]) -> Trial | None:
        for trial in known:
            if trial.state == TrialState.RUNNING and self._try_acquire(trial.number):
                return self._recorder.resume(trial.number)
        if not self._starts_more(known):
            return None
        new = self._recorder.propose()
        self._storage.acquire(new.number)
        return new

    def _try_acquire(self, number: int) -> bool:
        """Takes a running trial whose driver crashed; True if it is now this driver's."""
        return number not in self._recorder and self._storage.try_acquire(number)

    def _starts_more(self, trials: Sequence[FrozenTrial]) -> bool:
        more = waits(trials) or (self.spec.cells is None and proposed(trials) < self.spec.points)
        return more and self._budget_spent(trials) is None

    def _budget_spent(self, trials: Sequence[FrozenTrial]) -> str | None:
        if self.spec.budget == Budget():
            return None
        usage = usage_of(
            self._usage.of_started(trials),
            self.spec.resources.gpus_per_trial,
            self._clock.elapsed_s,
        )
        return self.spec.budget.exhausted_by(usage)
