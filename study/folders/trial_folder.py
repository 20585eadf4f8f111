"""The folder of a trial: its configuration, its metrics log, its checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pydantic import ValidationError

from cpc_core.config import PROBE_METRICS, CpcConfig, canonical_json, is_earlier
from cpc_core.errors import CheckpointError
from cpc_core.evaluation.clip_scores import ClipScores, MetricsByRecording, read_by_recording
from cpc_core.report import Outcome, Report
from cpc_core.storage_path import StoragePath
from study.folders.checkpoints import checkpoints
from study.folders.growing_file import last_line
from study.folders.json_file import damaged, parse_as, read_as

T = TypeVar("T")

CHECKPOINTS_KEPT = 2
"""Checkpoints of each trial: the newest, and the one before it."""

CONFIG, LOG, IDENTITY, ORIGIN, PROVENANCE, PROBE = (
    "config.json",
    "metrics.jsonl",
    "trial.json",
    "origin.json",
    "provenance.json",
    "probe.parquet",
)


@dataclass(frozen=True)
class Identity:
    """Hashes that identify a trial, by which other studies find it.

    Attributes:
        trial_id: Signature of its configuration and corpus.
        trajectory_id: Signature of all that decides its steps, without their number.
        steps: Number of optimizer steps.
        spec_hash: Hash of the study's spec.
        corpus_hash: Hash of the corpus manifest.
        seed: Seed of the replicate.
    """

    trial_id: str
    trajectory_id: str
    steps: int
    spec_hash: str
    corpus_hash: str
    seed: int


@dataclass(frozen=True)
class Origin:
    """Source of a trial's first steps: the trial that trained them.

    Attributes:
        study: Folder name of the study.
        trial: Number of the trial in it.
        step: The last of those steps.
    """

    study: str
    trial: int
    step: int


class TrialFolder:
    """Folder of one trial. One process writes at a time: the driver, then the first worker.

    trials/t00007/
      config.json              the resolved configuration
      trial.json               its hashes, by which other studies find it
      provenance.json          code and machine of every attempt at it
      origin.json              the trial that trained its first steps, if another did
      metrics.jsonl            one line per report, appended
      probe.parquet            the probe's scores by held-out clip, once it is complete
      checkpoint-000000240/    complete once it has this name, or in an object store its
                               `complete.json`; the newest two are kept

    Args:
        study: The study folder.
        number: The trial's number in it.
    """

    def __init__(self, study: str | os.PathLike[str], number: int) -> None:
        self.study, self.number = StoragePath.of(study), number
        self.path = self.study / "trials" / self.name
        self._checkpoints = checkpoints(self.path)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return f"t{self.number:05d}"

    def create(self, config: CpcConfig) -> None:
        """Creates the folder and writes the configuration."""
        (self.path / CONFIG).write_text(canonical_json(config) + "\n")

    def config(self) -> CpcConfig:
        """The trial's configuration.

        Raises:
            CheckpointError: There is none, or it is not one of this version.
        """
        path = self.path / CONFIG
        try:
            text = path.read_bytes()
            return CpcConfig.model_validate_json(text)
        except (FileNotFoundError, ValidationError) as error:
            if isinstance(error, ValidationError) and _is_of_an_earlier_version(text):
                raise CheckpointError(
                    f"{path} was written by an earlier version: the trial can be shown, reported "
                    "and exported, but not trained again"
                ) from error
            raise CheckpointError(
                f"{path} cannot be read ({str(error).splitlines()[0]}): restore it"
            ) from error

    def identify(self, identity: Identity) -> None:
        """Writes the hashes that identify the trial."""
        (self.path / IDENTITY).write_text(json.dumps(asdict(identity)) + "\n")

    def identity(self) -> Identity | None:
        """Hashes that identify the trial; None where none were written."""
        return _optional(self.path / IDENTITY, Identity)

    def origin(self) -> Origin | None:
        """Source of the first steps; None where this trial trained all of them."""
        return _optional(self.path / ORIGIN, Origin)

    def copy_from(self, source: TrialFolder, config: CpcConfig, step: int, *, ended: bool) -> None:
        """Copies log, checkpoint and provenance of another trial on the same trajectory.

        The time that its training took is not counted here. Weights never change, and are linked.

        Args:
            source: The other trial, which may be in training.
            config: This trial's configuration.
            step: The last step to copy; the source has a checkpoint of it, or diverged there.
            ended: True if the source's outcome is this trial's, too; otherwise this trial resumes
                from `step`.

        Raises:
            FileNotFoundError: The source has dropped the checkpoint meanwhile.
        """
        entries = [_copied(entry, ended=ended) for entry in source.log() if entry.step <= step]
        checkpoint = max((saved for saved in source.steps() if saved <= step), default=None)
        before = source.origin()
        origin = (
            before
            if before is not None and before.step >= step
            else Origin(source.study.name, source.number, step)
        )
        # First: a crash half-way must not leave another trial's files without their source.
        (self.path / ORIGIN).write_text(json.dumps(asdict(origin)) + "\n")
        if (source.path / PROVENANCE).exists():
            (self.path / PROVENANCE).write_bytes((source.path / PROVENANCE).read_bytes())
        (self.path / LOG).write_text("".join(map(_line, entries)))
        if ended and (source.path / PROBE).exists():
            (self.path / PROBE).write_bytes((source.path / PROBE).read_bytes())
        if checkpoint is not None:
            weights = source.checkpoint_at(checkpoint)
            self.save_checkpoint(checkpoint, lambda folder: _link(weights, folder, config))

    def log(self) -> tuple[Report, ...]:
        """The metrics log in step order, without a last line that is still being written.

        Raises:
            ConfigError: A line is damaged.
        """
        path = self.path / LOG
        try:
            lines = path.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return ()
        return tuple(_report(path, number, line) for number, line in enumerate(lines, start=1))

    def last_report(self) -> Report | None:
        """The last line of the metrics log; None before the first one.

        Raises:
            ConfigError: It is damaged.
        """
        if not self.path.is_local:
            return next(reversed(self.log()), None)
        path = self.path / LOG
        try:
            line = last_line(Path(path))
            return None if line is None else Report(**vars(parse_as(line, _LogLine)))
        except FileNotFoundError:
            return None
        except ValueError as error:
            # Names the first damaged line by its number.
            self.log()
            raise damaged(path, error) from error

    def append(self, entry: Report) -> None:
        """Appends one line, which is on disk when this returns."""
        (self.path / LOG).append(_line(entry).encode())

    def rewind(self, step: int) -> None:
        """Removes the lines after `step`, because those steps are about to be taken again.

        A start from scratch, with a step of −1, removes the source of earlier steps, too.
        """
        origin = self.origin()
        if origin is not None and origin.step > step:
            if step < 0:
                (self.path / PROVENANCE).remove()
            (self.path / ORIGIN).remove()
        kept = [entry for entry in self.log() if entry.step <= step]
        (self.path / LOG).write_text("".join(_line(entry) for entry in kept))

    def save_checkpoint(self, step: int, save: Callable[[Path], object]) -> None:
        """Saves a checkpoint by `save`, which fills a folder; the newest two are kept."""
        self._checkpoints.save(step, save)
        for old in self.steps()[:-CHECKPOINTS_KEPT]:
            self._checkpoints.drop(old)

    def save_clip_scores(self, scores: ClipScores) -> None:
        """Writes the probe's scores by clip."""
        (self.path / PROBE).write_bytes(scores.to_parquet())

    def metrics_by_recording(self) -> MetricsByRecording | None:
        """The probe's metrics by recording; None where a trial of an older version kept none.

        Raises:
            CheckpointError: The file is damaged.
        """
        path = self.path / PROBE
        try:
            return read_by_recording(path)
        except FileNotFoundError:
            return None
        except pa.ArrowException as error:
            raise CheckpointError(
                f"{path} cannot be read ({str(error).splitlines()[0]}): restore it, or remove it "
                "to have intervals over seeds alone"
            ) from error

    def trained_here(self) -> tuple[int, float]:
        """Steps and seconds of training in this study."""
        last, origin = self.last_report(), self.origin()
        return (
            (0, 0.0)
            if last is None
            else (last.step - (origin.step if origin else 0), last.elapsed_s)
        )

    def steps(self) -> list[int]:
        """Optimizer steps of the complete checkpoints, in order."""
        return self._checkpoints.steps()

    def checkpoint(self) -> Path | None:
        """The newest complete checkpoint; from an object store, a copy that this process owns."""
        step = self.newest_step()
        return None if step is None else self.checkpoint_at(step)

    def require_checkpoint(self) -> Path:
        """The newest complete checkpoint, like `checkpoint`.

        Raises:
            CheckpointError: The trial has none.
        """
        checkpoint = self.checkpoint()
        if checkpoint is None:
            raise CheckpointError(
                f"trial {self.number} of {self.study} has no checkpoint: run it, "
                "or choose a complete trial"
            )
        return checkpoint

    def newest_step(self) -> int | None:
        """Optimizer steps of the newest complete checkpoint."""
        return max(self.steps(), default=None)

    def checkpoint_at(self, step: int) -> Path:
        """The complete checkpoint of that step, on this machine."""
        return self._checkpoints.folder(step)

    def ending(self) -> Report | None:
        """The last report of a training that has ended with its checkpoint on disk, else None."""
        entry = self.last_report()
        if entry is None or entry.outcome == "running":
            return None
        return entry if entry.outcome == "diverged" or entry.step == self.newest_step() else None


