"""Damage to shards, as a disk or a network causes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq


def flip_audio_bit(shard: Path, row_groups: Iterable[int]) -> None:
    """Flips one bit in the middle of the audio of some row groups."""
    content = bytearray(shard.read_bytes())
    metadata = pq.read_metadata(shard)
    for row_group in row_groups:
        column = metadata.row_group(row_group).column(metadata.schema.names.index("audio"))
        assert column.path_in_schema == "audio"
        content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    shard.write_bytes(content)
