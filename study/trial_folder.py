"""One trial's folder: its configuration, its metrics log, its checkpoints.

trials/t00007/
  config.json              the resolved configuration
  metrics.jsonl            one line per report, appended
  checkpoint-000000240/    complete as long as it has this name; the newest two are kept
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpc_core.config import CpcConfig, canonical_json
from cpc_core.errors import CheckpointError
from study.files import write_atomically
from study.records import Outcome, Report

CHECKPOINTS_KEPT = 2
"""Of each trial: the newest, and the one before it."""


@dataclass(frozen=True)
class LogEntry:
    """One line of the metrics log.

    Attributes:
        step: Optimizer steps taken.
        metrics: Metric name → value.
        outcome: `running`, or how the training ended; only a trial's last line has the latter.
        reason: Why it ended, where that is not plain success.
        elapsed_s: Seconds of training so far, over all attempts.
    """

    step: int
    metrics: Mapping[str, float]
    outcome: Outcome
    reason: str
    elapsed_s: float

    @property
    def report(self) -> Report:
        """The part that analysis reads."""
        return Report(self.step, self.metrics)


class TrialFolder:
    """Reads and writes the files of one trial. One process writes: rank 0 of the trial's workers."""

    def __init__(self, study: Path, number: int) -> None:
        self.study, self.number = study, number
        self.path = study / "trials" / self.name

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"t{self.number:05d}"

    def create(self, config: CpcConfig) -> None:
        """Makes the folder and records the configuration."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / "config.json", canonical_json(config) + "\n")

    def log(self) -> tuple[LogEntry, ...]:
        """The metrics log in step order. A last line without its line end is still being written, and left out."""
        try:
            text = (self.path / "metrics.jsonl").read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        return tuple(_entry(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n"))

    def append(self, entry: LogEntry) -> None:
        """Adds one line, on disk before this returns."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())

    def rewind(self, step: int) -> None:
        """Forgets the lines after `step`: those steps are about to be taken again."""
        self._write_log(entry for entry in self.log() if entry.step <= step)

    def adopt(self, other: TrialFolder, step: int) -> None:
        """Takes over the log and the checkpoint of another trial at `step`, so that training goes on from there.

        The checkpoint comes last: killed before it is there, this folder's trial trains from scratch.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self._write_log(entry for entry in other.log() if entry.step <= step)
        source = other.path / _checkpoint_name(step)
        self.save_checkpoint(step, lambda folder: shutil.copytree(source, folder, dirs_exist_ok=True))

    def save_checkpoint(self, step: int, save: Callable[[Path], object]) -> Path:
        """Lets `save` fill a folder, gives it its final name once it is whole, and drops all but the newest two."""
        for left_by_a_kill in self.path.glob(".checkpoint-*"):
            shutil.rmtree(left_by_a_kill)
        target = self.path / _checkpoint_name(step)
        partial = self.path / f".{target.name}.partial"
        partial.mkdir(parents=True)
        save(partial)
        if target.exists():
            self._drop(target)
        partial.rename(target)
        for old in self._checkpoints()[:-CHECKPOINTS_KEPT]:
            self._drop(old)
        return target

    def _checkpoints(self) -> list[Path]:
        return sorted(self.path.glob("checkpoint-*"))

    def _drop(self, checkpoint: Path) -> None:
        """Removes a checkpoint, which no longer has its name while it is incomplete."""
        shutil.rmtree(checkpoint.rename(self.path / f".{checkpoint.name}.dropped"))

    def checkpoint(self) -> Path | None:
        """The newest complete checkpoint."""
        return next(reversed(self._checkpoints()), None)

    def _write_log(self, entries: Iterable[LogEntry]) -> None:
        write_atomically(self.path / "metrics.jsonl", "".join(_line(entry) for entry in entries))

    def ending(self) -> LogEntry | None:
        """The last log entry where training has ended and what it left is on disk."""
        entry = next(reversed(self.log()), None)
        if entry is None or entry.outcome == "running":
            return None
        checkpoint = self.checkpoint()
        saved = checkpoint is not None and checkpoint_step(checkpoint) == entry.step
        return entry if saved or entry.outcome == "diverged" else None


def _checkpoint_name(step: int) -> str:
    return f"checkpoint-{step:09d}"


def checkpoint_step(checkpoint: Path) -> int:
    """Optimizer steps taken when the checkpoint was made."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def checkpoint_folder(study: Path, number: int) -> Path:
    """Where the newest checkpoint of a trial lies: the final one if the trial is complete.

    Raises:
        CheckpointError: The trial has none.
    """
    folder = TrialFolder(study, number)
    checkpoint = folder.checkpoint()
    if checkpoint is None:
        raise CheckpointError(f"trial {number} of {study} has no checkpoint: run it, or choose a complete trial")
    return checkpoint


def _line(entry: LogEntry) -> str:
    content = {
        "step": entry.step,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "elapsed_s": entry.elapsed_s,
        "metrics": dict(entry.metrics),
    }
    return json.dumps(content) + "\n"


def _entry(content: dict[str, Any]) -> LogEntry:
    return LogEntry(**content)
