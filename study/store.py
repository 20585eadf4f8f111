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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState
from pydantic import ValidationError

from cpc_core.config import CpcConfig, signature
from cpc_core.errors import ConfigError
from search_spaces.space import Sample
from study.budget import Budget, Clock, spent
from study.files import write_atomically
from study.lock import DriverLock
from study.provenance import collect
from study.reading import JOURNAL, PROVENANCE, SPEC, read_provenance, read_spec, stored_outcome
from study.records import CANCELLED_BY_USER
from study.replicates import why_given_up
from study.retries import CONTINUES, RETRY_OF, Start, retry_attributes, standing, successors
from study.sampling import build_pruner, build_sampler, draw, planned_pairs
from study.searching import GridSampler, WilcoxonPruner
from study.spec import StudySpec
from study.trial_folder import TrialFolder

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
            direction=spec.objective.direction,
            pruner=build_pruner(spec),
            load_if_exists=True,
        )
        self._study.sampler = build_sampler(spec, asked=len(self._frozen()))
        self._live: dict[int, Trial] = {}
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
                content = collect(spec.hash, corpus_hash, corpus_caption)
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
        """Trials that have ended, without those that were retried."""
        return sum(trial.state.is_finished() for trial in standing(self._frozen()))

    @property
    def unfinished(self) -> tuple[int, ...]:
        """Numbers of the trials that run or wait."""
        return tuple(trial.number for trial in self._frozen(TrialState.RUNNING, TrialState.WAITING))

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train, or nothing to train it with."""
        return not (self._interrupted or self._live or self._starts_more)

    @property
    def _starts_more(self) -> bool:
        return self.budget_spent is None and bool(self._frozen(TrialState.WAITING) or self._proposes)

    @property
    def budget_spent(self) -> str | None:
        """Which limit of the budget has been reached, in words."""
        if self.spec.budget == Budget():
            return None
        progress = []
        for trial in self._frozen():
            log = () if trial.state == TrialState.WAITING else self.trial_folder(trial.number).log()
            start = Start.of(trial.user_attrs)
            if log or trial.number in self._live:
                progress.append((log[-1].step - start.step, log[-1].elapsed_s - start.elapsed_s) if log else (0, 0.0))
        return self.spec.budget.exhausted_by(spent(progress, self.spec.resources.gpus_per_trial, self._clock.elapsed_s))

    def trial_folder(self, number: int) -> TrialFolder:
        """Where a trial keeps its files."""
        return TrialFolder(self.folder, number)

    def ask(self) -> Assignment | None:
        """The next trial to train, or None while there is none: all are running or have ended."""
        while (trial := self._next()) is not None:
            self._live[trial.number] = trial
            assignment = self._assign(trial)
            if assignment is not None:
                return assignment
        return None

    def report(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """Records the objective's value at a step; the first value of a step stays, so that a repeat changes nothing."""
        value = metrics.get(self.spec.objective.metric)
        trial = self._live[number]
        if value is not None and step not in self._study.trials[number].intermediate_values:
            trial.report(value, step)

    def should_prune(self, number: int) -> bool:
        """Whether the pruner gives the trial up, judged from what the store knows of all trials."""
        return self._live[number].should_prune()

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
        value = metrics.get(self.spec.objective.metric)
        if outcome == "complete" and (value is None or not math.isfinite(value)):
            outcome, reason = "failed", f"the final report gives no finite {self.spec.objective.metric}, but {value}"
        trial = self._live.pop(number)
        trial.set_user_attr("ending", _ending(outcome, reason, metrics))
        if outcome == "complete":
            self._study.tell(trial, value)
        else:
            self._study.tell(trial, state=TrialState.PRUNED if outcome == "pruned" else TrialState.FAIL)
        self._clock.keep()

    def cancel(self, number: int) -> None:
        """Ends a trial that waits, or that a killed driver left running, as the user wishes; one that has ended stays as it is.

        A trial that is being trained is not ended here: whoever trains it ends it, and then tells.
        """
        interrupted = next((trial for trial in self._interrupted if trial.number == number), None)
        if interrupted is not None:
            self._interrupted.remove(interrupted)
            self._live[number] = interrupted
            log = self.trial_folder(number).log()
            self.tell(number, "cancelled", log[-1].metrics if log else {}, CANCELLED_BY_USER)
            return
        trial = self._frozen()[number]
        if trial.state == TrialState.WAITING:
            storage = self._study._storage
            storage.set_trial_user_attr(trial._trial_id, "ending", _ending("cancelled", CANCELLED_BY_USER, {}))
            storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def retry(self, number: int, *, fresh: bool) -> None:
        """Queues a trial that failed, diverged or was cancelled to be trained again under a new number, which then counts instead.

        Args:
            number: The trial; one that was retried before stays as it is.
            fresh: Whether to train from scratch although there is a checkpoint to go on from.
        """
        trials = self._frozen()
        if number in successors(trials):
            return
        trial = trials[number]
        attributes = retry_attributes(trial, self.trial_folder(number), fresh=fresh)
        if not isinstance(self.spec.sampler, GridSampler):
            # It repeats a point, and is none that the sampler proposes.
            attributes["point"] = trial.user_attrs.get("point", number)
        self._study.enqueue_trial(trial.user_attrs["knobs"], user_attrs=attributes)

    def _next(self) -> Trial | None:
        if self._interrupted:
            return self._interrupted.pop(0)
        return self._study.ask() if self._starts_more else None

    @property
    def _proposes(self) -> bool:
        """Whether the sampler still has points to propose. Replicates carry the number of the point that they repeat."""
        if isinstance(self.spec.sampler, GridSampler):
            return False
        return sum("point" not in trial.user_attrs for trial in self._frozen()) < self.spec.sampler.trials

    def _assign(self, trial: Trial) -> Assignment | None:
        """Completes a trial's configuration. None if it ended right here: nothing is left to train."""
        sample = draw(self.spec.space, trial)
        seed: int = trial.user_attrs.get("seed", self.spec.seeds[0])
        try:
            assignment = self._assignment(trial.number, sample, seed)
        except ValidationError as error:
            self._describe(trial, {"seed": seed, "knobs": sample, "trial_id": "", "cell_id": ""})
            self.tell(trial.number, "failed", {}, f"the sampled configuration cannot be trained: {error.errors()[0]['msg']}")
            return None
        self._describe(trial, _description(assignment))
        self._enqueue_replicates(assignment, trial)
        self._take_over(trial)
        ending = self.trial_folder(trial.number).ending()
        if ending is not None and ending.outcome in ("complete", "diverged"):
            self.tell(trial.number, ending.outcome, ending.metrics, ending.reason)
            return None
        given_up = self._given_up(assignment)
        if given_up is not None and not self.trial_folder(trial.number).log():
            self.tell(trial.number, "pruned", {}, given_up)
            return None
        same = self._same_configuration(assignment)
        if same is not None:
            self.tell(trial.number, "cancelled", {}, f"the same configuration as trial {same}, which is trained once")
            return None
        return assignment

    def _take_over(self, trial: Trial) -> None:
        """Gives a retry what it goes on from, unless it has it."""
        folder = self.trial_folder(trial.number)
        if CONTINUES in trial.user_attrs and folder.checkpoint() is None:
            folder.adopt(self.trial_folder(trial.user_attrs[RETRY_OF]), Start.of(trial.user_attrs).step)

    def _given_up(self, assignment: Assignment) -> str | None:
        """Why a cell gets no further seed, where the spec spends seeds adaptively."""
        if not isinstance(self.spec.pruner, WilcoxonPruner):
            return None
        sign = 1.0 if self.spec.objective.direction == "maximize" else -1.0
        values: dict[str, dict[int, float]] = {}
        for trial in self._frozen(TrialState.COMPLETE):
            if trial.value is not None:
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

    def _same_configuration(self, assignment: Assignment) -> int | None:
        """Number of another trial that trains, or has trained, the same configuration."""
        for trial in standing(self._frozen()):
            if trial.number != assignment.number and trial.user_attrs.get("trial_id") == assignment.trial_id and _holds(trial):
                return trial.number
        return None

    def _enqueue_grid(self) -> None:
        if not isinstance(self.spec.sampler, GridSampler):
            return
        known = {(trial.user_attrs["cell_id"], trial.user_attrs["seed"]) for trial in self._frozen()}
        for sample, seed in planned_pairs(self.spec):
            planned = self._assignment(0, sample, seed)
            if (planned.cell_id, planned.seed) not in known:
                known.add((planned.cell_id, planned.seed))
                self._study.enqueue_trial(dict(sample), user_attrs=_description(planned))

    def _enqueue_replicates(self, first: Assignment, trial: Trial) -> None:
        """Queues a proposed point again for every other seed; a killed driver's missing ones are added on resume."""
        if isinstance(self.spec.sampler, GridSampler) or "point" in trial.user_attrs:
            return
        known = {other.user_attrs["seed"] for other in self._frozen() if other.user_attrs.get("point") == first.number}
        for seed in self.spec.seeds[1:]:
            if seed not in known:
                replicate = self._assignment(0, first.sample, seed)
                self._study.enqueue_trial(dict(first.sample), user_attrs={**_description(replicate), "point": first.number})

    def _frozen(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)


