"""Reading of one window in a task of Ray Data. Nothing here imports torch: tasks start fast."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from cpc_core.corpus.reading.order import read_window
from cpc_core.errors import CorpusError, CpcError

_DAMAGE = "damage"


def read(batch: dict[str, Any]) -> pa.Table:
    """Reads the one window of a batch; of an unreadable one, the message instead of its clips.

    Ray keeps no types of errors.
    """
    try:
        return read_window(batch["window"][0])
    except CpcError as error:
        return pa.table({_DAMAGE: [str(error)]})


def raise_if_damaged(table: pa.Table) -> pa.Table:
    """Returns a table of clips unchanged.

    Raises:
        CorpusError: The window cannot be read; names the shard, or the store.
    """
    if _DAMAGE in table.column_names:
        raise CorpusError(table[_DAMAGE][0].as_py())
    return table
