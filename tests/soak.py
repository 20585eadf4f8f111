"""Studies of every kind under random faults, for hours: `python -m tests.soak --minutes 120`.

Each study is run from the command line as a user runs it, on a Ray of its own, and disturbed at
random moments. Then it is resumed to its end, and everything that must hold of it is checked: the
planned trials and no others, each metrics log bit for bit that of a training without Ray and
without interruption, no process, file or shared memory left behind, and no growth of memory. The
faults are drawn from `--seed`, which is printed.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from cluster.kinds.temporary import temporary_folder
from cpc_core.corpus.sample import open_corpus
from study.folders.study_folder import SPEC, StudyFolder
from study.folders.trial_folder import TrialFolder
from study.results.reader import read_study
from study.spec.study_spec import StudySpec
from tests.helpers.postgres import PASSWORD, Server, running
from tests.helpers.processes import Marked
from tests.helpers.reference_training import train_reference
from tests.helpers.specs import TINY_BASE, tiny_spec
from tests.helpers.trainings import log_without_timing

STALLED_S = 240.0
"""A study that prints nothing for so long hangs."""

ALIVE_S = 60.0
"""Longest time until a driver reacts to a signal, on a busy machine."""

FAULTS_PER_STUDY = 4

LEFT_S = 30.0
"""Time that processes have to end after their driver."""

CLOCK = """
import time
from pathlib import Path

_time, _time_ns, _shift = time.time, time.time_ns, Path(__file__).with_name("shift")
time.time = lambda: _time() + int(_shift.read_text())
time.time_ns = lambda: _time_ns() + 10**9 * int(_shift.read_text())
"""
"""Imported by every Python process of a soak: a wall clock that jumps. A library that changes the C
library's clock would also let absolute waits inside Ray last for as long as the jump.
"""

STOPPED, KILLED, FULL, UNREACHABLE = 130, -signal.SIGKILL, 1, 4
"""Exit codes that a disturbed driver may have."""

LINGER_S = 120.0
"""Time in which also the processes of Ray have ended that wait for a head that was killed."""

NOT_OURS = ("PostgreSQL.", "torchinductor_")
"""Segments of the test's own server, and the folder that torch keeps for the machine."""

_log = logging.getLogger("soak")


@dataclass(frozen=True)
class Scenario:
    """A kind of study.

    Attributes:
        name: Of its specs.
        changes: Of the tiny spec.
        drivers: Commands that run it at the same time.
        database: True if its trials are in PostgreSQL.
        retries: True if a trial is cancelled on the way and retried.
    """

    name: str
    changes: dict[str, Any]
    drivers: int = 1
    database: bool = False
    retries: bool = False


def _base(**training: int) -> dict[str, Any]:
    return {
        **TINY_BASE,
        "data": {"crop_s": 0.5, "batch_size": 8},
        "training": {"steps": 80, "report_every": 10, "dev_clips": 8, **training},
    }


_ONE = {"workers": 1, "cpus_per_worker": 0.75, "max_failures": 1000}

SCENARIOS = (
    Scenario("grid", {"base": _base(), "seeds": [0, 1], "resources": _ONE}),
    Scenario(
        "search",
        {
            "base": _base(),
            "space": {"temperature": {"low": 0.05, "high": 1.0, "log": True}},
            "sampler": {"kind": "random", "trials": 5},
            "pruner": {"kind": "asha", "first_rung": 20},
            "objective": {"metric": "dev_accuracy"},
            "resources": {**_ONE, "concurrent_trials": 2},
        },
    ),
    Scenario(
        "workers",
        {
            "base": _base(),
            "resources": {"concurrent_trials": 1, **_ONE, "workers": 2, "cpus_per_worker": 0.5},
        },
    ),
    Scenario(
        "shared",
        {"base": _base(), "seeds": [0, 1], "resources": _ONE},
        drivers=2,
        database=True,
    ),
    Scenario("retry", {"base": _base(), "seeds": [0, 1], "resources": _ONE}, retries=True),
)


