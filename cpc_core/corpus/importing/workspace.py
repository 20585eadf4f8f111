"""Workspace of an import, from which it resumes after it was killed at any moment.

.CORPUS.importing/
  parts/train-00003.json       description of a part
  corpus/train-00003.parquet   its shard, which appears when it is complete
  done/train-00003.json        its sha256, rejections and notes, written after it

A hidden folder in the parent folder of the corpus; the corpus appears when everything is done.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cpc_core.corpus.importing.parts import Part
from cpc_core.corpus.manifest import MANIFEST_NAME, Shard
from cpc_core.errors import CorpusError, StorageError
from cpc_core.storage_path import StoragePath, sole_use, sync

_COPIES = 16


class Rejection(BaseModel):
    """An entry without a clip."""

    path: str
    reason: str
    exception: str


class Note(BaseModel):
    """An entry that was repaired."""

    path: str
    note: str


class PartResult(BaseModel):
    """Result of a part."""

    model_config = ConfigDict(extra="forbid")

    part: str
    """SHA-256 of the part's description: a result of another description is not used."""

    shards: tuple[Shard, ...]
    label_rows: dict[str, int]
    rejected: list[Rejection]
    notes: list[Note]
    recordings: int
    samples: int
    """Samples of recordings in the clips, padding not counted."""

    left_out: int = 0
    """Samples of rests that were too short for a clip of their own."""


@dataclass(frozen=True)
class Workspace:
    """Workspace of the import of one corpus.

    Attributes:
        target: The corpus to import.
    """

    target: StoragePath

    @property
    def folder(self) -> StoragePath:
        """Folder of the workspace."""
        return self.target.sibling(f".{self.target.name}.importing")

    @property
    def shards(self) -> StoragePath:
        """Folder of the shards, which becomes the corpus."""
        return self.folder / "corpus"

    def add(self, part: Part) -> str:
        """Writes the description of a part and returns its hash."""
        content = part.to_json()
        (self.folder / "parts" / f"{part.name}.json").write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def part(self, name: str) -> tuple[Part, str]:
        """Reads a part that was added, and the hash of its description."""
        content = (self.folder / "parts" / f"{name}.json").read_bytes()
        return Part.from_json(content), hashlib.sha256(content).hexdigest()

    def finish(self, name: str, result: PartResult) -> None:
        """Writes the result of a part, after its shards."""
        (self.folder / "done" / f"{name}.json").write_bytes(result.model_dump_json().encode())

    def result(self, name: str, key: str) -> PartResult | None:
        """Reads the result of a part.

        Returns:
            None if there is none that can be read, or its part had another description than `key`.
        """
        try:
            content = (self.folder / "done" / f"{name}.json").read_bytes()
            result = PartResult.model_validate_json(content)
        except (FileNotFoundError, ValidationError):
            return None
        return result if result.part == key else None

    def is_finished(self, name: str, key: str) -> bool:
        """True if the part has a result and its shards have their hashes."""
        result = self.result(name, key)
        return result is not None and all(map(self._is_intact, result.shards))

    def _is_intact(self, shard: Shard) -> bool:
        path = self.shards / shard.file
        return path.is_file() and path.sha256() == shard.sha256

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Excludes another import on this machine, and translates storage errors.

        Raises:
            StorageError: The target cannot be written.
            CorpusError: Another import is writing it.
        """
        with storage_errors(self.target):
            if not self.target.is_local:
                yield
                return
            with sole_use(Path(self.folder) / "lock") as alone:
                if not alone:
                    raise CorpusError(
                        f"another import is writing {self.target}: "
                        "wait for it or choose another folder"
                    )
                yield

    def publish(self, files: list[str]) -> None:
        """Replaces the target by `files` of the shards' folder, and no others."""
        for name in self.shards.file_sizes().keys() - set(files):
            (self.shards / name).remove()
        if self.target.is_local:
            _swap(Path(self.shards), Path(self.target))
        else:
            self._copy(files)
        self.discard()

    def publish_interrupted(self) -> bool:
        """True if the target in an object store has shards, but no manifest yet.

        The workspace has its manifest only from just before `publish` on.
        """
        return (
            not self.target.is_local
            and not (self.target / MANIFEST_NAME).is_file()
            and (self.shards / MANIFEST_NAME).is_file()
        )

    def discard(self) -> None:
        """Deletes the workspace."""
        self.folder.remove()

    def _copy(self, files: list[str]) -> None:
        """Copies files within an object store, which cannot rename folders.

        The manifest marks a complete corpus: the old one is removed first, the new one copied last.
        """
        old = self.target.file_sizes()
        if MANIFEST_NAME in old:
            (self.target / MANIFEST_NAME).remove()
        with ThreadPoolExecutor(_COPIES) as pool:
            content = [name for name in files if name != MANIFEST_NAME]
            list(pool.map(lambda name: (self.shards / name).copy_to(self.target / name), content))
            list(pool.map(lambda name: (self.target / name).remove(), old.keys() - set(files)))
        (self.shards / MANIFEST_NAME).copy_to(self.target / MANIFEST_NAME)


@contextmanager
def storage_errors(target: StoragePath) -> Iterator[None]:
    """Translates an `OSError` of the block into a `StorageError`.

    Raises:
        StorageError: The block failed to read or write `target` or its workspace.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the corpus {target} cannot be written ({error.strerror or error}): "
            "free space or choose another folder; the same command resumes the import"
        ) from error


def _swap(folder: Path, target: Path) -> None:
    """Renames `folder` to `target`, which is restored if that fails."""
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.replaced")
    if target.exists():
        target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    # A rename is durable once its folder is.
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)
