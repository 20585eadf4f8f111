"""A Ray cluster that is already running."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import ray
from ray.exceptions import RayError
from ray.job_submission import JobSubmissionClient

from cluster.environment import API_SERVER, only_address, require_listener, token_refused
from cluster.kinds.base import SETTINGS, ray_settings
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
        require_listener(self._address)
        with only_address(self._address), ray_settings({}):
            try:
                ray.init(
                    address=self._address,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                    runtime_env={"env_vars": {**SETTINGS, **self._dashboard()}},
                )
            except (ConnectionError, ValueError, RuntimeError, RayError) as error:
                if "InvalidAuthToken" in str(error):
                    raise token_refused(self._address) from error
                raise UnreachableError(
                    f"no Ray cluster answers at {self._address} ({error}): start one with "
                    "`ray start --head`, or give another --address"
                ) from error
            if resources is not None:
                self.capacity().require(resources)
            yield

    def _dashboard(self) -> dict[str, str]:
        """Variable with the address of the dashboard, if one can be reached from this node.

        By default a dashboard answers on the head node alone, and a study runs without it.
        """
        try:
            return {API_SERVER: JobSubmissionClient(self._address).get_address()}
        except ConnectionError:
            return {}
