"""Kinds of cluster that a study can run on."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import worker as ray_worker

from cluster.kinds.base import PROMPT, QUIET
from cluster.kinds.local import _start
from cluster.kinds.processes import await_end, descendants
from cluster.kinds.running import _join
from study.spec.resources import Resources


@contextmanager
def connected(address: str | None, resources: Resources | None = None) -> Iterator[None]:
    """Connects to Ray for the length of the block.

    Args:
        address: Of a running cluster, or None to start one here that ends with the block.
        resources: What a study needs at the same time; None to take what there is, without a
            dashboard where Ray is started here.

    Raises:
        UnreachableError: No cluster answers there.
        ClusterError: It is too small.
    """
    saved, not_ours = dict(os.environ), set(descendants())
    os.environ.update({**QUIET, **PROMPT})
    temporary = tempfile.mkdtemp(prefix="cpc-ray-")
    # The study says how each trial ended; Tune would print a traceback for every process that it
    # lost.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    # Ray prints warnings of its scheduler to stdout, where our results go, whatever its logging is
    # set to.
    ray_worker._worker_logs_enabled = False
    try:
        if address is None:
            _start(resources, temporary)
        else:
            _join(address, resources)
        yield
    finally:
        own = (
            []
            if address is not None
            else [process for process in descendants() if process not in not_ours]
        )
        ray.shutdown()
        await_end(own)
        ray_worker._worker_logs_enabled = True
        os.environ.clear()
        os.environ.update(saved)
        shutil.rmtree(temporary, ignore_errors=True)
