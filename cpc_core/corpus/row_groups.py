"""Row groups of a corpus's shards, read with their checksums verified."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from cpc_core.errors import CorpusError
from cpc_core.storage_path import StoragePath, with_retries

WINDOW_ROW_GROUPS = 16
"""Row groups that are shuffled together. Not a setting: the order determines the results."""


@dataclass(frozen=True)
class RowGroup:
    """Row group of a shard.

    Attributes:
        shard: The Parquet file.
        index: Position in it.
        rows: Number of clips.
    """

    shard: StoragePath
    index: int
    rows: int


def read_row_group(group: RowGroup, columns: list[str]) -> pa.Table:
    """Reads columns of one row group with `with_retries`; page checksums are verified.

    Raises:
        CorpusError: The shard is missing or damaged; names the shard and the row group.
    """

    def read() -> pa.Table:
        with pq.ParquetFile(
            group.shard.path, filesystem=group.shard.filesystem, page_checksum_verification=True
        ) as file:
            return file.read_row_group(group.index, columns=columns, use_threads=False)

    try:
        return with_retries(group.shard, read)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0]
        raise CorpusError(
            f"row group {group.index} of shard {group.shard} cannot be read ({reason}): "
            "import the corpus again"
        ) from error
