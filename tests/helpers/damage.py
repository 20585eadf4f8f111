"""Damage to files, as a disk, a network or an editor causes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from hypothesis import strategies as st


def flip_audio_bit(shard: Path, row_groups: Iterable[int]) -> None:
    """Flips one bit in the middle of the audio of some row groups."""
    content = bytearray(shard.read_bytes())
    metadata = pq.read_metadata(shard)
    for row_group in row_groups:
        column = metadata.row_group(row_group).column(metadata.schema.names.index("audio"))
        assert column.path_in_schema == "audio"
        content[column.data_page_offset + column.total_compressed_size // 2] ^= 1
    shard.write_bytes(content)


def with_random_damage(content: bytes, data: st.DataObject, *, is_json: bool) -> bytes:
    """The content with some bits of a byte flipped, cut off, or with a JSON value replaced."""
    kinds = ["flip", "cut", "json"] if is_json else ["flip", "cut"]
    kind = data.draw(st.sampled_from(kinds), label="kind")
    if kind == "json":
        return with_damaged_value(content, data)
    at = data.draw(st.integers(0, len(content) - 1), label="at")
    if kind == "cut":
        return content[:at]
    flipped = content[at] ^ data.draw(st.integers(1, 255), label="bits")
    return content[:at] + bytes([flipped]) + content[at + 1 :]


def with_damaged_value(content: bytes, data: st.DataObject) -> bytes:
    """The JSON with one of its values replaced or removed."""
    value = json.loads(content)
    places: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        for key in keys:
            places.append((node, key))
            if isinstance(node[key], dict | list):
                collect(node[key])

    collect(value)
    node, key = data.draw(st.sampled_from(places), label="place")
    replacement: Any = data.draw(
        st.sampled_from([None, True, -1, 1e308, "x", [], {}, "remove"]), label="replacement"
    )
    if replacement == "remove" and isinstance(node, dict):
        del node[key]
    else:
        node[key] = replacement
    return json.dumps(value).encode() + b"\n"
