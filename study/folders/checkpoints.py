"""The checkpoints of one trial: folders that are seen whole or not at all."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cpc_core.storage_path import StoragePath, sync

COMPLETE = "complete.json"
"""Written after the files of a checkpoint in an object store; one without it is none. It lists
them.
"""


class Checkpoints(Protocol):
    """Checkpoints by the optimizer step at which they were made."""

    def steps(self) -> list[int]:
        """Steps of the complete ones, in order."""

    def save(self, step: int, fill: Callable[[Path], object]) -> None:
        """Lets `fill` write into an empty folder, and keeps that once it is whole."""

    def drop(self, step: int) -> None:
        """Removes one; it is no longer there while it is incomplete."""

    def folder(self, step: int) -> Path:
        """A complete one, on this machine."""


def checkpoints(trial: StoragePath) -> Checkpoints:
    """Those in a trial's folder."""
    return LocalCheckpoints(Path(trial)) if trial.is_local else StoredCheckpoints(trial)


class LocalCheckpoints:
    """Folders that get their name when they are whole, and lose it before they are removed."""

    def __init__(self, trial: Path) -> None:
        self._trial = trial

    def steps(self) -> list[int]:
        return sorted(checkpoint_step(path) for path in self._trial.glob("checkpoint-*"))

    def save(self, step: int, fill: Callable[[Path], object]) -> None:
        for left_by_a_kill in self._trial.glob(".checkpoint-*"):
            shutil.rmtree(left_by_a_kill)
        target = self.folder(step)
        partial = target.with_name(f".{target.name}.partial")
        partial.mkdir(parents=True)
        fill(partial)
        # Without this a power loss may leave the name, and empty files.
        for path in (*partial.iterdir(), partial):
            sync(path)
        if target.exists():
            self.drop(step)
        partial.rename(target)
        sync(self._trial)

    def drop(self, step: int) -> None:
        checkpoint = self.folder(step)
        shutil.rmtree(checkpoint.rename(checkpoint.with_name(f".{checkpoint.name}.dropped")))

    def folder(self, step: int) -> Path:
        return self._trial / _name(step)


class StoredCheckpoints:
    """Objects with a common beginning, among them a last one that makes them a checkpoint. To be
    loaded, they are copied here.
    """

    def __init__(self, trial: StoragePath) -> None:
        self._trial = trial

    def steps(self) -> list[int]:
        folders = [
            path.removesuffix(f"/{COMPLETE}")
            for path in self._trial.walk_files()
            if path.endswith(f"/{COMPLETE}")
        ]
        return sorted(checkpoint_step(Path(folder)) for folder in folders)

    def save(self, step: int, fill: Callable[[Path], object]) -> None:
        target = self._trial / _name(step)
        with tempfile.TemporaryDirectory(prefix="cpc-checkpoint-") as folder:
            fill(Path(folder))
            (target / COMPLETE).remove()
            files = sorted(Path(folder).iterdir())
            for path in files:
                with path.open("rb") as source, (target / path.name).writing() as copy:
                    shutil.copyfileobj(source, copy)
            (target / COMPLETE).write_bytes(json.dumps([path.name for path in files]).encode())

    def drop(self, step: int) -> None:
        target = self._trial / _name(step)
        (target / COMPLETE).remove()
        target.remove()

    def folder(self, step: int) -> Path:
        source, copy = (
            self._trial / _name(step),
            Path(_copies().name, self._trial.name, _name(step)),
        )
        shutil.rmtree(copy.parent, ignore_errors=True)
        copy.mkdir(parents=True)
        for name in json.loads((source / COMPLETE).read_bytes()):
            with (
                (source / name).filesystem.open_input_stream((source / name).path) as stream,
                (copy / name).open("wb") as file,
            ):
                shutil.copyfileobj(stream, file)
        return copy


def checkpoint_step(checkpoint: Path) -> int:
    """Optimizer steps taken when the checkpoint was made."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _name(step: int) -> str:
    return f"checkpoint-{step:09d}"


@lru_cache(maxsize=1)
def _copies() -> tempfile.TemporaryDirectory[str]:
    """Where this process keeps what it has copied from a store; goes with the process."""
    return tempfile.TemporaryDirectory(prefix="cpc-checkpoints-", ignore_cleanup_errors=True)