def _ending(outcome: Ending, reason: str, metrics: Mapping[str, float]) -> dict[str, object]:
    return {"outcome": outcome, "reason": reason, "metrics": dict(metrics)}


def _description(assignment: Assignment) -> dict[str, object]:
    return {
        "seed": assignment.seed,
        "knobs": dict(assignment.sample),
        "trial_id": assignment.trial_id,
        "cell_id": assignment.cell_id,
    }


def _holds(trial: FrozenTrial) -> bool:
    """Whether a trial keeps its configuration from being trained again. One that the user cancelled does, until it is retried."""
    outcome = stored_outcome(trial)
    by_user = outcome == "cancelled" and trial.user_attrs["ending"]["reason"] == CANCELLED_BY_USER
    return by_user or outcome not in ("waiting", "failed", "cancelled")


def _refuse_another(folder: Path, spec: StudySpec, corpus_hash: str) -> None:
    stored = read_spec(folder)
    if stored.hash != spec.hash:
        raise ConfigError(
            f"{folder} holds the study '{stored.name}' with spec {stored.hash}, not {spec.hash}: choose another folder with -o, "
            "or restore the spec that it was started with"
        )
    stored_corpus = read_provenance(folder)["corpus_hash"]
    if stored_corpus != corpus_hash:
        raise ConfigError(
            f"{folder} was started on a corpus with hash {stored_corpus[:12]}, but {spec.corpus} has {corpus_hash[:12]}: "
            "choose another folder with -o, or restore the corpus"
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
