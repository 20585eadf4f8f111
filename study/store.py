"""The Optuna study behind a study folder: which trials exist, which come next, and how each one ended.

<study>/spec.yaml          what was asked
<study>/provenance.json    with which versions, hardware and corpus
<study>/prediction.json    what it was expected to cost
<study>/clock.json         how long it has been run
<study>/journal.log        the Optuna study, the only truth about trials
<study>/trials/t00000/     one folder a trial: metrics log and checkpoints
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.pruners import NopPruner
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import ValidationError

from cpc_core.config import CpcConfig, signature, trajectory
from cpc_core.errors import ConfigError
from search_spaces.space import Sample
from study.budget import Budget, Clock, spent
from study.files import write_atomically
from study.lock import DriverLock
from study.points import POINT, PointSampler
from study.provenance import collect
from study.reading import JOURNAL, PROVENANCE, SPEC, read_provenance, read_spec
from study.replicates import why_given_up
from study.roster import Roster
from study.sampling import build_pruner, build_sampler, draw, planned_pairs, points_modelled
from study.searching import GridSampler, WilcoxonPruner
from study.sharing import SharedTrials
from study.spec import StudySpec
from study.spending import Spending
from study.trial_folder import Identity, TrialFolder

Ending = Literal["complete", "pruned", "diverged", "failed", "cancelled"]


@dataclass(frozen=True)
class Assignment:
    """A trial to train.

    Attributes:
        number: Position in the study.
        sample: Knob name → value.
        seed: The replicate's seed.
        config: The resolved configuration.
        trial_id: Its signature.
        cell_id: Its signature without the seed.
    """

    number: int
    sample: Sample
    seed: int
    config: CpcConfig
    trial_id: str
    cell_id: str


class StudyStore:
    """Asks for trials and records how they went. Holds the study's driver lock until it is closed.

    Use `create_or_open`. Trials that a killed driver left running are handed out again first, under the same number.
    """

    def __init__(self, folder: Path, spec: StudySpec, corpus_hash: str, lock: DriverLock) -> None:
        self.folder, self.spec = folder, spec
        self._corpus_hash, self._lock, self._clock = corpus_hash, lock, Clock(folder)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            study_name=spec.name,
            storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
            directions=[objective.direction for objective in spec.objectives],
            pruner=build_pruner(spec),
            load_if_exists=True,
        )
        self._study.sampler = PointSampler(build_sampler(spec, asked=len(self._frozen())), self._study, points_modelled(spec))
        self._live: dict[int, Trial] = {}
        self._reported: dict[int, set[int]] = {}
        self._spending = Spending(folder)
        self._roster = Roster()
        self._shared = SharedTrials(folder) if spec.resources.share else None
        self._interrupted = [Trial(self._study, trial._trial_id) for trial in self._frozen(TrialState.RUNNING)]
        self._enqueue_grid()

    @classmethod
    def create_or_open(cls, folder: Path, spec: StudySpec, corpus_hash: str, corpus_caption: str) -> StudyStore:
        """Opens the study in `folder`, made if it is not there yet.

        Args:
            folder: The study folder.
            spec: What is asked.
            corpus_hash: Hash of the corpus manifest.
            corpus_caption: Corpus name and totals in words, for reports.

        Raises:
            ConfigError: The folder holds a study of another spec or corpus.
            CpcError: Another driver is running the study.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"the study folder {folder} cannot be made ({error.strerror}): choose another one with -o") from error
        lock = DriverLock(folder)
        try:
            if (folder / SPEC).exists():
                _refuse_another(folder, spec, corpus_hash)
            else:
                content = collect(folder, spec.hash, corpus_hash, corpus_caption)
                write_atomically(folder / PROVENANCE, json.dumps(content, indent=2) + "\n")
            write_atomically(folder / SPEC, spec.to_yaml())
            _heal_journal(folder / JOURNAL)
            return cls(folder, spec, corpus_hash, lock)
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Lets another driver open the study."""
        self._clock.keep()
        self._lock.release()

    @property
    def ended(self) -> int:
        """Trials that have ended, as far as was known when a trial was last asked for or told."""
        return self._roster.ended

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train, or nothing to train it with."""
        return not (self._interrupted or self._live or self._starts_more(self._frozen()))

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
        progress = self._spending.of_started(trials, self._live)
        return self.spec.budget.exhausted_by(spent(progress, self.spec.resources.gpus_per_trial, self._clock.elapsed_s))

    def trial_folder(self, number: int) -> TrialFolder:
        """Where a trial keeps its files."""
        return TrialFolder(self.folder, number)

    def ask(self) -> Assignment | None:
        """The next trial to train, or None while there is none: all are running or have ended."""
        while (trial := self._next(known := self._frozen())) is not None:
            self._live[trial.number] = trial
            self._reported[trial.number] = set(self._study._storage.get_trial(trial._trial_id).intermediate_values)
            assignment = self._assign(trial, known)
            if assignment is not None:
                return assignment
        return None

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Records the (first) objective's value at a step; the first value of a step stays, so that a repeat changes nothing."""
        value = metrics.get(self.spec.objectives[0].metric)
        if value is None or step in self._reported[number]:
            return
        self._reported[number].add(step)
        trial = self._live[number]
        if len(self.spec.objectives) == 1:
            trial.report(value, step)
        else:
            # Optuna's Trial takes no reports towards several objectives; its storages do.
            self._study._storage.set_trial_intermediate_value(trial._trial_id, step, value)

    def should_prune(self, number: int) -> bool:
        """Whether the pruner gives the trial up, judged from what the store knows of all trials."""
        return not isinstance(self._study.pruner, NopPruner) and self._live[number].should_prune()

    def tell(self, number: int, outcome: Ending, metrics: Mapping[str, float], reason: str = "") -> None:
        """Ends a trial.

        Args:
            number: A trial that `ask` gave.
            outcome: How it ended. Only `complete` gives the trial a final value.
            metrics: Final metrics of a complete trial, the latest ones otherwise.
            reason: Why, where the outcome is not plain success.
        """
        for entry in self.trial_folder(number).log():
            self.report(number, entry.step, entry.metrics)
        values = {objective.metric: metrics.get(objective.metric) for objective in self.spec.objectives}
        missing = next((name for name, value in values.items() if value is None or not math.isfinite(value)), None)
        if outcome == "complete" and missing is not None:
            outcome, reason = "failed", f"the final report gives no finite {missing}, but {values[missing]}"
        trial = self._live.pop(number)
        del self._reported[number]
        trial.set_user_attr("ending", {"outcome": outcome, "reason": reason, "metrics": dict(metrics)})
        if outcome == "complete":
            self._study.tell(trial, [value for value in values.values() if value is not None])
        else:
            self._study.tell(trial, state=TrialState.PRUNED if outcome == "pruned" else TrialState.FAIL)
        self._roster.ended += 1
        self._clock.keep()

    def _next(self, known: Sequence[FrozenTrial]) -> Trial | None:
        if self._interrupted:
            self._roster.read(known)
            return self._interrupted.pop(0)
        return self._study.ask() if self._starts_more(known) else None

    @property
    def _proposes(self) -> bool:
        """Whether the sampler still has points to propose."""
        return not isinstance(self.spec.sampler, GridSampler) and self._roster.points < self.spec.sampler.trials

    def _assign(self, trial: Trial, known: Sequence[FrozenTrial]) -> Assignment | None:
        """Completes a trial's configuration, given the trials before it. None if it ended right here: nothing is left to train."""
        sample = draw(self.spec.space, trial)
        seed: int = trial.user_attrs.get("seed", self.spec.seeds[0])
        try:
            assignment = self._assignment(trial.number, sample, seed)
        except ValidationError as error:
            self._describe(trial, {"seed": seed, "knobs": sample, "trial_id": "", "cell_id": ""})
            self.tell(trial.number, "failed", {}, f"the sampled configuration cannot be trained: {error.errors()[0]['msg']}")
            return None
        self._describe(trial, _description(assignment))
        self._enqueue_replicates(assignment, trial, known)
        if self._tell_ending(trial.number):
            return None
        given_up = self._given_up(assignment, known)
        if given_up is not None and not self.trial_folder(trial.number).log():
            self.tell(trial.number, "pruned", {}, given_up)
            return None
        same = self._roster.same(assignment.trial_id, assignment.number)
        if same is not None:
            self.tell(trial.number, "cancelled", {}, f"the same configuration as trial {same}, which is trained once")
            return None
        return assignment if self._begin(assignment) else None

    def _begin(self, assignment: Assignment) -> bool:
        """Makes the trial's folder, with what was trained before; returns whether anything is left to train."""
        folder, number = self.trial_folder(assignment.number), assignment.number
        trajectory_id = trajectory(assignment.config, self._corpus_hash)
        steps = assignment.config.training.steps
        folder.identify(Identity(assignment.trial_id, trajectory_id, steps, self.spec.hash, self._corpus_hash, assignment.seed))
        if self._shared is None or folder.checkpoint() is not None:
            return True
        if not self._shared.adopt(trajectory_id, assignment.config, folder):
            return True
        for entry in folder.log():
            self.report(number, entry.step, entry.metrics)
        return not self._tell_ending(number)

    def _tell_ending(self, number: int) -> bool:
        """Ends a trial whose folder shows that its training has ended; returns whether it does."""
        ending = self.trial_folder(number).ending()
        if ending is None or ending.outcome not in ("complete", "diverged"):
            return False
        self.tell(number, ending.outcome, ending.metrics, ending.reason)
        return True

    def _given_up(self, assignment: Assignment, known: Sequence[FrozenTrial]) -> str | None:
        """Why a cell gets no further seed, where the spec spends seeds adaptively."""
        if not isinstance(self.spec.pruner, WilcoxonPruner):
            return None
        sign = 1.0 if self.spec.objectives[0].direction == "maximize" else -1.0
        values: dict[str, dict[int, float]] = {}
        for trial in known:
            if trial.state == TrialState.COMPLETE and trial.value is not None:
                values.setdefault(trial.user_attrs["cell_id"], {})[trial.user_attrs["seed"]] = sign * trial.value
        return why_given_up(values, assignment.cell_id, self.spec.pruner)

    def _assignment(self, number: int, sample: Sample, seed: int) -> Assignment:
        config = self.spec.config(sample, seed)
        cell_id = signature(config, self._corpus_hash, ignore_seed=True)
        return Assignment(number, sample, seed, config, signature(config, self._corpus_hash), cell_id)

    @staticmethod
    def _describe(trial: Trial, description: Mapping[str, object]) -> None:
        for name, value in description.items():
            if name not in trial.user_attrs:
                trial.set_user_attr(name, value)

    def _enqueue_grid(self) -> None:
        if not isinstance(self.spec.sampler, GridSampler):
            return
        known = {(trial.user_attrs["cell_id"], trial.user_attrs["seed"]) for trial in self._frozen()}
        for sample, seed in planned_pairs(self.spec):
            planned = self._assignment(0, sample, seed)
            if (planned.cell_id, planned.seed) not in known:
                known.add((planned.cell_id, planned.seed))
                self._study.enqueue_trial(dict(sample), user_attrs=_description(planned))

    def _enqueue_replicates(self, first: Assignment, trial: Trial, known: Sequence[FrozenTrial]) -> None:
        """Queues a proposed point again for every other seed; a killed driver's missing ones are added on resume."""
        others = self.spec.seeds[1:]
        if not others or isinstance(self.spec.sampler, GridSampler) or POINT in trial.user_attrs:
            return
        queued = {other.user_attrs["seed"] for other in known if other.user_attrs.get(POINT) == first.number}
        for seed in others:
            if seed not in queued:
                replicate = self._assignment(0, first.sample, seed)
                self._study.enqueue_trial(dict(first.sample), user_attrs={**_description(replicate), POINT: first.number})

    def _frozen(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)


