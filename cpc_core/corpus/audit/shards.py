"""Reader of a corpus for an audit: damage is recorded, and the other row groups are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from cpc_core.corpus.audit.findings import Damage
from cpc_core.corpus.manifest import CLIP_SCHEMA, Manifest, Shard
from cpc_core.corpus.row_groups import RowGroup, read_row_group
from cpc_core.errors import CorpusError
from cpc_core.storage_path import StoragePath

_MISSING = "is missing"


@dataclass
class ShardReader:
    """Reader of the shards of a corpus, one row group at a time.

    Attributes:
        folder: The corpus.
        manifest: Its description.
        damages: Damages found so far.
    """

    folder: StoragePath
    manifest: Manifest
    damages: list[Damage] = field(default_factory=list)

    def tables(self) -> Iterator[tuple[int, int, pa.Table]]:
        """Reads every row group that can be read, with all columns.

        Yields:
            Position of the shard, row group in the shard, and its clips.
        """
        for position, shard in enumerate(self.manifest.shards):
            reason = self._file_damage(shard)
            if reason:
                self.record(position, None, reason)
            if reason == _MISSING:
                continue
            for index, rows in enumerate(shard.row_group_rows):
                group = RowGroup(self.folder / shard.file, index, rows)
                try:
                    table = read_row_group(group, CLIP_SCHEMA.names)
                except CorpusError as error:
                    # The error itself would name the shard and the row group again.
                    cause = str(error.__cause__).splitlines()[0]
                    self.record(position, index, f"cannot be read ({cause})")
                    continue
                if len(table) != rows:
                    self.record(
                        position, index, f"has {len(table)} clips where the manifest says {rows}"
                    )
                yield position, index, table

    def record(self, position: int, row_group: int | None, reason: str) -> None:
        """Adds a damage of the shard at a position of the manifest."""
        self.damages.append(Damage(self.manifest.shards[position].file, row_group, reason))

    def _file_damage(self, shard: Shard) -> str:
        """Damage to the file as a whole, empty if there is none."""
        path = self.folder / shard.file
        try:
            if not path.is_file():
                return _MISSING
            digest = path.sha256()
        except OSError as error:
            return f"cannot be read ({error})"
        if digest == shard.sha256:
            return ""
        return f"has sha256 {digest[:12]}… where the manifest says {shard.sha256[:12]}…"
