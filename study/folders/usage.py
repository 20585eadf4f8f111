"""Usage of a study's budget: trials, optimizer steps, GPU hours, wall time."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from study.folders.study_folder import StudyFolder
from study.spec.budget import Spent

_RUN = "run "
"""Prefix of the study attributes that record its runs."""


def usage_of(progress: Iterable[tuple[int, float]], gpus_per_trial: float, wall_s: float) -> Spent:
    """Usage summed over started trials.

    Args:
        progress: Optimizer steps and seconds of training of each.
        gpus_per_trial: GPUs of each trial.
        wall_s: Seconds that the study has run.
    """
    listed = list(progress)
    return Spent(
        len(listed),
        sum(steps for steps, _ in listed),
        sum(seconds for _, seconds in listed) * gpus_per_trial,
        wall_s,
    )


class RunClock:
    """Clock of a study's run. A run that was killed counts up to its last `save`.

    Args:
        study: The Optuna study, which stores every run.
    """

    def __init__(self, study: Study) -> None:
        self._study, self._name = study, f"{_RUN}{uuid.uuid4().hex[:12]}"
        self._began, self._started = time.time(), time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds over all runs, this one included."""
        return elapsed_s({**self._study.user_attrs, self._name: self._run})

    def save(self) -> None:
        """Stores the run up to now."""
        self._study.set_user_attr(self._name, self._run)

    @property
    def _run(self) -> tuple[float, float]:
        return self._began, self._began + time.monotonic() - self._started


def elapsed_s(attributes: Mapping[str, Any]) -> float:
    """Seconds that a study has run, as stored. Simultaneous runs count once.

    Args:
        attributes: User attributes of the Optuna study, with begin and end of each run in seconds
            since the epoch.
    """
    total, until = 0.0, -math.inf
    for began, ended in sorted(
        tuple(run) for name, run in attributes.items() if name.startswith(_RUN)
    ):
        total += max(0.0, ended - max(began, until))
        until = max(until, ended)
    return total


class UsageReader:
    """Reader of the steps and seconds of started trials, which reads an ended trial's log once.

    Args:
        study: The study folder.
    """

    def __init__(self, study: StudyFolder) -> None:
        self._study = study
        self._ended: dict[int, tuple[int, float]] = {}

    def of_started(self, trials: Iterable[FrozenTrial]) -> list[tuple[int, float]]:
        """Optimizer steps and seconds of training of each started trial in this study.

        Args:
            trials: Every trial of the study.
        """
        spent = []
        for trial in trials:
            if trial.state == TrialState.WAITING:
                continue
            used = self._ended.get(trial.number) or self._study.trial(trial.number).trained_here()
            if trial.state.is_finished():
                self._ended[trial.number] = used
            if used[0] or trial.state == TrialState.RUNNING:
                spent.append(used)
        return spent
