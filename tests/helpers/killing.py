"""Rounds of SIGKILL: a victim drawn at random, at a random time, until each kind has been hit as
often as asked.
"""

from __future__ import annotations

import logging
import os
import random
import signal
import time
from collections.abc import Callable, Mapping
from typing import Literal

from tests.helpers.fault_injection import FaultedStudy
from tests.helpers.two_nodes import TwoNodes, await_that

Kind = Literal["worker", "controller", "trial", "driver", "raylet"]
"""A Ray Train worker, a Ray Train controller, a trial's Tune actor, the study's driver, the second
node's raylet.
"""


TITLES: dict[Kind, tuple[str, ...]] = {
    "worker": ("ray::RayTrainWorker", "ray::execute."),
    "controller": ("ray::TrainController",),
    "trial": ("ray::NestedTrial", "ray::InlineTrial", "ray::ResourceTrainable"),
}
"""How Ray names the processes, whatever method they are in."""


DELAY_S = 4.0
"""A kill comes up to so many seconds after the fault before it, or after the first report since."""


STALLED_S = 180.0
"""A study that reports nothing for so long hangs."""


UNSEEN = 3
"""Studies that may end without a victim of the kind that is looked for."""


DEATH_S = 10.0


_log = logging.getLogger(__name__)


class Killing:
    """Kills processes of a study and its cluster.

    Args:
        cluster: The cluster.
        begin: Begins a study; called again where that has ended before all hits are made.
        seed: Of what is drawn.
    """

    def __init__(self, cluster: TwoNodes, begin: Callable[[], FaultedStudy], seed: int) -> None:
        self._cluster, self._begin, self._random = cluster, begin, random.Random(seed)
        self.studies: list[FaultedStudy] = []
        self._next_study()

    def rounds(self, hits: Mapping[Kind, int]) -> None:
        """Makes so many hits of each kind, in random order, and lets the last study end.

        A hit is a victim that was alive while trials of the study had not ended.
        """
        order = [kind for kind, count in hits.items() for _ in range(count)]
        self._random.shuffle(order)
        for kind in order:
            if self._random.random() < 0.5:
                self._await_report()
            self._hit(kind, self._victim(kind))
        while not self._study.ended:
            self._pass(0.2)

    def end(self) -> None:
        """Makes sure that no study is driven any more."""
        for study in self.studies:
            study.driver.kill()
            study.driver.wait(DEATH_S)

    @property
    def _study(self) -> FaultedStudy:
        return self.studies[-1]

    def _next_study(self) -> None:
        self.studies.append(self._begin())
        self._progress = (0, time.monotonic())

    def _pass(self, seconds: float) -> None:
        """Lets time pass, in which the study must get on."""
        time.sleep(seconds)
        self._study.look()
        reports, since = self._progress
        if self._study.reports > reports:
            self._progress = (self._study.reports, time.monotonic())
        assert time.monotonic() - since < STALLED_S, (
            f"stalled after {reports} reports:\n{self._study.printed}"
        )

    def _await_report(self) -> None:
        before = self._study.reports
        while self._study.reports == before and not self._study.ended:
            self._pass(0.2)

    def _victim(self, kind: Kind) -> int:
        begun = len(self.studies)
        while len(self.studies) <= begun + UNSEEN:
            self._pass(self._random.uniform(0, DELAY_S))
            if self._study.ended:
                self._next_study()
            elif not self._study.finished and (victims := self._victims(kind)):
                return self._random.choice(victims)
        raise AssertionError(f"no {kind} was seen in {UNSEEN} whole studies")

    def _victims(self, kind: Kind) -> list[int]:
        if kind == "driver":
            return [self._study.driver.pid]
        if kind == "raylet":
            # With a part of the study on its node.
            ours = [title for titles in TITLES.values() for title in titles]
            return (
                self._cluster.second_raylets
                if self._cluster.titled(*ours, second_only=True)
                else []
            )
        return self._cluster.titled(*TITLES[kind])

    def _hit(self, kind: Kind, victim: int) -> None:
        _log.warning("SIGKILL of %s %d after %d reports", kind, victim, self._study.reports)
        os.kill(victim, signal.SIGKILL)
        self._study.look()
        self._progress = (self._progress[0], time.monotonic())
        if kind == "driver":
            self._study.driver.wait(DEATH_S)
            self._study.drive()
        if kind == "raylet":
            await_that(lambda: not self._cluster.second_raylets, DEATH_S, "the raylet is dead")
            self._cluster.start_second()
