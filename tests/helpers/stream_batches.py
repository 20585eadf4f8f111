"""Streams of clips for tests that end the process: `python -m tests.helpers.stream_batches ADDRESS
JOBS`, where ADDRESS is that of a running Ray.

JOBS is JSON: a list of [corpus, start_step, stop_step, rank, world]. Each step is one JSON line on
stdout: its number, the clip ids, a checksum of the audio, the own samples. After each job comes one
line with the error that ended it, or null.
"""

from __future__ import annotations

import json
import sys
import zlib

from cluster.data import batches
from cluster.kinds import cluster_at
from cpc_core.corpus.corpus import Corpus
from cpc_core.corpus.reading.batches import Batch
from cpc_core.errors import CpcError

SEED, BATCH_SIZE = 3, 20


# Few enough that a short run passes from one execution to the next.
batches.OWN_WINDOWS, batches.EXECUTION_WINDOWS, batches.AHEAD_WINDOWS = 1, 4, 2


def line(batch: Batch) -> list[object]:
    """What is printed of a step."""
    assert batch.num_samples is not None
    checksum = zlib.crc32(batch.audio.numpy().tobytes())
    return [batch.step, batch.clip_ids.tolist(), checksum, batch.num_samples.tolist()]


def show(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with cluster_at(sys.argv[1]).connect(None):
        for folder, start, stop, rank, world in json.loads(sys.argv[2]):
            try:
                for batch in batches.ray_batches(
                    Corpus.open(folder), SEED, BATCH_SIZE, start, stop, rank, world
                ):
                    show(line(batch))
                show(None)
            except CpcError as error:
                show(f"{type(error).__name__}: {error}")
