"""Writing clips as the Parquet shards of one corpus."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cpc_core.corpus.manifest import CLIP_SCHEMA, ROW_GROUP_BYTES, ROW_GROUP_CLIPS, SHARD_BYTES, Shard, Split

_SMALL_COLUMNS = ["labels.list.element", *(name for name in CLIP_SCHEMA.names if name not in ("audio", "labels"))]


@dataclass
class ShardWriter:
    """Writes the clips of one split into shards of at most `SHARD_BYTES` of audio, in row groups that a reader can take one at a time.

    Attributes:
        folder: Where the shards go.
        split: The split they belong to.
        clip_bytes: Bytes of one clip's audio.
    """

    folder: Path
    split: Split
    clip_bytes: int
    _finished: list[Shard] = field(default_factory=list)
    _row_group: list[dict[str, Any]] = field(default_factory=list)
    _row_group_rows: list[int] = field(default_factory=list)
    _open: pq.ParquetWriter | None = None

    def add(self, clip: dict[str, Any]) -> None:
        """Take one row of `CLIP_SCHEMA`."""
        self._row_group.append(clip)
        full = min(ROW_GROUP_CLIPS, max(1, ROW_GROUP_BYTES // self.clip_bytes))
        if len(self._row_group) == full:
            self._write_row_group()
            if (sum(self._row_group_rows) + full) * self.clip_bytes > SHARD_BYTES:
                self._finish_shard()

    def finish(self) -> list[Shard]:
        """Write what is left, close the last shard, and describe all of them."""
        if self._row_group:
            self._write_row_group()
        self._finish_shard()
        return self._finished

    @property
    def _file(self) -> Path:
        return self.folder / f"{self.split}-{len(self._finished):05d}.parquet"

    def _write_row_group(self) -> None:
        if self._open is None:
            self._open = pq.ParquetWriter(
                self._file,
                CLIP_SCHEMA,
                # PCM hardly shrinks and would cost its readers the time.
                compression={"audio": "NONE"} | dict.fromkeys(_SMALL_COLUMNS, "ZSTD"),
                use_dictionary=[name for name in _SMALL_COLUMNS if name != "clip_id"],
                write_page_checksum=True,
            )
        self._open.write_table(pa.Table.from_pylist(self._row_group, CLIP_SCHEMA))
        self._row_group_rows.append(len(self._row_group))
        self._row_group = []

    def _finish_shard(self) -> None:
        if self._open is None:
            return
        self._open.close()
        with self._file.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        shard = Shard(
            file=self._file.name,
            split=self.split,
            rows=sum(self._row_group_rows),
            row_group_rows=tuple(self._row_group_rows),
            bytes=self._file.stat().st_size,
            sha256=digest,
        )
        self._finished.append(shard)
        self._row_group_rows, self._open = [], None
