"""The decision to end a trial between two reports, on a clock that the tests set."""

from __future__ import annotations

import pytest

from cluster import grace
from cluster.grace import Grace
from cluster.stop_flag import StudyStopFlag


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(grace, "time", clock)
    return clock


def paused_after(clock: Clock, decide: Grace, seconds: list[float], to_report: int) -> int | None:
    """Number of steps after which an attempt ends, None for all of them.

    Args:
        clock: Advanced by each step.
        decide: Asked after each.
        seconds: Of each step.
        to_report: Steps to the next report, from the first one on.
    """
    for taken, step_s in enumerate(seconds, start=1):
        clock.now += step_s
        if decide(to_report - taken):
            return taken
    return None


@pytest.mark.parametrize(
    ("grace_s", "to_report", "pauses_after"),
    [(60, 100, 5), (60, 40, None), (0, 40, 5), (10, 15, 5), (10, 13, None)],
)
def test_a_report_that_is_further_away_is_not_waited_for(
    clock: Clock, grace_s: float, to_report: int, pauses_after: int | None
) -> None:
    asked = 0

    def requested() -> bool:
        nonlocal asked
        asked += 1
        return asked >= 5

    decide = Grace(grace_s, requested)
    assert paused_after(clock, decide, [1.0] * (to_report - 1), to_report) == pauses_after


def test_steps_that_become_slow_end_in_time(clock: Clock) -> None:
    decide = Grace(30, lambda: True)
    started = clock.now
    assert paused_after(clock, decide, [1.0] * 5 + [4.0] * 15, 20) is not None
    assert clock.now - started <= 30


def test_the_time_of_a_report_is_reckoned_with(clock: Clock) -> None:
    requested = False
    decide = Grace(30, lambda: requested)
    # The ninth step comes after a report that took 25 s.
    assert paused_after(clock, decide, [1.0] * 8 + [26.0] + [1.0] * 3, 20) is None
    requested = True
    assert paused_after(clock, decide, [1.0], 8) == 1


def test_nothing_ends_without_a_request(clock: Clock) -> None:
    assert paused_after(clock, Grace(0, lambda: False), [1.0] * 50, 100) is None


def test_trials_without_a_limit_have_no_decision(tmp_path: object) -> None:
    assert Grace.of_study(None, str(tmp_path)) is None


def test_a_stopped_study_is_a_request(tmp_path: object, clock: Clock) -> None:
    decide = Grace.of_study(0, str(tmp_path))
    assert decide is not None and not decide(5)
    StudyStopFlag(str(tmp_path)).set()
    decide = Grace.of_study(0, str(tmp_path))
    assert decide is not None and decide(5)
