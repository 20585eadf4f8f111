"""One trial's folder: its configuration, its metrics log, its checkpoints.

trials/t00007/
  config.json              the resolved configuration
  trial.json               its hashes: what other studies find it by
  provenance.json          the code and machine of every attempt at it
  origin.json              where its first steps were trained, if not here
  metrics.jsonl            one line per report, appended
  checkpoint-000000240/    complete as long as it has this name, or in an object store its
  `complete.json`; the newest two are kept
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from cpc_core.config import PROBE_METRICS, CpcConfig, canonical_json
from cpc_core.errors import CheckpointError
from cpc_core.report import Report
from cpc_core.storage_path import StoragePath
from study.folders.checkpoints import checkpoints

CHECKPOINTS_KEPT = 2
"""Of each trial: the newest, and the one before it."""


CONFIG, LOG, IDENTITY, ORIGIN, PROVENANCE = (
    "config.json",
    "metrics.jsonl",
    "trial.json",
    "origin.json",
    "provenance.json",
)


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
    """Reads and writes the files of one trial. One process writes at a time: the driver, which
    prepares it, then the first of the trial's workers.

    Args:
        study: The study folder.
        number: The trial's.
    """

    def __init__(self, study: str | os.PathLike[str], number: int) -> None:
        self.study, self.number = StoragePath.of(study), number
        self.path = self.study / "trials" / self.name
        self._checkpoints = checkpoints(self.path)

    @property
    def name(self) -> str:
        """The folder's name."""
        return f"t{self.number:05d}"

    def create(self, config: CpcConfig) -> None:
        """Makes the folder and records the configuration."""
        (self.path / CONFIG).write_text(canonical_json(config) + "\n")

    def config(self) -> CpcConfig:
        """The configuration that was recorded.

        Raises:
            CheckpointError: There is none, or it is not one of this version.
        """
        path = self.path / CONFIG
        try:
            return CpcConfig.model_validate_json(path.read_bytes())
        except (FileNotFoundError, ValidationError) as error:
            raise CheckpointError(
                f"{path} cannot be read ({str(error).splitlines()[0]}): restore it"
            ) from error

    def identify(self, identity: Identity) -> None:
        """Makes the folder and records what the trial is."""
        (self.path / IDENTITY).write_text(json.dumps(asdict(identity)) + "\n")

    def identity(self) -> Identity | None:
        """What the trial is, None where that was not recorded."""
        content = _json(self.path / IDENTITY)
        return None if content is None else Identity(**content)

    def origin(self) -> Origin | None:
        """Where its first steps were trained, None where all of them were trained here."""
        content = _json(self.path / ORIGIN)
        return None if content is None else Origin(**content)

    def adopt(self, donor: TrialFolder, config: CpcConfig, step: int, *, ended: bool) -> None:
        """Takes over what another trial on the same trajectory has trained: its log, its
        checkpoint, its provenance.

        The time that it took is not counted here. What changes later is copied; weights never
        change, and are linked.

        Args:
            donor: The other trial, which may be in training.
            config: This trial's configuration.
            step: Up to which step; the donor has a checkpoint of it, or diverged there.
            ended: Whether the donor's ending is this trial's, too. Otherwise this trial goes on
                from there.

        Raises:
            FileNotFoundError: The donor has dropped the checkpoint meanwhile.
        """
        entries = [_adopted(entry, ended=ended) for entry in donor.log() if entry.step <= step]
        checkpoint = max((saved for saved in donor.steps() if saved <= step), default=None)
        before = donor.origin()
        origin = (
            before
            if before is not None and before.step >= step
            else Origin(donor.study.name, donor.number, step)
        )
        # First, so that whatever else is here is known to be another's, should this end half-way.
        (self.path / ORIGIN).write_text(json.dumps(asdict(origin)) + "\n")
        if (donor.path / PROVENANCE).exists():
            (self.path / PROVENANCE).write_bytes((donor.path / PROVENANCE).read_bytes())
        (self.path / LOG).write_text("".join(map(_line, entries)))
        if checkpoint is not None:
            source = donor.checkpoint_at(checkpoint)
            self.save_checkpoint(checkpoint, lambda folder: _linked(source, folder, config))

    def log(self) -> tuple[Report, ...]:
        """The metrics log in step order. A last line without its line end is still being written,
        and left out.
        """
        try:
            text = (self.path / LOG).read_bytes().decode()
        except FileNotFoundError:
            return ()
        return tuple(
            _entry(json.loads(line))
            for line in text.splitlines(keepends=True)
            if line.endswith("\n")
        )

    def append(self, entry: Report) -> None:
        """Adds one line, on disk before this returns."""
        (self.path / LOG).append(_line(entry).encode())

    def rewind(self, step: int) -> None:
        """Forgets the lines after `step`: those steps are about to be taken again. A start from
        scratch forgets a donor, too.
        """
        origin = self.origin()
        if origin is not None and origin.step > step:
            if step < 0:
                (self.path / PROVENANCE).remove()
            (self.path / ORIGIN).remove()
        kept = [entry for entry in self.log() if entry.step <= step]
        (self.path / LOG).write_text("".join(_line(entry) for entry in kept))

    def save_checkpoint(self, step: int, save: Callable[[Path], object]) -> None:
        """Lets `save` fill a folder, keeps it as a checkpoint once it is whole, and drops all but
        the newest two.
        """
        self._checkpoints.save(step, save)
        for old in self.steps()[:-CHECKPOINTS_KEPT]:
            self._checkpoints.drop(old)

    def trained_here(self) -> tuple[int, float]:
        """Steps and seconds that were spent on the trial in this study."""
        log, origin = self.log(), self.origin()
        return (
            (log[-1].step - (origin.step if origin else 0), log[-1].elapsed_s) if log else (0, 0.0)
        )

    def steps(self) -> list[int]:
        """Optimizer steps of the complete checkpoints, in order."""
        return self._checkpoints.steps()

    def checkpoint(self) -> Path | None:
        """The newest complete checkpoint; from an object store, a copy that lives as long as this
        process.
        """
        step = self.newest_step()
        return None if step is None else self.checkpoint_at(step)

    def require_checkpoint(self) -> Path:
        """The newest complete checkpoint, on this machine.

        Raises:
            CheckpointError: The trial has none.
        """
        checkpoint = self.checkpoint()
        if checkpoint is None:
            raise CheckpointError(
                f"trial {self.number} of {self.study} has no checkpoint: run it, or choose a complete trial"
            )
        return checkpoint

    def newest_step(self) -> int | None:
        """Optimizer steps of the newest complete checkpoint."""
        return max(self.steps(), default=None)

    def checkpoint_at(self, step: int) -> Path:
        """The complete checkpoint of that step, on this machine."""
        return self._checkpoints.folder(step)

    def ending(self) -> Report | None:
        """The last log entry where training has ended and what it left is on disk."""
        entry = next(reversed(self.log()), None)
        if entry is None or entry.outcome == "running":
            return None
        return entry if entry.outcome == "diverged" or entry.step == self.newest_step() else None


def _adopted(entry: Report, *, ended: bool) -> Report:
    """The line as this trial would have written it: where the donor ended and this trial goes on, a
    report like any other.
    """
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


def _json(place: StoragePath) -> dict[str, Any] | None:
    try:
        return cast(dict[str, Any], json.loads(place.read_bytes()))
    except FileNotFoundError:
        return None


def _line(entry: Report) -> str:
    content = {
        "step": entry.step,
        "outcome": entry.outcome,
        "reason": entry.reason,
        "elapsed_s": entry.elapsed_s,
        "metrics": dict(entry.metrics),
    }
    return json.dumps(content) + "\n"


def _entry(content: dict[str, Any]) -> Report:
    return Report(**content)
