"""A study that is run from the command line, killed, and resumed, with all that must hold of it at
any moment.
"""

from __future__ import annotations

import logging
import math
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from study.folders.checkpoints import checkpoint_step
from study.folders.study_folder import JOURNAL, SPEC, StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from tests.helpers.processes import Marked
from tests.helpers.ray_nodes import TwoNodes, await_that
from tests.helpers.reference_training import train_reference
from tests.helpers.trainings import log_without_timing


class FaultedStudy:
    """One study folder and the processes that drive it, one after the other.

    Args:
        cluster: Cluster of its trials.
        drivers: Mark of its drivers.
        spec: The study's spec.
        folder: The study folder, in a folder that is not there yet.
    """

    def __init__(self, cluster: TwoNodes, drivers: Marked, spec: StudySpec, folder: Path) -> None:
        self.spec, self.folder = spec, folder
        self._address, self._environment = cluster.address, cluster.environment(drivers)
        folder.parent.mkdir()
        self._file, self._printed = folder.with_suffix(".yaml"), folder.with_suffix(".log")
        self._file.write_text(spec.to_yaml())
        self._lines: dict[tuple[int, int], dict[str, Any]] = {}
        self._values: dict[int, dict[int, float]] = {}
        self._endings: dict[int, dict[str, Any]] = {}
        self.finished = False
        self.drive()

    def drive(self) -> None:
        """Starts a driver: `resume`, where there is a study to resume."""
        begun = (self.folder / SPEC).is_file()
        what = (
            ["resume", str(self.folder)]
            if begun
            else ["run", str(self._file), "-o", str(self.folder)]
        )
        command = [
            sys.executable,
            "-m",
            "study.cli",
            "study",
            *what,
            "--address",
            self._address,
        ]
        with self._printed.open("a") as log:
            self.driver = subprocess.Popen(
                command,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    @property
    def ended(self) -> bool:
        """Whether its driver has ended by itself, with all that was to be done."""
        code = self.driver.poll()
        assert code in (None, 0), f"the driver ended with {code}:\n{self.printed}"
        return code == 0

    @property
    def printed(self) -> str:
        """What its drivers have printed."""
        return self._printed.read_text()

    @property
    def reports(self) -> int:
        """Reports that its trials have made so far, those made again not counted."""
        return len(self._lines)

    def look(self) -> None:
        """Reads everything, and compares it with all that was seen before: nothing is lost, and
        nothing changes.

        A step that is taken again after a fault gives the same line again, bit for bit.
        """
        for path in sorted(self.folder.glob("trials/t*/metrics.jsonl")):
            number, steps = int(path.parent.name.removeprefix("t")), []
            for line in log_without_timing(self.folder, number):
                steps.append(line["step"])
                assert self._lines.setdefault((number, line["step"]), line) == line
            assert steps == sorted(set(steps)), f"trial {number} reports {steps}"
        for trial in self._stored():
            before = self._values.get(trial.number, {})
            assert before.items() <= trial.intermediate_values.items(), (
                f"trial {trial.number} has lost a value"
            )
            self._values[trial.number] = dict(trial.intermediate_values)
            if trial.state.is_finished():
                ending = trial.user_attrs["ending"]
                assert self._endings.setdefault(trial.number, ending) == ending, (
                    f"trial {trial.number} ended twice"
                )
                assert ending["outcome"] in ("complete", "cancelled"), ending["reason"]
        self.finished = (self.folder / SPEC).is_file() and read_study(
            StudyFolder(self.folder)
        ).finished

    def check(self, cache: Path) -> None:
        """All that must hold of a study that has ended; `cache` is where the bundled corpus is
        imported to.
        """
        self.look()
        record, stored = read_study(StudyFolder(self.folder)), self._stored()
        assert record.finished and len(stored) == len(record.trials) == self.spec.planned_trials
        assert [trial.number for trial in stored] == list(range(len(stored)))
        assert {trial.state for trial in stored} <= {TrialState.COMPLETE, TrialState.FAIL}
        trained = [trial for trial in record.trials if trial.outcome == "complete"]
        again = [trial for trial in record.trials if trial.outcome == "cancelled"]
        assert len(trained) + len(again) == len(record.trials), [
            (trial.outcome, trial.reason) for trial in record.trials
        ]
        assert len({trial.trial_id for trial in trained}) == len(trained)
        assert {trial.trial_id for trial in again} <= {trial.trial_id for trial in trained}
        with_log = {
            int(path.parent.name.removeprefix("t"))
            for path in self.folder.glob("trials/t*/metrics.jsonl")
        }
        assert with_log == {trial.number for trial in trained}
        out = self.folder.with_name("bare")
        train_reference(self.folder, out, self.spec.resources.workers, cache)
        for trial in trained:
            self._check_trained(stored[trial.number], out)

    def _check_trained(self, trial: FrozenTrial, out: Path) -> None:
        log, bare = (log_without_timing(folder, trial.number) for folder in (self.folder, out))
        assert log == bare
        metric = self.spec.objectives[0].metric
        assert trial.intermediate_values == {line["step"]: line["metrics"][metric] for line in bare}
        assert (trial.state, trial.value) == (TrialState.COMPLETE, bare[-1]["metrics"][metric])
        assert trial.value is not None and math.isfinite(trial.value)
        assert trial.user_attrs["ending"]["outcome"] == bare[-1]["outcome"] == "complete"
        assert (
            checkpoint_step(TrialFolder(self.folder, trial.number).require_checkpoint())
            == bare[-1]["step"]
        )

    def _stored(self) -> list[FrozenTrial]:
        """The trials in the Optuna storage."""
        if not (self.folder / JOURNAL).is_file():
            return []
        try:
            study = optuna.load_study(
                study_name=self.spec.name,
                storage=JournalStorage(JournalFileBackend(str(self.folder / JOURNAL))),
            )
        except KeyError:
            return []
        return study.get_trials(deepcopy=False)


Kind = Literal["worker", "controller", "trial", "driver", "raylet"]
"""A Ray Train worker, a Ray Train controller, a trial's Tune actor, the study's driver, the second
node's raylet.
"""


TITLES: dict[Kind, tuple[str, ...]] = {
    "worker": ("ray::RayTrainWorker", "ray::execute."),
    "controller": ("ray::TrainController",),
    "trial": ("ray::RayTrainTrial", "ray::InlineTrial", "ray::ResourceTrainable"),
}
"""How Ray names the processes, whatever method they are in."""


DELAY_S = 4.0
"""A kill comes up to so many seconds after the fault before it, or after the first report since."""


LOOK_S = 0.5
"""Time between two looks at a study, each of which reads all of it."""


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
        self._phase = self._random.randrange(2)
        self.studies: list[FaultedStudy] = []
        self._next_study()

    def rounds(self, kinds: Sequence[Kind], count: int) -> None:
        """Kills a victim of each kind `count` times, and waits for the end of the last study.

        In each round the kinds come in random order. Every other victim dies within `DELAY_S`
        seconds of a report, the others also while processes start; in the next round it is the
        other way round. A victim counts if trials of the study had not ended.
        """
        for number in range(count):
            order = self._random.sample(kinds, len(kinds))
            for kind in order:
                if (kinds.index(kind) + number) % 2 == self._phase:
                    self._await_report()
                self._hit(kind, self._victim(kind))
        while not self._study.ended:
            self._pass(LOOK_S)

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
            self._pass(LOOK_S)

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
            busy = self._cluster.titled_on_second(*ours)
            return self._cluster.second_raylets if busy else []
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
