"""One trial's folder: its configuration, its metrics log, its checkpoints.

trials/t00007/
  config.json              the resolved configuration
  trial.json               its hashes: what other studies find it by
  provenance.json          the code and machine of every attempt at it
  origin.json              where its first steps were trained, if not here
  metrics.jsonl            one line per report, appended
  checkpoint-000000240/    complete as long as it has this name; the newest two are kept
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from cpc_core.config import PROBE_METRICS, CpcConfig, canonical_json
from cpc_core.errors import CheckpointError
from study.files import write_atomically
from study.records import Outcome, Report

CHECKPOINTS_KEPT = 2
"""Of each trial: the newest, and the one before it."""

CONFIG, LOG, IDENTITY, ORIGIN, PROVENANCE = "config.json", "metrics.jsonl", "trial.json", "origin.json", "provenance.json"


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


@dataclass(frozen=True)
class Identity:
    """What a trial is, in hashes.

    Attributes:
        trial_id: Signature of its configuration and corpus.
        trajectory_id: Of all that decides its steps, but not how many of them it takes.
        steps: How many.
        spec_hash: Of the spec that asked for it.
        corpus_hash: Of the corpus manifest.
        seed: Its seed.
    """

    trial_id: str
    trajectory_id: str
    steps: int
    spec_hash: str
    corpus_hash: str
    seed: int


@dataclass(frozen=True)
class Origin:
    """Where a trial's first steps were trained.

    Attributes:
        study: Folder name of the study.
        trial: Number of the trial in it.
        step: The last of those steps.
    """

    study: str
    trial: int
    step: int


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
        write_atomically(self.path / CONFIG, canonical_json(config) + "\n")

    def identify(self, identity: Identity) -> None:
        """Makes the folder and records what the trial is."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path / IDENTITY, json.dumps(asdict(identity)) + "\n")

    def identity(self) -> Identity | None:
        """What the trial is, None where that was not recorded."""
        content = _json(self.path / IDENTITY)
        return None if content is None else Identity(**content)

    def origin(self) -> Origin | None:
        """Where its first steps were trained, None where all of them were trained here."""
        content = _json(self.path / ORIGIN)
        return None if content is None else Origin(**content)

    def adopt(self, donor: TrialFolder, config: CpcConfig, step: int, *, ended: bool) -> None:
        """Takes over what another trial on the same trajectory has trained: its log, its checkpoint, its provenance.

        The time that it took is not counted here. What changes later is copied; weights never change, and are linked.

        Args:
            donor: The other trial, which may be in training.
            config: This trial's configuration.
            step: Up to which step; the donor has a checkpoint of it, or diverged there.
            ended: Whether the donor's ending is this trial's, too. Otherwise this trial goes on from there.

        Raises:
            FileNotFoundError: The donor has dropped the checkpoint meanwhile.
        """
        entries = [_adopted(entry, ended=ended) for entry in donor.log() if entry.step <= step]
        checkpoint = max((path for path in donor.checkpoints() if checkpoint_step(path) <= step), default=None)
        before = donor.origin()
        origin = before if before is not None and before.step >= step else Origin(donor.study.absolute().name, donor.number, step)
        self.create(config)
        if (donor.path / PROVENANCE).exists():
            write_atomically(self.path / PROVENANCE, (donor.path / PROVENANCE).read_bytes())
        write_atomically(self.path / ORIGIN, json.dumps(asdict(origin)) + "\n")
        write_atomically(self.path / LOG, "".join(map(_line, entries)))
        if checkpoint is not None:
            self.save_checkpoint(checkpoint_step(checkpoint), lambda folder: _linked(checkpoint, folder, config))

    def log(self) -> tuple[LogEntry, ...]:
        """The metrics log in step order. A last line without its line end is still being written, and left out."""
        try:
            text = (self.path / LOG).read_text(encoding="utf-8")
        except FileNotFoundError:
            return ()
        return tuple(_entry(json.loads(line)) for line in text.splitlines(keepends=True) if line.endswith("\n"))

    def append(self, entry: LogEntry) -> None:
        """Adds one line, on disk before this returns."""
        with (self.path / LOG).open("a", encoding="utf-8") as file:
            file.write(_line(entry))
            file.flush()
            os.fsync(file.fileno())

    def rewind(self, step: int) -> None:
        """Forgets the lines after `step`: those steps are about to be taken again."""
        origin = self.origin()
        if origin is not None and origin.step > step:
            (self.path / ORIGIN).unlink()
        kept = [entry for entry in self.log() if entry.step <= step]
        write_atomically(self.path / LOG, "".join(_line(entry) for entry in kept))

    def save_checkpoint(self, step: int, save: Callable[[Path], None]) -> Path:
        """Lets `save` fill a folder, gives it its final name once it is whole, and drops all but the newest two."""
        for left_by_a_kill in self.path.glob(".checkpoint-*"):
            shutil.rmtree(left_by_a_kill)
        target = self.path / f"checkpoint-{step:09d}"
        partial = self.path / f".{target.name}.partial"
        partial.mkdir(parents=True)
        save(partial)
        if target.exists():
            self._drop(target)
        partial.rename(target)
        for old in self.checkpoints()[:-CHECKPOINTS_KEPT]:
            self._drop(old)
        return target

    def _drop(self, checkpoint: Path) -> None:
        """Removes a checkpoint, which no longer has its name while it is incomplete."""
        shutil.rmtree(checkpoint.rename(self.path / f".{checkpoint.name}.dropped"))

    def trained_here(self) -> tuple[int, float]:
        """Steps and seconds that were spent on the trial in this study."""
        log, origin = self.log(), self.origin()
        return (log[-1].step - (origin.step if origin else 0), log[-1].elapsed_s) if log else (0, 0.0)

    def checkpoints(self) -> list[Path]:
        """The complete checkpoints, oldest first."""
        return sorted(self.path.glob("checkpoint-*"))

    def checkpoint(self) -> Path | None:
        """The newest complete checkpoint."""
        return next(reversed(self.checkpoints()), None)

    def ending(self) -> LogEntry | None:
        """The last log entry where training has ended and what it left is on disk."""
        entry = next(reversed(self.log()), None)
        if entry is None or entry.outcome == "running":
            return None
        checkpoint = self.checkpoint()
        saved = checkpoint is not None and checkpoint_step(checkpoint) == entry.step
        return entry if saved or entry.outcome == "diverged" else None


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


def _adopted(entry: LogEntry, *, ended: bool) -> LogEntry:
    """The line as this trial would have written it: where the donor ended and this trial goes on, a report like any other."""
    entry = replace(entry, elapsed_s=0.0)
    if ended or entry.outcome == "running":
        return entry
    metrics = {name: value for name, value in entry.metrics.items() if name not in PROBE_METRICS}
    return replace(entry, metrics=metrics, outcome="running", reason="")


def _linked(source: Path, target: Path, config: CpcConfig) -> None:
    """Fills `target` with the files of a checkpoint, under another configuration."""
    for path in source.iterdir():
        if path.name != CONFIG:
            try:
                os.link(path, target / path.name)
            except FileNotFoundError:
                raise
            except OSError:
                shutil.copy2(path, target / path.name)
    (target / CONFIG).write_text(canonical_json(config), encoding="utf-8")


def _json(path: Path) -> dict[str, Any] | None:
    try:
        return cast(dict[str, Any], json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


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
