"""From a sample to a trial ready to train: its configuration, its folder, and reused steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, Trial
from pydantic import ValidationError

from cpc_core.config import trajectory
from cpc_core.report import Report
from search_spaces.samplers.base import draw
from study.dispatch.enqueue import Enqueuer
from study.dispatch.retry import continue_from
from study.dispatch.reuse import TrialReuse
from study.dispatch.trial_index import same_configuration, wilcoxon_verdict
from study.dispatch.trial_recorder import TrialRecorder
from study.dispatch.trial_spec import TrialSpec
from study.folders.study_folder import StudyFolder
from study.folders.trial_folder import Identity, TrialFolder
from study.spec.study_spec import StudySpec
from study.storage.attributes import TrialAttributes, identity


@dataclass(frozen=True)
class Preparation:
    """Turns proposed or queued trials into ones ready to train.

    Attributes:
        folder: The study folder.
        spec: The study's.
        corpus_hash: Hash of the corpus manifest.
        recorder: Of this driver's trials.
        enqueuer: Adds the replicates of a proposal.
        reuse: Trials of studies in the same parent folder; None if they are not reused.
    """

    folder: StudyFolder
    spec: StudySpec
    corpus_hash: str
    recorder: TrialRecorder
    enqueuer: Enqueuer
    reuse: TrialReuse | None

    def prepare(self, trial: Trial, known: Sequence[FrozenTrial]) -> TrialSpec | Report:
        """The trial to train, or its final report where nothing is left to train.

        Args:
            trial: A trial of the recorder.
            known: Every trial before it.
        """
        sample = draw(self.spec.space, trial)
        stored = TrialAttributes.of(trial)
        seed = stored.seed if stored.complete else self.spec.seeds[0]
        try:
            ready = TrialSpec.of(self.spec, self.corpus_hash, trial.number, sample, seed)
        except ValidationError as error:
            self.recorder.describe(trial.number, identity(sample, seed))
            self.enqueuer.add_replicates(trial, sample, known)
            reason = f"the sampled configuration cannot be trained: {error.errors()[0]['msg']}"
            return Report(0, {}, "failed", reason)
        self.recorder.describe(trial.number, ready.attributes())
        self.enqueuer.add_replicates(trial, sample, known)
        folder = self.folder.trial(trial.number)
        if (final := final_report(folder)) is not None:
            return final
        verdict = wilcoxon_verdict(known, ready.cell_id, self.spec)
        if verdict is not None and not folder.log():
            return Report(0, {}, "pruned", verdict)
        same = same_configuration(known, ready.trial_id, trial.number, self._begun)
        if same is not None:
            reason = f"the same configuration as trial {same}, which is trained once"
            return Report(0, {}, "cancelled", reason)
        return self._begin(ready, folder)

    def _begin(self, ready: TrialSpec, folder: TrialFolder) -> TrialSpec | Report:
        """Creates the trial's folder, with the steps that were trained before."""
        trajectory_id = trajectory(ready.config, self.corpus_hash)
        steps = ready.config.training.steps
        folder.create(ready.config)
        folder.identify(
            Identity(
                ready.trial_id, trajectory_id, steps, self.spec.hash, self.corpus_hash, ready.seed
            )
        )
        if folder.newest_step() is not None:
            return ready
        stored = self.recorder.attributes(ready.number)
        if stored.retry_of is not None:
            # Reuse would find the trial that a retry from scratch repeats.
            old = self.folder.trial(stored.retry_of)
            copied = continue_from(stored.continues, old, folder, ready.config)
        else:
            copied = self.reuse is not None and self.reuse.copy_steps(
                trajectory_id, ready.config, folder
            )
        if copied:
            for entry in folder.log():
                self.recorder.report(ready.number, entry.step, entry.metrics)
        return (final_report(folder) if copied else None) or ready

    def _begun(self, number: int) -> bool:
        return self.folder.trial(number).identity() is not None


def final_report(folder: TrialFolder) -> Report | None:
    """Last report of a trial whose training has ended and left its checkpoint; None otherwise."""
    report = folder.ending()
    return report if report is not None and report.outcome in ("complete", "diverged") else None
