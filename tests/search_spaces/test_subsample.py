from __future__ import annotations

import random

from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces.samplers.replicate_mean import subsample


def trials(count: int, seed: int = 0, first: int = 0) -> list[FrozenTrial]:
    noise = random.Random(seed)
    made = []
    for number in range(first, first + count):
        kind = noise.choice(["complete"] * 3 + ["pruned", "bare", "running"])
        state = {"complete": TrialState.COMPLETE, "running": TrialState.RUNNING}.get(
            kind, TrialState.PRUNED
        )
        reported = (
            {step: noise.random() for step in range(noise.randrange(1, 5))}
            if kind == "pruned"
            else {}
        )
        trial = create_trial(
            state=state,
            value=noise.random() if kind == "complete" else None,
            intermediate_values=reported,
        )
        trial.number = number
        made.append(trial)
    return made


def numbers(found: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in found]


def test_the_best_and_the_newest_stay_in_order() -> None:
    some = trials(300)
    kept = subsample(some, StudyDirection.MAXIMIZE, 50)
    valued = [trial for trial in kept if trial.state.is_finished()]
    assert numbers(kept) == sorted(numbers(kept))
    assert len(valued) == 50
    complete = [trial for trial in some if trial.state == TrialState.COMPLETE]
    best = set(numbers(sorted(complete, key=lambda trial: -(trial.value or 0))[:5]))
    newest = [
        trial.number for trial in some if trial.state.is_finished() and trial.number not in best
    ][-45:]
    assert set(numbers(valued)) == best | set(newest)
    assert [trial for trial in some if not trial.state.is_finished()] == [
        trial for trial in kept if not trial.state.is_finished()
    ]


def test_the_direction_says_what_is_best() -> None:
    some = [create_trial(value=float(value)) for value in range(100)]
    for number, trial in enumerate(some):
        trial.number = number
    assert numbers(subsample(some, StudyDirection.MINIMIZE, 20)) == [0, 1, *range(82, 100)]
    assert numbers(subsample(some, StudyDirection.MAXIMIZE, 20)) == list(range(80, 100))


def test_a_short_list_stays_whole() -> None:
    some = trials(40)
    assert subsample(some, StudyDirection.MAXIMIZE, 40) == some


def test_shortening_again_with_more_is_shortening_once() -> None:
    for seed in range(20):
        before, after = trials(200, seed), trials(70, seed + 100, first=200)
        once = subsample([*before, *after], StudyDirection.MAXIMIZE, 30)
        assert (
            subsample(
                [*subsample(before, StudyDirection.MAXIMIZE, 30), *after],
                StudyDirection.MAXIMIZE,
                30,
            )
            == once
        )


def test_pruned_trials_are_best_only_where_too_few_are_complete() -> None:
    complete = [create_trial(value=0.1), *(create_trial(state=TrialState.FAIL) for _ in range(3))]
    pruned = [
        create_trial(state=TrialState.PRUNED, intermediate_values={step: 0.9})
        for step in (1, 5, 3, 2, *[1] * 16)
    ]
    some = [*complete, *pruned]
    for number, trial in enumerate(some):
        trial.number = number
    # Of ten, one is kept for its value: the complete trial, though every pruned one shows more.
    assert numbers(subsample(some, StudyDirection.MAXIMIZE, 10)) == [0, *range(15, 24)]
    assert numbers(subsample(some[4:], StudyDirection.MAXIMIZE, 10)) == [5, *range(15, 24)]
