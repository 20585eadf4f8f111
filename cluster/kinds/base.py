"""A kind of cluster, and the settings of Ray that all kinds share."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, redirect_stdout
from io import StringIO
from typing import Any, ClassVar, Protocol, TextIO
from warnings import catch_warnings, filterwarnings

import ray

from cluster.kinds.capacity import Capacity
from study.spec.resources import Resources

SETTINGS = {
    # No telemetry, no output of Ray's own, and Ctrl-C is ours.
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The end of a run is seen at the next health check, two seconds by default.
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.1",
    # One more process per trial.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # NCCL needs it between the workers of a node; `TorchTrainer` would set it.
    "TRAIN_ENABLE_SHARE_CUDA_VISIBLE_DEVICES": "1",
    # Workers that reserve no GPU see none.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    "RAY_WARN_BLOCKING_GET_INSIDE_ASYNC": "0",
    # Each worker sets its threads.
    "OMP_NUM_THREADS": "1",
}
"""Environment of the driver and of every process of a study."""


class ClusterKind(Protocol):
    """Ray to run on.

    Attributes:
        is_this_machine: True if a step timed here predicts the time of a trial there.
    """

    is_this_machine: ClassVar[bool]

    def __init__(self, address: str | None) -> None: ...

    def connect(self, resources: Resources | None) -> AbstractContextManager[None]:
        """Connects to Ray for the length of the block.

        Args:
            resources: Needs of a study; None to accept any cluster.

        Raises:
            UnreachableError: No cluster answers there, or a local one does not start.
            ClusterError: It is too small.
        """

    def capacity(self) -> Capacity:
        """Totals of the cluster, once it is connected."""


@contextmanager
def ray_settings(more: Mapping[str, str]) -> Iterator[None]:
    """Sets the environment of Ray for a block, and disconnects from Ray at its end.

    Raises:
        KeyboardInterrupt: SIGTERM came while Ray's own handler of it was set, from `ray.init` on.
    """
    saved = dict(os.environ)
    output: Any = _WithoutRay(sys.stdout)
    os.environ.update({**SETTINGS, **more})
    # The study reports how each trial ended; Tune would print a traceback for every process that
    # died.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    try:
        # Warnings are for programs that call Ray themselves.
        with redirect_stdout(output), catch_warnings():
            filterwarnings("ignore", module=r"ray\.")
            yield
    except SystemExit as error:
        raise KeyboardInterrupt from error
    finally:
        with redirect_stdout(StringIO()):
            # Repeated errors that Ray has kept back are printed here, by this thread.
            ray.shutdown()
        os.environ.clear()
        os.environ.update(saved)


class _WithoutRay:
    """Standard output, where a command's results go, without the errors that Ray prints to it.

    No setting of Ray turns them off. They come from a thread of Ray's own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        from_ray = threading.current_thread().name.startswith("ray_")
        return len(text) if from_ray else self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
