"""A connection to Ray: a cluster of this machine's own that ends with the study, or one that is already running."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import worker as ray_worker
from ray.dashboard.utils import get_address_for_submission_client

from cluster.processes import await_end, descendants
from cluster.profile import ClusterProfile
from study.errors import UnreachableError
from study.spec import Resources

OBJECT_STORE_BYTES = 1000 * 2**20
"""Shared memory of a local cluster. It holds the windows that are being read, not the corpus: some tens of MB each, of which Ray Data
may have half the store in flight. With less, readers wait for room, or Ray writes windows to disk."""

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
}
"""No telemetry, no output of Ray's own, and Ctrl-C is ours."""

PROMPT = {
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_WARN_BLOCKING_GET_INSIDE_ASYNC": "0",
    "OMP_NUM_THREADS": "1",
}
"""The end of a run is seen at the next health check, two seconds by default. The watcher is one more process per trial. Workers that
reserve no GPU see none. Threads are set by each worker."""

API_SERVER = "RAY_API_SERVER_ADDRESS"
"""Ray Train frees a stopped trial's workers through the dashboard, and must ask the right one where several Rays run."""


@contextmanager
def connected(address: str | None, resources: Resources | None = None) -> Iterator[None]:
    """Connects to Ray for the length of the block.

    Args:
        address: Of a running cluster, or None to start one here that ends with the block.
        resources: What a study needs at the same time; None to take what there is, without a dashboard where Ray is started here.

    Raises:
        UnreachableError: No cluster answers there.
        ClusterError: It is too small.
    """
    saved, not_ours = dict(os.environ), set(descendants())
    os.environ.update({**QUIET, **PROMPT})
    temporary = tempfile.mkdtemp(prefix="cpc-ray-")
    # The study says how each trial ended; Tune would print a traceback for every process that it lost.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    # Ray prints warnings of its scheduler to stdout, where our results go, whatever its logging is set to.
    ray_worker._worker_logs_enabled = False
    try:
        if address is None:
            _start(resources, temporary)
        else:
            _join(address, resources)
        yield
    finally:
        own = [] if address is not None else [process for process in descendants() if process not in not_ours]
        ray.shutdown()
        await_end(own)
        ray_worker._worker_logs_enabled = True
        os.environ.clear()
        os.environ.update(saved)
        shutil.rmtree(temporary, ignore_errors=True)


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


def _join(address: str, resources: Resources | None) -> None:
    try:
        variables = {**QUIET, **PROMPT, API_SERVER: get_address_for_submission_client(address)}
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env={"env_vars": variables})
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UnreachableError(
            f"no Ray cluster answers at {address} ({error}): start one with `ray start --head`, or give another --address"
        ) from error
    if resources is not None:
        ClusterProfile.joined().require(resources)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
