"""Embedding through Ray Data: its parts are embedded by a pool of actors, each with the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import ray.data
import torch

from cluster.data.context import configure_ray_data
from cluster.kinds import cluster_at
from cpc_core.audio.messages import native_messages
from cpc_core.embed.part_embedding import embed_part
from cpc_core.embed.parts import Part
from cpc_core.embed.workspace import Workspace
from cpc_core.errors import CpcError, StorageError
from cpc_core.export.encoder import Encoder

ACTOR_CPUS = 1
"""An actor's network runs in one thread where there is no GPU."""

ACTORS_PER_GPU = 4
"""Actors that share a GPU: some decode while another one computes."""


def embed_with_ray(
    work: Workspace,
    parts: Sequence[Part],
    encoder: Encoder,
    on_seconds: Callable[[float], None],
    *,
    address: str | None = None,
    tasks: int | None = None,
) -> None:
    """Embeds parts in a pool of actors; with the first four arguments alone a `PartRunner`.

    An actor reads its parts and writes their files, so that no audio and no features pass through
    this process. Every node must find the source and the workspace at the same path.

    Args:
        work: The embedding's workspace.
        parts: Its parts.
        encoder: The encoder, which each actor gets once.
        on_seconds: Called after each part with its seconds of audio.
        address: Of a running cluster; None starts Ray on this machine.
        tasks: Actors; None for as many as the CPUs and GPUs allow.

    Raises:
        StorageError: A part cannot be embedded or written.
        UnreachableError: No cluster answers at the address.
    """
    if not parts:
        return
    kind = cluster_at(address)
    # Ray's core warns on stderr of every pool of actors that Ray Data makes.
    with kind.connect(None), native_messages():
        configure_ray_data()
        capacity = kind.capacity()
        gpus = 1 / ACTORS_PER_GPU if capacity.gpus else 0
        most = int(capacity.gpus * ACTORS_PER_GPU if gpus else capacity.cpus // ACTOR_CPUS)
        actors = max(1, min(tasks or most, most, len(parts)))
        source = ray.data.from_items(
            [{"part": part} for part in parts], override_num_blocks=len(parts)
        )
        results = source.map_batches(
            PartEmbedder,
            fn_constructor_args=(work, encoder.cpu()),
            batch_size=1,
            num_cpus=ACTOR_CPUS,
            num_gpus=gpus,
            concurrency=actors,
        )
        for row in results.iter_rows():
            if row["error"]:
                raise StorageError(row["error"])
            on_seconds(row["seconds"])


class PartEmbedder:
    """Actor that embeds parts.

    Args:
        work: The embedding's workspace.
        encoder: The encoder.
    """

    def __init__(self, work: Workspace, encoder: Encoder) -> None:
        self._work, self._encoder = work, encoder
        if torch.cuda.is_available():
            self._encoder.cuda()
        else:
            torch.set_num_threads(ACTOR_CPUS)

    def __call__(self, batch: dict[str, Any]) -> pa.Table:
        """Embeds one part and returns its seconds of audio, and its error as text.

        An error that was raised would be wrapped by Ray, and retried in vain.
        """
        part: Part = batch["part"][0]
        error = ""
        try:
            embed_part(self._work, part, self._encoder)
        except CpcError as failed:
            error = str(failed)
        return pa.table({"seconds": [part.seconds], "error": [error]})
