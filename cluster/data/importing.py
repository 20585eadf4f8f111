"""Import through Ray Data: its parts are imported by tasks anywhere in the cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pyarrow as pa
import ray.data

from cluster.data.context import configure_ray_data
from cluster.kinds import cluster_at
from cpc_core.corpus.importing.part_import import import_part
from cpc_core.corpus.importing.workspace import Workspace
from cpc_core.errors import CpcError, StorageError

PART_CPUS = 1
"""Decoding and resampling occupy one core."""


def import_with_ray(
    work: Workspace,
    names: Sequence[str],
    on_recordings: Callable[[int], None],
    *,
    address: str | None = None,
    tasks: int | None = None,
) -> None:
    """Imports parts in Ray tasks; with the first three arguments alone a `PartRunner`.

    Only names travel: a task reads its part from the workspace and writes the shard there, so that
    no audio passes through this process. Every node must find the source and the workspace at the
    same path.

    Args:
        work: The import's workspace.
        names: Its parts.
        on_recordings: Called after each part with the number of its recordings.
        address: Of a running cluster; None starts Ray on this machine.
        tasks: Parts that are imported at the same time; None for as many as there are CPUs.

    Raises:
        StorageError: A shard cannot be written.
        UnreachableError: No cluster answers at the address.
    """
    with cluster_at(address).connect(None):
        configure_ray_data()
        parts = ray.data.from_items(
            [{"part": name} for name in names], override_num_blocks=len(names)
        )
        results = parts.map_batches(
            partial(part_task, work), batch_size=1, num_cpus=PART_CPUS, concurrency=tasks
        )
        for row in results.iter_rows():
            if row["error"]:
                raise StorageError(row["error"])
            on_recordings(row["recordings"])


def part_task(work: Workspace, batch: dict[str, Any]) -> pa.Table:
    """Imports one part and returns the number of its recordings, and its error as text.

    An error that was raised would be wrapped by Ray, and retried in vain.
    """
    counts: list[int] = []
    error = ""
    try:
        import_part(work, str(batch["part"][0]), counts.append)
    except CpcError as failed:
        error = str(failed)
    return pa.table({"recordings": [sum(counts)], "error": [error]})
