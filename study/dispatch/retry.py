"""Trials that are trained again. Optuna never reopens a trial that has ended: a retry is a new one
that takes its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from cpc_core.config import CpcConfig
from study.folders.trial_folder import TrialFolder
from study.storage.attributes import CONTINUES, RETRY_OF


def retry_attributes(trial: FrozenTrial, folder: TrialFolder, *, fresh: bool) -> dict[str, Any]:
    """User attributes of the retry of a trial.

    Args:
        trial: A trial that failed, diverged or was cancelled.
        folder: Its folder.
        fresh: Whether to train from scratch although there is a checkpoint.
    """
    kept = {name: trial.user_attrs[name] for name in ("seed", "knobs", "trial_id", "cell_id")}
    step = None if fresh else _last_good(trial.user_attrs["ending"]["outcome"], folder)
    goes_on = {} if step is None else {CONTINUES: step}
    return {**kept, **goes_on, RETRY_OF: trial.number}


def continue_from(
    attributes: Mapping[str, Any], old: TrialFolder, own: TrialFolder, config: CpcConfig
) -> bool:
    """Gives a retry what it goes on from; returns whether there is such a thing.

    Args:
        attributes: User attributes of the retry.
        old: Folder of the trial that it stands in for.
        own: Its own folder.
        config: The configuration of both.
    """
    step = attributes.get(CONTINUES)
    if step is None:
        return False
    ending = old.ending()
    own.copy_from(old, config, step, ended=ending is not None and ending.step == step)
    return True


def _last_good(outcome: str, folder: TrialFolder) -> int | None:
    """The step of the newest checkpoint, where going on from it can end otherwise than the first
    time.
    """
    if outcome == "diverged" or (outcome == "failed" and folder.ending() is not None):
        return None
    return folder.newest_step()
