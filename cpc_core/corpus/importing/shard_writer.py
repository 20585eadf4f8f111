"""Writer of clips as Parquet shards."""

from __future__ import annotations

import hashlib
import io
from contextlib import ExitStack
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
    """Writer of clips into one shard, in row groups; a context manager that closes the file.

    More than `LARGEST_SHARD_BYTES` of audio continue in further shards, named after the first.

    Args:
        folder: Folder of the shards.
        name: Name of the first one, without `.parquet`.
        split: Split of the clips.
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

    def __exit__(self, *error: Any) -> None:
        if self._open is not None:
            self._open.abandon(*error)

    def add(self, clip: dict[str, Any]) -> None:
        """Adds one row of `CLIP_SCHEMA`."""
        self._row_group.append(clip)
        if len(self._row_group) == self._full_row_group:
            self._write_row_group()

    def finish(self) -> tuple[Shard, ...]:
        """Writes the remaining clips, closes the last shard, and describes all of them."""
        if self._row_group:
            self._write_row_group()
        self._finish_shard()
        return tuple(self._finished)

    def _write_row_group(self) -> None:
        if self._open is not None and self._open.rows + len(self._row_group) > self._full_shard:
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
    """Parquet file that is being written and hashed."""

    def __init__(self, path: StoragePath) -> None:
        self._path = path
        self._row_group_rows: list[int] = []
        self._file = ExitStack()
        self._sink = _HashedFile(self._file.enter_context(path.writing()))
        self._writer = pq.ParquetWriter(
            self._sink,
            CLIP_SCHEMA,
            compression={"audio": "NONE"} | dict.fromkeys(_SMALL_COLUMNS, "ZSTD"),
            use_dictionary=[name for name in _SMALL_COLUMNS if name != "clip_id"],
            write_page_checksum=True,
        )

    @property
    def rows(self) -> int:
        return sum(self._row_group_rows)

    def write(self, row_group: pa.Table) -> None:
        self._writer.write_table(row_group)
        self._row_group_rows.append(len(row_group))

    def close(self, split: Split) -> Shard:
        self._writer.close()
        self._file.close()
        return Shard(
            file=self._path.name,
            split=split,
            rows=self.rows,
            row_group_rows=tuple(self._row_group_rows),
            bytes=self._sink.size,
            sha256=self._sink.digest.hexdigest(),
        )

    def abandon(self, *error: Any) -> None:
        """Leaves no file behind; `error` is that of `__exit__`.

        The writer is closed into memory, because it would write its footer when it is collected.
        """
        self._sink.target = io.BytesIO()
        self._writer.close()
        self._file.__exit__(*error)


class _HashedFile(io.RawIOBase):
    """File that counts and hashes the bytes written to it."""

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
