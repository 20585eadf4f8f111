"""Where a pruner stops trials, and how much of a study's steps that leaves to be taken."""

from __future__ import annotations

import math
from dataclasses import dataclass

from study.searching import HalvingPruner, HyperbandPruner
from study.spec import StudySpec


@dataclass(frozen=True)
class Rung:
    """A number of steps at which trials are compared.

    Attributes:
        bracket: Of Hyperband, counted from 0; 0 for the others.
        steps: Optimizer steps of a trial that gets there.
        trials: How many are expected to.
    """

    bracket: int
    steps: int
    trials: float


def rungs(spec: StudySpec) -> list[Rung]:
    """The rungs of a study, the last of each bracket being the end of its trials; none without successive halving."""
    match spec.pruner:
        case HalvingPruner(first_rung=first, reduction=reduction):
            return _halving(0, spec.planned_trials, first, reduction, spec.longest)
        case HyperbandPruner(first_rung=first, reduction=reduction):
            shares = _bracket_shares(first, reduction, spec.longest)
            brackets = [
                _halving(bracket, spec.planned_trials * share, first * reduction**bracket, reduction, spec.longest)
                for bracket, share in enumerate(shares)
            ]
            return [rung for bracket in brackets for rung in bracket]
        case _:
            return []


def share_of_steps(spec: StudySpec) -> float:
    """Expected share of the steps that the study would take if every trial ran to its end."""
    expected, before = 0.0, Rung(0, 0, 0)
    for rung in rungs(spec):
        if rung.bracket != before.bracket:
            before = Rung(rung.bracket, 0, 0)
        expected += rung.trials * (rung.steps - before.steps)
        before = rung
    return expected / (spec.planned_trials * spec.longest) if expected else 1.0


def _halving(bracket: int, trials: float, first: int, reduction: int, longest: int) -> list[Rung]:
    found: list[Rung] = []
    steps = first
    while steps < longest:
        found.append(Rung(bracket, steps, trials / reduction ** len(found)))
        steps *= reduction
    return [*found, Rung(bracket, longest, trials / reduction ** len(found))]


def _bracket_shares(first: int, reduction: int, longest: int) -> list[float]:
    """Share of the trials that Optuna deals to each bracket: in proportion to ⌈B · r^s / (s + 1)⌉, s counting down from B − 1."""
    brackets = 1
    while first * reduction**brackets <= longest:
        brackets += 1
    weights = [math.ceil(brackets * reduction**s / (s + 1)) for s in range(brackets - 1, -1, -1)]
    return [weight / sum(weights) for weight in weights]
