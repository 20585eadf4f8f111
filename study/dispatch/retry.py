"""Retries. Optuna never reopens an ended trial: a retry is a new one that replaces it."""

from __future__ import annotations

from optuna.trial import FrozenTrial

from cpc_core.config import CpcConfig
from study.folders.trial_folder import TrialFolder
from study.storage.attributes import TrialAttributes, identity


def retry_attributes(
    trial: FrozenTrial, folder: TrialFolder, *, point: int | None, from_scratch: bool
) -> dict[str, object]:
    """User attributes of the retry of a trial.

    Args:
        trial: A trial that failed, diverged or was cancelled.
        folder: Its folder.
        point: Number of the trial whose proposed configuration it repeats.
        from_scratch: True to train from the first step although there is a checkpoint.
    """
    old = TrialAttributes.of(trial)
    return identity(
        old.knobs,
        old.seed,
        old.trial_id,
        old.cell_id,
        point=point,
        retry_of=trial.number,
        continues=None if from_scratch else _resumable_step(old, folder),
    )


def continue_from(step: int | None, old: TrialFolder, own: TrialFolder, config: CpcConfig) -> bool:
    """Copies the checkpoint from which a retry resumes; True if there is one.

    Args:
        step: Of the checkpoint.
        old: Folder of the trial that is retried.
        own: Folder of the retry.
        config: The configuration of both.
    """
    if step is None:
        return False
    ending = old.ending()
    own.copy_from(old, config, step, ended=ending is not None and ending.step == step)
    return True


def _resumable_step(old: TrialAttributes, folder: TrialFolder) -> int | None:
    """Step of the newest checkpoint, unless training from it would end in the same way again."""
    outcome = None if old.ending is None else old.ending.outcome
    if outcome == "diverged" or (outcome == "failed" and folder.ending() is not None):
        return None
    return folder.newest_step()
