"""A connection to Ray: a cluster of this machine's own that ends with the study, or one that is
already running.
"""

from __future__ import annotations

import logging
import os
import socket

import ray

from cluster.kinds.base import API_SERVER
from cluster.kinds.capacity import ClusterProfile
from study.spec.resources import Resources

OBJECT_STORE_BYTES = 1000 * 2**20
"""Shared memory of a local cluster. It holds the windows that are being read, not the corpus: some
tens of MB each, of which Ray Data may have half the store in flight. With less, readers wait for
room, or Ray writes windows to disk.
"""


def _start(resources: Resources | None, temporary: str) -> None:
    profile = ClusterProfile.local()
    if resources is not None:
        profile.require(resources)
    port = _free_port()
    os.environ[API_SERVER] = f"http://127.0.0.1:{port}"
    logging.getLogger("ray").setLevel(logging.ERROR)
    ray.init(
        address="local",
        num_cpus=int(profile.cpus),
        num_gpus=int(profile.gpus),
        object_store_memory=OBJECT_STORE_BYTES,
        # Seconds of its start; only Ray Train asks it for anything.
        include_dashboard=resources is not None,
        dashboard_host="127.0.0.1",
        dashboard_port=port,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=temporary,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
