"""The Optuna study behind a study folder: which trials exist, which come next, and how each one
ended.

<study>/spec.yaml          what was asked
<study>/provenance.json    with which versions, hardware and corpus
<study>/prediction.json    what it was expected to cost
<study>/journal.log        the Optuna study, the only truth about trials, unless the spec names a
database for it <study>/trials/t00000/     one folder a trial: metrics log and checkpoints
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import ValidationError

from cpc_core.config import trajectory
from cpc_core.errors import ConfigError
from cpc_core.report import FinalOutcome
from search_spaces.samplers.base import POINT, draw
from search_spaces.samplers.replicate_mean import ReplicateMeanSampler
from study.dispatch.enqueue import Enqueuer
from study.dispatch.retry import continue_from, retry_attributes
from study.dispatch.reuse import TrialReuse
from study.dispatch.trial_index import TrialIndex, wilcoxon_verdict
from study.dispatch.trial_recorder import TrialRecorder
from study.dispatch.trial_spec import TrialSpec
from study.folders.provenance import collect
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import Identity, TrialFolder
from study.folders.usage import RunClock, UsageReader, usage_of
from study.spec.budget import Budget
from study.spec.study_spec import StudySpec
from study.storage.attributes import (
    CANCELLED_BY_USER,
    RETRY_OF,
    has_attributes,
    successors,
    untrainable_attributes,
)
from study.storage.backends import opened, storage_errors, tenure
from study.storage.base import Tenure, trial_lock

POLL_S = 1.0
"""Seconds between looks at what other drivers do."""


class Dispatcher:
    """Asks for trials and records how they went. Keeps what this driver holds of the study until it
    is closed.

    Use `create_or_open`. Trials that a killed driver left running are handed out again first, under
    the same number.
    """

    def __init__(
        self,
        folder: StudyFolder,
        spec: StudySpec,
        corpus_hash: str,
        study: optuna.Study,
        held: Tenure,
    ) -> None:
        self.folder, self.spec = folder, spec
        self._corpus_hash, self._tenure, self._study, self._clock = (
            corpus_hash,
            held,
            study,
            RunClock(study),
        )
        openings: int = study.user_attrs.get("openings", 0)
        study.set_user_attr("openings", openings + 1)
        study.pruner = spec.pruner.build(spec.longest)
        # Drivers that open the study before any trial was asked for must not draw the same ones.
        first_seed = int(spec.hash, 16)
        seed = (first_seed + len(self._frozen()) + openings) % 2**32
        study.sampler = ReplicateMeanSampler(
            spec.sampler.build(seed, first_seed % 2**32), study, spec.sampler.modelled_points
        )
        self._recorder = TrialRecorder(study, spec.objectives)
        self._ready: list[TrialSpec] = []
        self._spending = UsageReader(folder)
        self._roster, self._queue = TrialIndex(), Enqueuer(study, spec, corpus_hash)
        # Studies in an object store do not look at each other: each question would be a request.
        self._shared = (
            TrialReuse(Path(folder.path)) if spec.resources.share and folder.path.is_local else None
        )
        for interrupted in self._frozen(TrialState.RUNNING):
            # One may be taken that has had no driver for a while, which is counted from here, where
            # Ray has not been started yet.
            if self._tenure.adopt(self._lock(interrupted.number)):
                self._tenure.let_go(self._lock(interrupted.number))
        self._queue.add_grid()

    @classmethod
    def create_or_open(
        cls, folder: StudyFolder, spec: StudySpec, corpus_hash: str, corpus_caption: str
    ) -> Dispatcher:
        """Opens the study in `folder`, made if it is not there yet.

        Args:
            folder: The study folder.
            spec: What is asked.
            corpus_hash: Hash of the corpus manifest.
            corpus_caption: Corpus name and totals in words, for reports.

        Raises:
            ConfigError: The folder holds a study of another spec or corpus, or cannot be written.
            CpcError: Another driver is running the study.
        """
        if folder.path.is_local:
            try:
                Path(folder.path).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"the study folder {folder} cannot be made ({error.strerror}): choose another one with -o"
                ) from error
        with storage_errors(folder, spec.store):
            held = tenure(folder, spec, corpus_hash)
            try:
                with held.alone():
                    if folder.holds_study():
                        folder.require_same(spec, corpus_hash)
                    else:
                        content = {
                            **collect(folder.path, spec.hash, corpus_hash, corpus_caption),
                            "study_id": uuid.uuid4().hex[:12],
                        }
                        folder.write_provenance(content)
                    folder.write_spec(spec)
                    return cls(
                        folder, spec, corpus_hash, opened(held, spec, folder.provenance()), held
                    )
            except BaseException:
                held.close()
                raise

    def close(self) -> None:
        """Lets another driver open the study."""
        try:
            self._clock.save()
        finally:
            self._tenure.close()

    @property
    def ended(self) -> int:
        """Trials that have ended, without those that were retried, as far as was known when a trial
        was last asked for or told.
        """
        return self._roster.ended

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Numbers of the trials that run or wait."""
        return tuple(trial.number for trial in self._frozen(TrialState.RUNNING, TrialState.WAITING))

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train, or nothing to train it with."""
        trials = self._frozen()
        return not (
            any(trial.state == TrialState.RUNNING for trial in trials) or self._starts_more(trials)
        )

    def _starts_more(self, trials: Sequence[FrozenTrial]) -> bool:
        self._roster.read(trials)
        return (self._roster.waits or self._proposes) and self._budget_spent(trials) is None

    @property
    def budget_spent(self) -> str | None:
        """Which limit of the budget has been reached, in words."""
        return self._budget_spent(self._frozen())

    def _budget_spent(self, trials: Sequence[FrozenTrial]) -> str | None:
        if self.spec.budget == Budget():
            return None
        progress = self._spending.of_started(trials)
        return self.spec.budget.exhausted_by(
            usage_of(progress, self.spec.resources.gpus_per_trial, self._clock.elapsed_s)
        )

    def trial_folder(self, number: int) -> TrialFolder:
        """Where a trial keeps its files."""
        return self.folder.trial(number)

    def ask(self) -> TrialSpec | None:
        """The next trial to train, or None while there is none: all are running, here or elsewhere,
        or have ended.
        """
        if self._ready:
            return self._ready.pop()
        with self._tenure.alone():
            while (trial := self._next(known := self._frozen())) is not None:
                self._recorder.begin(trial)
                assignment = self._assign(trial, known)
                if assignment is not None:
                    return assignment
        return None

    def wait(self, interrupted: Callable[[], bool]) -> bool:
        """Waits while other drivers train what is left; returns whether there is a trial to train
        here, as one of theirs is when its driver has been killed.

        Args:
            interrupted: Ends the waiting.
        """
        while not (self.finished or interrupted()):
            assignment = self.ask()
            if assignment is not None:
                self._ready.append(assignment)
                return True
            time.sleep(POLL_S)
        return False

    def hold(self) -> None:
        """Makes sure that the running trials are still this driver's. To be called every few
        seconds.

        Raises:
            psycopg.Error: The database cannot say so any more; `reaching` says it readably.
            UnreachableError: The object store cannot.
        """
        self._tenure.hold()

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Records the (first) objective's value at a step; the first value of a step stays, so that
        a repeat changes nothing.
        """
        self._recorder.report(number, step, metrics)

    def should_prune(self, number: int) -> bool:
        """Whether the pruner gives the trial up, judged from what the store knows of all trials."""
        return self._recorder.should_prune(number)

    def tell(
        self, number: int, outcome: FinalOutcome, metrics: Mapping[str, float], reason: str = ""
    ) -> None:
        """Ends a trial.

        Args:
            number: A trial that `ask` gave.
            outcome: How it ended. Only `complete` gives the trial a final value.
            metrics: Final metrics of a complete trial, the latest ones otherwise.
            reason: Why, where the outcome is not plain success.
        """
        self._recorder.end(number, outcome, metrics, reason, self.trial_folder(number).log())
        self._tenure.let_go(self._lock(number))
        self._roster.ended += 1
        self._clock.save()

    def cancel(self, number: int) -> None:
        """Ends a trial that waits, or that a killed driver left running, as the user wishes; one
        that has ended stays as it is.

        A trial that is being trained is not ended here: whoever trains it ends it, and then tells.
        """
        with self._tenure.alone():
            trial = self._frozen()[number]
            if trial.state == TrialState.WAITING:
                self._recorder.cancel_waiting(trial, CANCELLED_BY_USER)
            elif trial.state == TrialState.RUNNING and self._adopts(number):
                self._recorder.begin(Trial(self._study, trial._trial_id))
                if not has_attributes(trial):
                    # Left while it was being proposed. It names itself as its point, so that
                    # another one is proposed instead.
                    self._recorder.describe(
                        number, {**untrainable_attributes({}, self.spec.seeds[0]), POINT: number}
                    )
                log = self.trial_folder(number).log()
                self.tell(number, "cancelled", log[-1].metrics if log else {}, CANCELLED_BY_USER)
            self._roster.read(self._frozen())

    def retry(self, number: int, *, fresh: bool) -> None:
        """Queues a trial that failed, diverged or was cancelled to be trained again under a new
        number, which then counts instead.

        Args:
            number: The trial; one that was retried before stays as it is.
            fresh: Whether to train from scratch although there is a checkpoint to go on from.
        """
        with self._tenure.alone():
            trials = self._frozen()
            if number in successors(trials):
                return
            trial = trials[number]
            attributes = retry_attributes(trial, self.trial_folder(number), fresh=fresh)
            if self.spec.cells is None:
                # It repeats a point, and is none that the sampler proposes.
                attributes[POINT] = trial.user_attrs.get(POINT, number)
            self._study.enqueue_trial(trial.user_attrs["knobs"], user_attrs=attributes)
            self._roster.read(self._frozen())

    def _next(self, known: Sequence[FrozenTrial]) -> Trial | None:
        for running in known:
            if running.state == TrialState.RUNNING and self._adopts(running.number):
                self._roster.read(known)
                return Trial(self._study, running._trial_id)
        if not self._starts_more(known):
            return None
        trial = self._study.ask()
        self._tenure.take(self._lock(trial.number))
        return trial

    def _adopts(self, number: int) -> bool:
        """Takes a running trial whose driver was killed; returns whether it is this driver's
        now.
        """
        return number not in self._recorder and self._tenure.adopt(self._lock(number))

    def _lock(self, number: int) -> str:
        return trial_lock(self._study.study_name, number)

    @property
    def _proposes(self) -> bool:
        """Whether the sampler still has points to propose."""
        return self.spec.cells is None and self._roster.points < self.spec.points

    def _assign(self, trial: Trial, known: Sequence[FrozenTrial]) -> TrialSpec | None:
        """Completes a trial's configuration, given the trials before it. None if it ended right
        here: nothing is left to train.
        """
        sample = draw(self.spec.space, trial)
        seed: int = trial.user_attrs.get("seed", self.spec.seeds[0])
        try:
            assignment = TrialSpec.of(self.spec, self._corpus_hash, trial.number, sample, seed)
        except ValidationError as error:
            self._recorder.describe(trial.number, untrainable_attributes(sample, seed))
            self._queue.add_replicates(trial, sample, known)
            self.tell(
                trial.number,
                "failed",
                {},
                f"the sampled configuration cannot be trained: {error.errors()[0]['msg']}",
            )
            return None
        self._recorder.describe(trial.number, assignment.description)
        self._queue.add_replicates(trial, sample, known)
        if self._tell_ending(trial.number):
            return None
        given_up = wilcoxon_verdict(known, assignment.cell_id, self.spec)
        if given_up is not None and not self.trial_folder(trial.number).log():
            self.tell(trial.number, "pruned", {}, given_up)
            return None
        same = self._roster.same(assignment.trial_id, assignment.number, self._begun)
        if same is not None:
            self.tell(
                trial.number,
                "cancelled",
                {},
                f"the same configuration as trial {same}, which is trained once",
            )
            return None
        return assignment if self._begin(assignment) else None

    def _begin(self, assignment: TrialSpec) -> bool:
        """Makes the trial's folder, with what was trained before; returns whether anything is left
        to train.
        """
        folder, number = self.trial_folder(assignment.number), assignment.number
        trajectory_id = trajectory(assignment.config, self._corpus_hash)
        steps = assignment.config.training.steps
        folder.create(assignment.config)
        folder.identify(
            Identity(
                assignment.trial_id,
                trajectory_id,
                steps,
                self.spec.hash,
                self._corpus_hash,
                assignment.seed,
            )
        )
        if folder.newest_step() is not None:
            return True
        attributes = self._recorder.attributes(number)
        if RETRY_OF in attributes:
            # Never shared: from scratch it would find the trial that it repeats.
            adopted = continue_from(
                attributes, self.trial_folder(attributes[RETRY_OF]), folder, assignment.config
            )
        else:
            adopted = self._shared is not None and self._shared.adopt(
                trajectory_id, assignment.config, folder
            )
        if not adopted:
            return True
        for entry in folder.log():
            self.report(number, entry.step, entry.metrics)
        return not self._tell_ending(number)

    def _begun(self, number: int) -> bool:
        return self.trial_folder(number).identity() is not None

    def _tell_ending(self, number: int) -> bool:
        """Ends a trial whose folder shows that its training has ended; returns whether it does."""
        ending = self.trial_folder(number).ending()
        if ending is None or ending.outcome not in ("complete", "diverged"):
            return False
        self.tell(number, ending.outcome, ending.metrics, ending.reason)
        return True

    def _frozen(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)
