"""An import through Ray Data: its parts are made by tasks anywhere in the cluster, each written
where it belongs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import ray.data

from cluster.data.context import configure_ray_data
from cluster.kinds import connected
from cpc_core.corpus.importing.part_import import import_part
from cpc_core.corpus.importing.workspace import Workspace
from cpc_core.errors import CorpusError, StorageError

PART_CPUS = 1
"""Decoding and resampling keep one core busy."""


def import_with_ray(
    work: Workspace,
    names: Sequence[str],
    on_recordings: Callable[[int], None],
    *,
    address: str | None = None,
    tasks: int | None = None,
) -> None:
    """Makes the parts of an import in Ray tasks; with the first three arguments alone a
    `PartRunner`.

    Only names travel: a task reads what is in its part from the workspace and writes the shard
    there, so that this process holds no audio. Every node must see the source and the workspace at
    the same path.

    Args:
        work: The import's workspace.
        names: Its parts.
        on_recordings: Called whenever a part is done, with the number of its recordings.
        address: Of a running cluster; None for a Ray of this machine's own.
        tasks: Parts that are made at the same time; None for as many as there are CPUs.

    Raises:
        StorageError: A shard cannot be written.
        UnreachableError: No cluster answers at the address.
    """
    with connected(address):
        configure_ray_data()
        dataset = ray.data.from_items(
            [{"part": name} for name in names], override_num_blocks=len(names)
        )
        made = dataset.map_batches(
            partial(_make, work), batch_size=1, num_cpus=PART_CPUS, concurrency=tasks
        )
        for row in made.iter_rows():
            if row["error"]:
                raise StorageError(row["error"])
            on_recordings(row["recordings"])


def _make(work: Workspace, batch: dict[str, Any]) -> pa.Table:
    """Makes one part. An error is a result here, because Ray would wrap it, and try again what
    cannot help.
    """
    counts: list[int] = []
    error = ""
    try:
        import_part(work, str(batch["part"][0]), counts.append)
    except CorpusError as failed:
        error = str(failed)
    return pa.table({"recordings": [sum(counts)], "error": [error]})
