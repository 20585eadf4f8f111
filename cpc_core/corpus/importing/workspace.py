"""Where an import keeps what it has done, so that it can be killed at any moment and go on.

.CORPUS.importing/
  parts/train-00003.json       what goes into a shard
  corpus/train-00003.parquet   the shard, there when it is whole
  done/train-00003.json        its sha256 and what was refused on the way, written after it

Beside the corpus, in the same store, out of sight; the corpus appears when everything is done.
"""

from __future__ import annotations

import fcntl
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
from cpc_core.storage_path import StoragePath, sync

_COPIES = 16


class Rejection(BaseModel):
    """An entry that gave no clip."""

    path: str
    reason: str
    exception: str


class Note(BaseModel):
    """An entry that was repaired."""

    path: str
    note: str


class PartResult(BaseModel):
    """What came of a part."""

    model_config = ConfigDict(extra="forbid")

    part: str
    """SHA-256 of the part's description: another one makes this result worthless."""

    shards: tuple[Shard, ...]
    label_rows: dict[str, int]
    rejected: list[Rejection]
    notes: list[Note]
    recordings: int
    samples: int
    """Samples of recordings in the clips, padding not counted."""


@dataclass(frozen=True)
class Workspace:
    """The folder of one import.

    Attributes:
        target: Where the corpus is to be.
    """

    target: StoragePath

    @property
    def folder(self) -> StoragePath:
        """The folder itself."""
        return self.target.beside(f".{self.target.name}.importing")

    @property
    def shards(self) -> StoragePath:
        """Folder of the shards, which becomes the corpus."""
        return self.folder / "corpus"

    def add(self, part: Part) -> str:
        """Write down what goes into a shard, and give the hash of this description."""
        content = part.to_json()
        (self.folder / "parts" / f"{part.name}.json").write_bytes(content)
        return hashlib.sha256(content).hexdigest()

    def part(self, name: str) -> tuple[Part, str]:
        """A part that was added, and the hash of its description."""
        content = (self.folder / "parts" / f"{name}.json").read_bytes()
        return Part.from_json(content), hashlib.sha256(content).hexdigest()

    def finish(self, name: str, result: PartResult) -> None:
        """Write down what came of a part whose shards are written."""
        (self.folder / "done" / f"{name}.json").write_bytes(result.model_dump_json().encode())

    def result(self, name: str) -> PartResult | None:
        """What came of a part, None if it was not finished or its record cannot be read."""
        place = self.folder / "done" / f"{name}.json"
        try:
            return PartResult.model_validate_json(place.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None

    def finished(self, name: str, key: str) -> PartResult | None:
        """What came of a part, if it is the same part and its shards are there to the byte."""
        result = self.result(name)
        if result is None or result.part != key:
            return None
        for shard in result.shards:
            place = self.shards / shard.file
            if not place.is_file() or place.sha256() != shard.sha256:
                return None
        return result

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps another import of this machine away, and turns errors of the store into one
        sentence.

        Raises:
            StorageError: The target cannot be written.
            CorpusError: Another import is writing it.
        """
        with storage_errors(self.target):
            if not self.target.is_local:
                yield
                return
            folder = Path(self.folder)
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / "lock").open("a") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise CorpusError(
                        f"another import is writing {self.target}: wait for it or choose another folder"
                    ) from None
                yield

    def publish(self, files: list[str]) -> None:
        """Let the corpus appear: `files` of the shards' folder, and no others, in the place of what
        is there now.
        """
        for name in self.shards.file_sizes().keys() - set(files):
            (self.shards / name).remove()
        if self.target.is_local:
            _swap(Path(self.shards), Path(self.target))
        else:
            self._copy(files)
        self.discard()

    def is_half_published(self) -> bool:
        """Whether publishing was interrupted in a store, so that there are shards at the target and
        no manifest.
        """
        if self.target.is_local or (self.target / MANIFEST_NAME).is_file():
            return False
        # Written right before it is published; the next import writes its own.
        return (self.shards / MANIFEST_NAME).is_file()

    def discard(self) -> None:
        """Delete the workspace."""
        self.folder.remove()

    def _copy(self, files: list[str]) -> None:
        """Stores cannot rename folders, so the manifest makes the corpus: it goes first and comes
        last.
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
    """Turns errors of a store into one sentence.

    Raises:
        StorageError: The block failed to write or to read it.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the corpus {target} cannot be written ({error.strerror or error}): free space or choose another folder; "
            "the same command goes on with what is finished"
        ) from error


def _swap(folder: Path, target: Path) -> None:
    """Put `folder` in the place of `target`, which is put back where that fails."""
    old = target.with_name(f".{target.name}.{uuid.uuid4().hex}.replaced")
    if target.exists():
        target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    # A rename is on the disk when its folder is.
    sync(target.parent)
    shutil.rmtree(old, ignore_errors=True)