def _description(assignment: Assignment) -> dict[str, object]:
    return {
        "seed": assignment.seed,
        "knobs": dict(assignment.sample),
        "trial_id": assignment.trial_id,
        "cell_id": assignment.cell_id,
    }


def _refuse_another(folder: Path, spec: StudySpec, corpus_hash: str) -> None:
    stored = read_spec(folder)
    if stored.hash != spec.hash:
        raise ConfigError(
            f"{folder} holds the study '{stored.name}' with spec {stored.hash}, not {spec.hash}: choose another folder with -o, "
            f"or restore the spec that it was started with{_continuation(stored, spec)}"
        )
    stored_corpus = read_provenance(folder)["corpus_hash"]
    if stored_corpus != corpus_hash:
        raise ConfigError(
            f"{folder} was started on a corpus with hash {stored_corpus[:12]}, but {spec.corpus} has {corpus_hash[:12]}: "
            "choose another folder with -o, or restore the corpus"
        )


def _continuation(stored: StudySpec, spec: StudySpec) -> str:
    """What to do where the specs differ in nothing but how long they train."""

    def split(given: StudySpec) -> tuple[StudySpec, bool]:
        training = {name: value for name, value in given.base.get("training", {}).items() if name != "steps"}
        decays = given.base.get("optimizer", {}).get("decay_steps") is not None
        return given.model_copy(update={"base": {**given.base, "training": training}}), decays

    (shorter, decays), (longer, _) = split(stored), split(spec)
    if shorter.hash != longer.hash:
        return ""
    if decays:
        return ". To train longer, keep both: in a folder beside this one, every trial goes on from its last checkpoint here"
    return (
        ". Only training.steps differs, but the learning rate falls over as many steps, so that no step would be the same: name "
        "optimizer.decay_steps in both specs, and in a folder beside this one every trial goes on from its last checkpoint here"
    )


def _heal_journal(journal: Path) -> None:
    """Removes what a killed driver may leave: a stale lock, waited for otherwise, and half a last line, fatal otherwise."""
    journal.with_name(f"{journal.name}.lock").unlink(missing_ok=True)
    if journal.exists():
        content = journal.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            with journal.open("r+b") as file:
                file.truncate(whole)
