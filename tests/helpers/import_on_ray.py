"""Imports a folder through Ray Data in small shards, as a process of its own that a test can have
killed.
"""

from __future__ import annotations

import os
import signal
import sys
from functools import partial
from pathlib import Path

from cluster.data.importing import import_with_ray
from cpc_core.corpus.importing.run import import_source
from cpc_core.corpus.sources.detect import open_source
from tests.helpers.imports import OPTIONS, small_shards


def main(source: Path, out: Path, kill_at: int) -> None:
    """Imports `source`; this process is killed when `kill_at` recordings are done, if there are as
    many.
    """

    def progress(done: int, total: int) -> None:
        if done >= kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    small_shards()
    import_source(
        open_source(source),
        out,
        OPTIONS,
        run=partial(import_with_ray, tasks=2),
        on_progress=progress,
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
