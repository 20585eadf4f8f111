"""The checkpoints of one trial: folders that appear whole or not at all."""

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
"""List of the files of a checkpoint in an object store, written last: without it there is none."""


class Checkpoints(Protocol):
    """Checkpoints of one trial, by optimizer step."""

    def steps(self) -> list[int]:
        """Steps of the complete checkpoints, in order."""

    def save(self, step: int, fill: Callable[[Path], object]) -> None:
        """Saves a checkpoint with `fill`, which writes into an empty folder."""

    def drop(self, step: int) -> None:
        """Removes a checkpoint, which is never visible while incomplete."""

    def folder(self, step: int) -> Path:
        """Folder of a complete checkpoint, on this machine."""


def checkpoints(trial: StoragePath) -> Checkpoints:
    """The checkpoints in a trial's folder."""
    return LocalCheckpoints(Path(trial)) if trial.is_local else StoredCheckpoints(trial)


class LocalCheckpoints:
    """Folders, renamed to their name when complete and away from it before removal."""

    def __init__(self, trial: Path) -> None:
        self._trial = trial

    def steps(self) -> list[int]:
        return sorted(checkpoint_step(path) for path in self._trial.glob("checkpoint-*"))

    def save(self, step: int, fill: Callable[[Path], object]) -> None:
        # A process that was killed may have left some.
        for incomplete in self._trial.glob(".checkpoint-*"):
            shutil.rmtree(incomplete)
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
    """Objects with a common prefix, of which the last one completes the checkpoint.

    They are copied to this machine to be loaded.
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
    """Optimizer steps taken before a checkpoint."""
    return int(checkpoint.name.removeprefix("checkpoint-"))


def _name(step: int) -> str:
    return f"checkpoint-{step:09d}"


@lru_cache(maxsize=1)
def _copies() -> tempfile.TemporaryDirectory[str]:
    """Folder for copies from an object store, removed with the process."""
    return tempfile.TemporaryDirectory(prefix="cpc-checkpoints-", ignore_cleanup_errors=True)
