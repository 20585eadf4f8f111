"""Writing clips as Parquet shards."""

from __future__ import annotations

import hashlib
import io
from contextlib import ExitStack
from types import TracebackType
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from cpc_core.corpus.manifest import (
    CLIP_SCHEMA,
    LARGEST_SHARD_BYTES,
    ROW_GROUP_BYTES,
    ROW_GROUP_CLIPS,
    Shard,
    Split,
)
from cpc_core.storage_path import StoragePath

_SMALL_COLUMNS = [
    "labels.list.element",
    *(name for name in CLIP_SCHEMA.names if name not in ("audio", "labels")),
]


class ShardWriter:
    """Writes clips into one shard, in row groups that a reader can take one at a time; a context
    manager that closes it.

    More than `LARGEST_SHARD_BYTES` of audio go on in further shards, named after the first.

    Args:
        folder: Where the shards go.
        name: Name of the first one, without `.parquet`.
        split: The split they belong to.
        clip_bytes: Bytes of one clip's audio.
    """

    def __init__(self, folder: StoragePath, name: str, split: Split, clip_bytes: int) -> None:
        self._folder, self._name, self._split = folder, name, split
        self._full_row_group = min(ROW_GROUP_CLIPS, max(1, ROW_GROUP_BYTES // clip_bytes))
        self._full_shard = max(self._full_row_group, LARGEST_SHARD_BYTES // clip_bytes)
        self._finished: list[Shard] = []
        self._row_group: list[dict[str, Any]] = []
        self._open: _OpenShard | None = None

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._open is not None:
            self._open.abandon(kind, error, trace)

    def add(self, clip: dict[str, Any]) -> None:
        """Take one row of `CLIP_SCHEMA`."""
        self._row_group.append(clip)
        if len(self._row_group) == self._full_row_group:
            self._write_row_group()

    def finish(self) -> tuple[Shard, ...]:
        """Write what is left, close the last shard, and describe all of them."""
        if self._row_group:
            self._write_row_group()
        self._finish_shard()
        return tuple(self._finished)

    def _write_row_group(self) -> None:
        if (
            self._open is not None
            and sum(self._open.row_group_rows) + len(self._row_group) > self._full_shard
        ):
            self._finish_shard()
        if self._open is None:
            suffix = f"-{len(self._finished)}" if self._finished else ""
            self._open = _OpenShard(self._folder / f"{self._name}{suffix}.parquet")
        self._open.write(pa.Table.from_pylist(self._row_group, CLIP_SCHEMA))
        self._row_group = []

    def _finish_shard(self) -> None:
        if self._open is not None:
            self._finished.append(self._open.close(self._split))
            self._open = None


class _OpenShard:
    """A Parquet file being written, and hashed on its way."""

    def __init__(self, place: StoragePath) -> None:
        self.row_group_rows: list[int] = []
        self._place = place
        self._file = ExitStack()
        self._sink = _HashedFile(self._file.enter_context(place.writing()))
        self._writer = pq.ParquetWriter(
            self._sink,
            CLIP_SCHEMA,
            compression={"audio": "NONE"} | dict.fromkeys(_SMALL_COLUMNS, "ZSTD"),
            use_dictionary=[name for name in _SMALL_COLUMNS if name != "clip_id"],
            write_page_checksum=True,
        )

    def write(self, row_group: pa.Table) -> None:
        self._writer.write_table(row_group)
        self.row_group_rows.append(len(row_group))

    def close(self, split: Split) -> Shard:
        self._writer.close()
        self._file.close()
        return Shard(
            file=self._place.name,
            split=split,
            rows=sum(self.row_group_rows),
            row_group_rows=tuple(self.row_group_rows),
            bytes=self._sink.size,
            sha256=self._sink.digest.hexdigest(),
        )

    def abandon(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave no file behind: the writer is closed into nothing, because it would write its
        footer when it is collected.
        """
        self._sink.target = io.BytesIO()
        self._writer.close()
        self._file.__exit__(kind, error, trace)


class _HashedFile(io.RawIOBase):
    """Passes on what is written to it, counted and hashed."""

    def __init__(self, target: IO[bytes]) -> None:
        self.target, self.size, self.digest = target, 0, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.size

    def write(self, data: Any, /) -> int:
        self.target.write(data)
        self.digest.update(data)
        self.size += len(data)
        return len(data)