@dataclass
class Tally:
    """Numbers of a soak.

    Attributes:
        studies: By scenario.
        faults: By kind.
        trials: That were trained and compared.
        peak_kib: Largest resident memory of each driver that reached the end, in order.
    """

    studies: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    trials: int = 0
    peak_kib: list[int] = field(default_factory=list)


class Place:
    """A small disk, a clock, and an environment for the processes of a soak."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.disk, clock = folder / "disk", folder / "clock"
        self.marked = Marked(cache)
        self.disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", self.disk], check=True)
        self.environment = {**self.marked.environment, "PGPASSWORD": PASSWORD}
        self.environment["PYTHONFAULTHANDLER"] = "1"
        clock.mkdir()
        (clock / "sitecustomize.py").write_text(CLOCK)
        self._shift, self._shift_s = clock / "shift", 0
        self.jump(0)
        paths = [str(clock), os.environ.get("PYTHONPATH", "")]
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))

    def jump(self, seconds: int) -> None:
        """Sets the clock of all processes forwards or back."""
        self._shift_s += seconds
        partial = self._shift.with_suffix(".partial")
        partial.write_text(str(self._shift_s))
        partial.rename(self._shift)

    @contextmanager
    def full(self) -> Iterator[None]:
        """Leaves no byte of the disk free."""
        filler = self.disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(2**12))
        try:
            yield
        finally:
            filler.unlink()

    def end(self) -> None:
        self.marked.end()
        subprocess.run(["umount", "--lazy", self.disk], check=True)


class Soaked:
    """One study, with the drivers that run it until it has ended."""

    def __init__(
        self, scenario: Scenario, number: int, place: Place, database: Server, draw: random.Random
    ) -> None:
        self.scenario, self._place, self._database, self._draw = scenario, place, database, draw
        self.folder = place.disk / f"{scenario.name}-{number}" / "study"
        self.folder.parent.mkdir()
        store = {"store": database.url()} if scenario.database else {}
        spec = tiny_spec(name=f"{scenario.name}_{number}", **scenario.changes, **store)
        self.spec: StudySpec = spec
        self._file, self.log = self.folder.with_suffix(".yaml"), place.disk / "driver.log"
        self._file.write_text(spec.to_yaml())
        self.drivers: list[subprocess.Popen[bytes]] = []
        self._cancelled = False

    def run(self, tally: Tally) -> None:
        """Runs, disturbs and resumes it to its end."""
        faults = 0
        while not self._finished():
            self._drive()
            if faults < FAULTS_PER_STUDY and self._wait(self._draw.uniform(4, 30)):
                faults += 1
                self._disturb(tally)
            self._await_end(tally)
        self._retry(tally)

    def check(self, cache: Path, tally: Tally) -> None:
        """Checks all that must hold of a study that has ended."""
        record = read_study(StudyFolder(self.folder))
        every = [(trial.number, trial.outcome, trial.reason) for trial in record.every_trial]
        assert [number for number, _, _ in every] == list(range(len(every))), every
        assert len(record.trials) == self.spec.planned_trials, every
        assert all(trial.outcome == "cancelled" for trial in record.retried), every
        trained = [trial for trial in record.trials if trial.outcome in ("complete", "pruned")]
        assert trained == list(record.trials), every
        assert len({trial.trial_id for trial in trained}) == len(trained)
        out = self.folder.with_name("bare")
        train_reference(self.folder, out, self.spec.resources.workers, cache)
        for trial in trained:
            log = log_without_timing(self.folder, trial.number)
            assert log and log == log_without_timing(out, trial.number)[: len(log)]
            last = 80 if trial.outcome == "complete" else log[-1]["step"]
            assert log[-1]["step"] == last == trial.step
            assert TrialFolder(self.folder, trial.number).newest_step() == last
        tally.trials += len(trained)
        shutil.rmtree(self.folder.parent)

    def end(self) -> None:
        """Kills what is still running."""
        for driver in self.drivers:
            driver.kill()
            driver.wait()

    def _finished(self) -> bool:
        return (self.folder / SPEC).is_file() and read_study(StudyFolder(self.folder)).finished

    def _drive(self) -> None:
        begun = (self.folder / SPEC).is_file()
        what = ["resume", self.folder] if begun else ["run", self._file, "-o", self.folder]
        command = [sys.executable, "-m", "study.cli", "study", *map(str, what)]
        with self.log.open("wb") as log:
            self.drivers = []
            for _ in range(self.scenario.drivers):
                self.drivers.append(
                    subprocess.Popen(
                        [*command, "--grace", "5s"],
                        env=self._place.environment,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
                if not begun and self.scenario.drivers > 1:
                    # The second driver joins the study that the first one has created.
                    self._wait_until((self.folder / SPEC).is_file)
                    command = [*command[:4], "resume", str(self.folder)]

    def _wait(self, seconds: float) -> bool:
        """Waits; False if a driver has ended meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if any(driver.poll() is not None for driver in self.drivers):
                return False
            time.sleep(0.2)
        return True

    def _wait_ended(self, driver: subprocess.Popen[bytes]) -> None:
        try:
            driver.wait(ALIVE_S)
        except subprocess.TimeoutExpired:
            driver.send_signal(signal.SIGABRT)  # Python prints where its threads are.
            driver.wait()
            raise AssertionError(f"a driver does not stop:\n{self._printed()}") from None

    def _wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + ALIVE_S
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.2)

    def _disturb(self, tally: Tally) -> None:
        kinds = ["SIGKILL", "SIGTERM", "SIGUSR1", "SIGHUP", "trial", "disk", "clock"]
        kinds += ["network"] if self.scenario.database else []
        if self.scenario.retries and not self._cancelled and self._running():
            kinds = ["cancel"]
        kind = self._draw.choice(kinds)
        tally.faults[kind] += 1
        _log.info("  %s", kind)
        driver = self._draw.choice(self.drivers)
        if kind.startswith("SIG"):
            driver.send_signal(signal.Signals[kind])
            if kind != "SIGKILL":
                self._wait_ended(driver)
        elif kind == "trial":
            titled = [b"ray::InlineTrial", b"ray::RayTrain", b"ray::ResourceTrainable"]
            for pid in self._place.marked.processes():
                with suppress(OSError):
                    if Path(f"/proc/{pid}/cmdline").read_bytes().startswith(tuple(titled)):
                        os.kill(pid, signal.SIGKILL)
                        break
        elif kind == "disk":
            with self._place.full():
                self._wait(15)
        elif kind == "network":
            self._database.stop()
            self._wait(self._draw.uniform(1, 10))
            self._database.start()
        elif kind == "clock":
            self._place.jump(self._draw.choice([-7200, -60, 60, 7200]))
        else:
            self._cancelled = True
            self._steer("cancel", "--trial", str(self._draw.choice(self._running())))

    def _running(self) -> list[int]:
        if not (self.folder / SPEC).is_file():
            return []
        trials = read_study(StudyFolder(self.folder)).trials
        return [trial.number for trial in trials if trial.outcome == "running"]

    def _steer(self, verb: str, *options: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "study.cli", "study", verb, str(self.folder), *options],
            env=self._place.environment,
            check=True,
            capture_output=True,
            timeout=STALLED_S,
        )

    def _retry(self, tally: Tally) -> None:
        if self._cancelled:
            if any(t.outcome == "cancelled" for t in read_study(StudyFolder(self.folder)).trials):
                self._steer("retry")
            self._drive()
            self._await_end(tally)

    def _await_end(self, tally: Tally) -> None:
        for driver in self.drivers:
            peak = self._wait_for(driver)
            assert driver.returncode is not None, f"a driver hangs:\n{self._printed()}"
            # A driver that was disturbed says why it ended, and never by a traceback.
            allowed = {0, STOPPED, KILLED, FULL, UNREACHABLE}
            assert driver.returncode in allowed, (driver.returncode, self._printed())
            assert "Traceback" not in self._printed(), self._printed()
            if driver.returncode == 0:
                tally.peak_kib.append(peak)
        assert self._place.marked.all_ended(LEFT_S), self._place.marked.commands()

    def _wait_for(self, driver: subprocess.Popen[bytes]) -> int:
        """Waits for a driver that goes on, and returns its largest resident memory in KiB."""
        peak, size, since = 0, 0, time.monotonic()
        while driver.poll() is None and time.monotonic() - since < STALLED_S:
            with suppress(OSError, IndexError, ValueError):
                status = Path(f"/proc/{driver.pid}/status").read_text()
                peak = int(status.partition("VmHWM:")[2].split()[0])
            if self.log.stat().st_size > size:
                size, since = self.log.stat().st_size, time.monotonic()
            time.sleep(0.2)
        return peak

    def _printed(self) -> str:
        return self.log.read_text(errors="replace")


