"""Schema of a file of features, and its writer.

A row is a clip, a window of one or, at frame level, a frame: `embedding` has one type at all
levels. Frames of a clip are consecutive rows with its id; what describes the clip is repeated in
each, which Parquet stores once for many. `start_s` and `end_s` are the audio of the row; of a frame
that is what it covers in the encoder, around its centre `frame_s`.

The file's metadata has under `cpc` a JSON object: the hashes of the export and the corpus, the
layer, the pooling, and how many recordings were embedded and rejected.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cpc_core.storage_path import StoragePath

METADATA = b"cpc"
"""Key of the file's metadata."""

ROW_GROUP_BYTES = 8 * 2**20
"""Embeddings of a row group: bounds the memory of writers and readers."""


def features_schema(dims: int) -> pa.Schema:
    """Columns of a file of features of `dims` numbers."""

    def column(name: str, kind: pa.DataType, about: str, nullable: bool = False) -> pa.Field:
        return pa.field(name, kind, nullable=nullable, metadata={"about": about})

    text, seconds = pa.string(), pa.float64()
    return pa.schema(
        [
            column("clip_id", pa.int64(), "hash of the file's bytes, its path and start_s"),
            column("path", text, "the recording, below its folder"),
            column("group", text, "recording, speaker or kit"),
            column("label", text, "primary label", nullable=True),
            column("labels", pa.list_(text), "sorted tags, the label included"),
            column("split", text, "train, dev or test", nullable=True),
            column("fold", text, "of a published cross-validation", nullable=True),
            column("task", text, "task of the label, where there are several", nullable=True),
            column("target", text, "value to predict, as its table writes it", nullable=True),
            column("start_s", seconds, "where the clip, window or frame begins in the recording"),
            column("end_s", seconds, "where it ends"),
            column("layer", text, "layer of the encoder"),
            column("frame_s", seconds, "centre of a frame in the recording", nullable=True),
            pa.field("embedding", pa.list_(pa.field("element", pa.float32(), False), dims), False),
        ]
    )


_FLOATS = ("embedding", "frame_s", "start_s", "end_s", "clip_id")
"""Columns whose values hardly repeat: a dictionary of them would only take time."""


def row_group_rows(schema: pa.Schema) -> int:
    """Rows of a full row group."""
    dims: int = schema.field("embedding").type.list_size
    return max(1, ROW_GROUP_BYTES // (4 * dims))


class FeatureWriter:
    """Writer of features; a context manager. The file appears whole, or not at all.

    Args:
        path: The file.
        schema: See `features_schema`.
    """

    def __init__(self, path: StoragePath, schema: pa.Schema) -> None:
        self._schema, self._full = schema, row_group_rows(schema)
        self._pending: list[pa.Table] = []
        self._rows = 0
        self._stack = ExitStack()
        sink = self._stack.enter_context(path.writing())
        others = [name for name in schema.names if name not in _FLOATS]
        self._writer = pq.ParquetWriter(
            sink,
            schema,
            # Of floats, compression saves little for most of the time of reading.
            compression={name: "NONE" if name == "embedding" else "ZSTD" for name in schema.names},
            use_dictionary=[name if name != "labels" else "labels.list.element" for name in others],
            write_page_checksum=True,
        )
        self._stack.callback(self._writer.close)

    def __enter__(self) -> FeatureWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is None:
            with self._stack:
                self._write(self._rows)
        else:
            self._stack.__exit__(*error)

    def add_rows(
        self,
        described: Mapping[str, Any],
        features: NDArray[np.float32],
        varying: Mapping[str, NDArray[np.float64]],
    ) -> None:
        """Adds rows of one clip.

        Args:
            described: Columns that all of the rows share; those that are missing are null.
            features: `[N, D]`.
            varying: Other columns, `[N]` each.
        """
        columns = []
        for field in self._schema:
            if field.name == "embedding":
                flat = pa.array(np.ascontiguousarray(features).ravel(), field.type.value_type)
                columns.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
            elif field.name in varying:
                columns.append(pa.array(varying[field.name], field.type))
            else:
                value = described.get(field.name)
                own = None if value == "" and field.nullable else value
                columns.append(pa.array([own], field.type).take(pa.array([0] * len(features))))
        self.add(pa.Table.from_arrays(columns, schema=self._schema))

    def add(self, table: pa.Table) -> None:
        """Adds rows of the schema."""
        self._pending.append(table)
        self._rows += len(table)
        while self._rows >= self._full:
            self._write(self._full)

    def keep(self, key: bytes, content: Mapping[str, Any]) -> None:
        """Puts a JSON object into the file's metadata."""
        self._writer.add_key_value_metadata({key: json.dumps(content).encode()})

    def _write(self, rows: int) -> None:
        if rows:
            table = pa.concat_tables(self._pending)
            self._writer.write_table(table.slice(0, rows).combine_chunks())
            self._pending = [table.slice(rows)]
            self._rows -= rows


def read_kept(path: StoragePath, key: bytes) -> dict[str, Any] | None:
    """The JSON object of a file's metadata; None where there is no such file, or another one."""
    try:
        with pq.ParquetFile(path.path, filesystem=path.filesystem) as file:
            content: dict[str, Any] = json.loads(file.metadata.metadata[key])
            return content
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError):
        return None


def read_tables(paths: Iterable[StoragePath]) -> Iterator[pa.Table]:
    """Row groups of files, one after the other.

    Raises:
        pyarrow.ArrowException: One is damaged.
        OSError: One cannot be read.
    """
    for path in paths:
        with pq.ParquetFile(
            path.path, filesystem=path.filesystem, page_checksum_verification=True
        ) as file:
            for number in range(file.num_row_groups):
                yield file.read_row_group(number)
