"""One trial's folder: its configuration, its metrics log, its checkpoints.

trials/t00007/
  config.json              the resolved configuration
  metrics.jsonl            one line per report, appended
  checkpoint-000000240/    complete as long as it has this name, or in an object store its `complete.json`; the newest two are kept
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cpc_core.config import CpcConfig, canonical_json
from cpc_core.corpus.location import Location
from cpc_core.errors import CheckpointError
from study.checkpoints import checkpoint_step, checkpoints
from study.files import Place, append, write_atomically
from study.records import Outcome, Report

__all__ = ["LogEntry", "TrialFolder", "checkpoint_folder", "checkpoint_step"]

CONFIG, LOG = "config.json", "metrics.jsonl"

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
    """Reads and writes the files of one trial. One process writes: rank 0 of the trial's workers.

    Args:
        study: The study folder.
        number: The trial's.
    """

    def __init__(self, study: str | Place, number: int) -> None:
        self.study, self.number = Location.of(study), number
        self.place = self.study / "trials" / self.name
        self._checkpoints = checkpoints(self.place)

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"t{self.number:05d}"

    @property
    def path(self) -> Path:
        """The folder on this machine.

        Raises:
            CorpusError: It is in an object store.
        """
        return Path(self.place)

    def create(self, config: CpcConfig) -> None:
        """Makes the folder and records the configuration."""
        write_atomically(self.place / CONFIG, canonical_json(config) + "\n")

    def config(self) -> CpcConfig:
        """The configuration that was recorded.

        Raises:
            CheckpointError: There is none, or it is not one of this version.
        """
        path = self.place / CONFIG
        try:
            return CpcConfig.model_validate_json(path.read_bytes())
        except FileNotFoundError as error:
            raise CheckpointError(f"trial {self.number} of {self.study} has no {CONFIG}: run the study") from error
        except ValidationError as error:
            raise CheckpointError(f"{path} is not a configuration of this version: {error.errors()[0]['msg']}") from error

    def log(self) -> tuple[LogEntry, ...]:
        """The metrics log in step order. A last line without its line end is still being written, and left out."""
        try:
            text = (self.place / LOG).read_bytes().decode()
        except FileNotFoundError:
            return ()
        return tuple(_entry(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n"))

    def append(self, entry: LogEntry) -> None:
        """Adds one line, on disk before this returns."""
        append(self.place / LOG, _line(entry).encode())

    def rewind(self, step: int) -> None:
        """Forgets the lines after `step`: those steps are about to be taken again."""
        kept = [entry for entry in self.log() if entry.step <= step]
        write_atomically(self.place / LOG, "".join(_line(entry) for entry in kept))

    def save_checkpoint(self, step: int, save: Callable[[Path], object]) -> None:
        """Lets `save` fill a folder, keeps it as a checkpoint once it is whole, and drops all but the newest two."""
        self._checkpoints.save(step, save)
        for old in self._checkpoints.steps()[:-CHECKPOINTS_KEPT]:
            self._checkpoints.drop(old)

    def checkpoint(self) -> Path | None:
        """The newest complete checkpoint; from an object store, a copy that lives as long as this process."""
        step = self.newest_step()
        return None if step is None else self.checkpoint_at(step)

    def newest_step(self) -> int | None:
        """Optimizer steps of the newest complete checkpoint."""
        return max(self._checkpoints.steps(), default=None)

    def checkpoint_at(self, step: int) -> Path:
        """The complete checkpoint of that step, on this machine."""
        return self._checkpoints.folder(step)

    def ending(self) -> LogEntry | None:
        """The last log entry where training has ended and what it left is on disk."""
        entry = next(reversed(self.log()), None)
        if entry is None or entry.outcome == "running":
            return None
        return entry if entry.outcome == "diverged" or entry.step == self.newest_step() else None


def checkpoint_folder(study: Place, number: int) -> Path:
    """Where the newest checkpoint of a trial lies, on this machine: the final one if the trial is complete.

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