def _temporary(place: Place) -> set[str]:
    """Entries of the folder for temporary files, and segments of shared memory."""
    # Some of Ray's processes live on after a kill, and the next run removes what they leave.
    deadline = time.monotonic() + LINGER_S
    while place.marked.processes(waiting=True) and time.monotonic() < deadline:
        time.sleep(0.5)
    with patch("tempfile.tempdir", str(place.marked.folder)), temporary_folder():
        pass
    found = [*place.marked.folder.iterdir(), *Path("/dev/shm").iterdir()]
    return {path.name for path in found if not path.name.startswith(NOT_OURS)}


def soak(minutes: float, seed: int, folder: Path) -> Tally:
    """Runs and checks studies of every scenario in turn until the time is over.

    Raises:
        AssertionError: Something does not hold.
    """
    cache, tally, draw = folder / "cache", Tally(), random.Random(seed)
    os.environ |= {"PGPASSWORD": PASSWORD, "CPC_CACHE": str(cache)}
    open_corpus("sample")
    place, deadline = Place(folder, cache), time.monotonic() + 60 * minutes
    before = _temporary(place)
    try:
        with running() as database:
            number, scenarios = 0, draw.sample(SCENARIOS, len(SCENARIOS))
            while time.monotonic() < deadline:
                scenario = scenarios[number % len(scenarios)]
                _log.info("study %d, %s", number, scenario.name)
                study = Soaked(scenario, number, place, database, draw)
                try:
                    study.run(tally)
                finally:
                    study.end()
                study.check(cache, tally)
                tally.studies[scenario.name] += 1
                left = _temporary(place) - before
                inside = [str(path) for path in place.marked.folder.rglob("*")]
                assert not left, f"left behind: {sorted(left)}, {inside}"
                number += 1
    finally:
        place.end()
    return tally


def main() -> None:
    """Prints what was run, and the growth of the drivers' memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    args = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    _log.info("seed %d", args.seed)
    with tempfile.TemporaryDirectory(prefix="cpc-soak-") as name:
        tally = soak(args.minutes, args.seed, Path(name))
    quarter = max(1, len(tally.peak_kib) // 4)
    first, last = (
        sum(part) / len(part) for part in (tally.peak_kib[:quarter], tally.peak_kib[-quarter:])
    )
    _log.info("studies %s", dict(tally.studies))
    _log.info("faults %s", dict(tally.faults))
    _log.info("trials %d, each log as that of an uninterrupted training", tally.trials)
    _log.info("drivers' memory, last quarter ÷ first: %.2f (%.0f MiB)", last / first, last / 1024)


if __name__ == "__main__":
    main()
