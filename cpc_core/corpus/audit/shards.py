"""Reading a corpus as an audit does: whatever is damaged is noted, and the rest is read all the
same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from cpc_core.corpus.audit.findings import Damage
from cpc_core.corpus.manifest import CLIP_SCHEMA, Manifest, Shard
from cpc_core.corpus.row_groups import RowGroup, read_row_group
from cpc_core.errors import CorpusError
from cpc_core.storage_path import StoragePath

_BLOCK_BYTES = 2**20


_MISSING = "is missing"


@dataclass
class ShardReader:
    """Reads the shards of a corpus one row group at a time.

    Attributes:
        folder: The corpus.
        manifest: What it should hold.
        damages: What was found to be damaged so far.
    """

    folder: StoragePath
    manifest: Manifest
    damages: list[Damage] = field(default_factory=list)

    def tables(self) -> Iterator[tuple[int, int, pa.Table]]:
        """Position of the shard, row group in it, and its clips with all columns, for every row
        group that can be read.
        """
        for position, shard in enumerate(self.manifest.shards):
            reason = self._file_damage(shard)
            if reason:
                self.damages.append(Damage(shard.file, None, reason))
            if reason == _MISSING:
                continue
            for index, rows in enumerate(shard.row_group_rows):
                try:
                    table = read_row_group(
                        RowGroup(self.folder / shard.file, index, rows), CLIP_SCHEMA.names
                    )
                except CorpusError as error:
                    # The error's own words name the shard and the row group again.
                    self.damages.append(
                        Damage(
                            shard.file,
                            index,
                            f"cannot be read ({str(error.__cause__).splitlines()[0]})",
                        )
                    )
                    continue
                if len(table) != rows:
                    self.damages.append(
                        Damage(
                            shard.file,
                            index,
                            f"holds {len(table)} clips where the manifest says {rows}",
                        )
                    )
                yield position, index, table

    def note(self, position: int, row_group: int, error: CorpusError) -> None:
        """Add what showed only when the clips were looked at."""
        self.damages.append(Damage(self.manifest.shards[position].file, row_group, str(error)))

    def _file_damage(self, shard: Shard) -> str:
        """What is wrong with the file as a whole, or nothing."""
        place = self.folder / shard.file
        digest = hashlib.sha256()
        try:
            if not place.is_file():
                return _MISSING
            with place.filesystem.open_input_stream(place.path) as file:
                while block := file.read(_BLOCK_BYTES):
                    digest.update(block)
        except OSError as error:
            return f"cannot be read ({error})"
        if digest.hexdigest() == shard.sha256:
            return ""
        return f"has sha256 {digest.hexdigest()[:12]}… where the manifest says {shard.sha256[:12]}…"
