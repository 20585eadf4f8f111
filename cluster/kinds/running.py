"""A Ray cluster that is already running."""

from __future__ import annotations

import logging

import ray
from ray.dashboard.utils import get_address_for_submission_client

from cluster.kinds.base import API_SERVER, PROMPT, QUIET
from cluster.kinds.capacity import ClusterProfile
from study.errors import UnreachableError
from study.spec.resources import Resources


def _join(address: str, resources: Resources | None) -> None:
    try:
        variables = {**QUIET, **PROMPT, API_SERVER: get_address_for_submission_client(address)}
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            runtime_env={"env_vars": variables},
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UnreachableError(
            f"no Ray cluster answers at {address} ({error}): start one with `ray start --head`, or give another --address"
        ) from error
    if resources is not None:
        ClusterProfile.joined().require(resources)
