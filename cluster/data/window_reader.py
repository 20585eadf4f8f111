"""What Ray Data runs of ours, in processes of its own: nothing here imports torch, so that they
start fast.
"""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
from ray.data._internal.execution.execution_callback import ExecutionCallback
from ray.data._internal.execution.streaming_executor import StreamingExecutor

from cpc_core.corpus.reading.order import read_window
from cpc_core.errors import CorpusError

ROUND_S = 0.01
"""Rest between two rounds of an execution's scheduling loop: short against reading a window, long
against a round.
"""


_DAMAGE = "damage"


def read(batch: dict[str, Any]) -> pa.Table:
    """Reads the one window of a batch. Where it is damaged the message takes the place of its
    clips: Ray keeps no types of errors.
    """
    try:
        return read_window(batch["window"][0])
    except CorpusError as error:
        return pa.table({_DAMAGE: [str(error)]})


def raise_if_damaged(table: pa.Table) -> pa.Table:
    """The table, if it is a window's clips.

    Raises:
        CorpusError: The window is damaged; names the shard and the row group.
    """
    if _DAMAGE in table.column_names:
        raise CorpusError(table[_DAMAGE][0].as_py())
    return table


class ThrottledExecution(ExecutionCallback):
    """Lets the scheduling loop rest after each round.

    While a window waits for the consumer to make room, the loop finds it ready again at once and
    spins. It is a thread of the training process, and would take its interpreter for more than half
    of the time.
    """

    def on_execution_step(self, executor: StreamingExecutor) -> None:
        """Rests."""
        time.sleep(ROUND_S)