def _copied(entry: Report, *, ended: bool) -> Report:
    """The report as this trial would have written it, `running` where this trial resumes."""
    entry = replace(entry, elapsed_s=0.0)
    if ended or entry.outcome == "running":
        return entry
    metrics = {name: value for name, value in entry.metrics.items() if name not in PROBE_METRICS}
    return replace(entry, metrics=metrics, outcome="running", reason="")


def _link(source: Path, target: Path, config: CpcConfig) -> None:
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


def _optional(path: StoragePath, kind: type[T]) -> T | None:
    try:
        return read_as(path, kind)
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class _LogLine:
    """Report as the metrics log has it; a whole number stays one when it is written again."""

    step: int
    outcome: Outcome
    reason: str
    elapsed_s: float
    metrics: dict[str, int | float]


def _line(entry: Report) -> str:
    line = _LogLine(entry.step, entry.outcome, entry.reason, entry.elapsed_s, dict(entry.metrics))
    return json.dumps(asdict(line)) + "\n"


def _report(path: StoragePath, number: int, text: bytes) -> Report:
    try:
        return Report(**vars(parse_as(text, _LogLine)))
    except ValueError as error:
        raise damaged(f"{path}, line {number}", error) from error


def _is_of_an_earlier_version(text: bytes) -> bool:
    try:
        return is_earlier(json.loads(text))
    except (ValueError, AttributeError, TypeError):
        return False
