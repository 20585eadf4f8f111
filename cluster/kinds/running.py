"""A Ray cluster that is already running."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import ray
from ray.job_submission import JobSubmissionClient

from cluster.kinds.base import API_SERVER, SETTINGS, ray_settings
from cluster.kinds.capacity import Capacity
from study.errors import UnreachableError
from study.spec.resources import Resources


class RunningRay:
    """A Ray cluster that is already running.

    Args:
        address: HOST:PORT, `ray://HOST:PORT`, or `auto`.
    """

    is_this_machine: ClassVar[bool] = False

    def __init__(self, address: str) -> None:
        self._address = address

    def capacity(self) -> Capacity:
        """Totals of the cluster that this process is connected to."""
        totals = ray.cluster_resources()
        return Capacity(totals.get("CPU", 0), totals.get("GPU", 0))

    @contextmanager
    def connect(self, resources: Resources | None) -> Iterator[None]:
        """Joins the cluster for the length of the block."""
        with ray_settings({}):
            try:
                dashboard = JobSubmissionClient(self._address).get_address()
                ray.init(
                    address=self._address,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env={"env_vars": {**SETTINGS, API_SERVER: dashboard}},
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UnreachableError(
                    f"no Ray cluster answers at {self._address} ({error}): start one with "
                    "`ray start --head`, or give another --address"
                ) from error
            if resources is not None:
                self.capacity().require(resources)
            yield
