"""Workspace of an embedding, from which it resumes after it was killed at any moment.

.FEATURES.parquet.embedding/part-00003.parquet    rows of a part, with its result in the metadata

A hidden folder beside the file of features, which appears when everything is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from cpc_core.embed.options import EmbedOptions
from cpc_core.embed.parts import Part
from cpc_core.embed.table import read_kept
from cpc_core.errors import CorpusError, StorageError
from cpc_core.storage_path import StoragePath, sole_use

PART = b"cpc.part"
"""Key of a part's result in the metadata of its file."""


class Note(BaseModel):
    """Remark on a recording."""

    path: str
    start_s: float
    outcome: str
    """`rejected`, or `noted` of one that was embedded."""

    note: str


class PartResult(BaseModel):
    """Result of a part."""

    part: str
    """Key of the part: a result of another one is not used."""

    embedded: int
    """Clips or recordings with rows."""

    rejected: int
    """Recordings without a row."""

    notes: list[Note]


@dataclass(frozen=True)
class Workspace:
    """Workspace of the embedding into one file.

    Attributes:
        target: The file.
        export: Id of the export.
        options: Settings.
    """

    target: StoragePath
    export: str
    options: EmbedOptions

    @property
    def folder(self) -> StoragePath:
        """Folder of the workspace."""
        return self.target.sibling(f".{self.target.name}.embedding")

    def part_file(self, part: Part) -> StoragePath:
        """File of a part, which appears when it is complete."""
        return self.folder / f"part-{part.number:05d}.parquet"

    def key(self, part: Part) -> str:
        """Hash of all that determines the rows of a part."""
        return hashlib.sha256(repr((self.export, self.options, part.identity)).encode()).hexdigest()

    def result(self, part: Part) -> PartResult | None:
        """Result of a finished part; None of another one."""
        try:
            result = PartResult.model_validate(read_kept(self.part_file(part), PART))
        except ValidationError:
            return None
        return result if result.part == self.key(part) else None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Excludes another embedding on this machine into the same file.

        Raises:
            CorpusError: Another one is writing it.
        """
        if not self.target.is_local:
            yield
            return
        with sole_use(Path(self.folder) / "lock") as alone:
            if not alone:
                raise CorpusError(
                    f"another command is writing {self.target}: wait for it or choose another file"
                )
            yield

    @contextmanager
    def storage_errors(self) -> Iterator[None]:
        """Translates an `OSError` of the block.

        Raises:
            StorageError: The file cannot be written.
        """
        try:
            yield
        except OSError as error:
            raise StorageError(
                f"{self.target} cannot be written ({error.strerror or error}): free space or "
                "choose another file; the same command goes on with the parts that are finished"
            ) from error

    def discard(self) -> None:
        """Deletes the workspace."""
        self.folder.remove()
