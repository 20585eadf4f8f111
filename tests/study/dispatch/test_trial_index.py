from __future__ import annotations

import random
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces.samplers.base import POINT
from study.dispatch.trial_index import UNTRAINED, ended, proposed, same_configuration, waits
from study.storage.attributes import outcome_of

STATES = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "running": TrialState.RUNNING,
    "waiting": TrialState.WAITING,
}


def trial(number: int, outcome: str, noise: random.Random) -> FrozenTrial:
    attributes: dict[str, Any] = {
        "trial_id": f"id{noise.randrange(12)}",
        "ending": {"outcome": outcome, "reason": "", "metrics": {}},
    }
    if noise.random() < 0.3:
        attributes[POINT] = 0
    state = STATES.get(outcome, TrialState.FAIL)
    made = create_trial(
        state=state, value=0.5 if outcome == "complete" else None, user_attrs=attributes
    )
    made.number = number
    return made


def test_counts_and_look_ups_over_changing_trials() -> None:
    noise, trials = random.Random(1), list[FrozenTrial]()
    for _ in range(60):
        for index, each in enumerate(trials):
            if not each.state.is_finished() and noise.random() < 0.3:
                trials[index] = trial(
                    index,
                    noise.choice(["complete", "pruned", "failed", "diverged", "cancelled"]),
                    noise,
                )
        trials += [
            trial(len(trials) + extra, noise.choice(["running", "waiting"]), noise)
            for extra in range(noise.randrange(3))
        ]
        assert ended(trials) == sum(each.state.is_finished() for each in trials)
        assert proposed(trials) == sum(POINT not in each.user_attrs for each in trials)
        assert waits(trials) == any(each.state == TrialState.WAITING for each in trials)
        for trial_id in {f"id{index}" for index in range(13)}:
            alike = [
                each.number
                for each in trials
                if each.user_attrs["trial_id"] == trial_id and outcome_of(each) not in UNTRAINED
            ]
            own = next(
                (number for number in alike if not trials[number].state.is_finished()), len(trials)
            )
            assert same_configuration(trials, trial_id, own, lambda number: True) == next(
                (number for number in alike if number != own), None
            )
