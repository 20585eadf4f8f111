"""A Ray on this machine that ends with the study."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import ray

from cluster.environment import API_SERVER, AUTH_TOKEN, has_token, only_address
from cluster.kinds.base import ray_settings
from cluster.kinds.capacity import Capacity
from cluster.kinds.processes import Process, await_end, descendants
from cluster.kinds.temporary import temporary_folder
from study.control.signals import ignored_by_children
from study.errors import UnreachableError
from study.spec.resources import Resources

OBJECT_STORE_BYTES = 1000 * 2**20
"""Shared memory. It holds the windows that are being read, not the corpus: some tens of MB each."""


TOKEN = secrets.token_hex(16)
"""Token of every Ray that this process starts, which reads its token once."""


class LocalRay:
    """A Ray on this machine that ends with the study."""

    is_this_machine: ClassVar[bool] = True

    def __init__(self, address: str | None = None) -> None:
        """The address names nothing more than this kind."""

    def capacity(self) -> Capacity:
        """This machine, as far as this process may use it."""
        import torch

        return Capacity(len(os.sched_getaffinity(0)), torch.cuda.device_count())

    @contextmanager
    def connect(self, resources: Resources | None) -> Iterator[None]:
        """Starts Ray for the length of the block, and awaits the end of its processes."""
        capacity, port, others = self.capacity(), _free_port(), set(descendants())
        if resources is not None:
            capacity.require(resources)
        logging.getLogger("ray").setLevel(logging.ERROR)
        with temporary_folder() as temporary:
            # What Ray's processes leave in their temporary folder when they are killed goes with
            # it. This process has looked up its own already.
            settings = {
                API_SERVER: f"http://127.0.0.1:{port}",
                "RAY_TMPDIR": temporary,
                "TMPDIR": temporary,
            }
            if not has_token():
                # Ray would write one into the home folder, and `ray start` would ask for it then.
                settings[AUTH_TOKEN] = TOKEN
            own: list[Process] = []
            try:
                with only_address("local"), ray_settings(settings):
                    try:
                        with ignored_by_children():
                            self._start(capacity, resources, port)
                        yield
                    finally:
                        # Without their parents, which end first, they would not be found.
                        own = [process for process in descendants() if process not in others]
            finally:
                await_end(own)

    @staticmethod
    def _start(capacity: Capacity, resources: Resources | None, port: int) -> None:
        try:
            ray.init(
                address="local",
                num_cpus=int(capacity.cpus),
                num_gpus=int(capacity.gpus),
                object_store_memory=OBJECT_STORE_BYTES,
                # Seconds of its start, and a process that works; only Ray Train needs it.
                include_dashboard=resources is not None and not resources.trains_inline,
                dashboard_host="127.0.0.1",
                dashboard_port=port,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except Exception as error:
            if isinstance(error, OSError) and not isinstance(error, ConnectionError):
                raise  # a full disk or a folder that cannot be written, which are said as such
            # Of no type of its own; what Ray's process said last is in the last line.
            reason = str(error).strip().rpartition("\n")[2]
            raise UnreachableError(f"Ray did not start on this machine ({reason})") from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
