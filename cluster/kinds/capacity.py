"""What a cluster has, against what a study asks for. Never part of a hash: the same study elsewhere
is the same study.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import ray
import torch

from cpc_core.errors import CpcError
from study.spec.resources import Resources

DATA_CPUS = 0.25
"""CPUs that one reading task reserves; every Ray Train worker has its own stream of them."""


class ClusterError(CpcError):
    """A cluster that is too small for what is asked, or that refuses it."""


@dataclass(frozen=True)
class ClusterProfile:
    """Totals of a cluster.

    Attributes:
        cpus: Logical CPUs.
        gpus: GPUs.
    """

    cpus: float
    gpus: float

    @classmethod
    def local(cls) -> ClusterProfile:
        """This machine, as far as this process may use it."""
        return cls(len(os.sched_getaffinity(0)), torch.cuda.device_count())

    @classmethod
    def joined(cls) -> ClusterProfile:
        """The cluster that this process is connected to."""
        totals = ray.cluster_resources()
        return cls(totals.get("CPU", 0), totals.get("GPU", 0))

    def require(self, resources: Resources) -> None:
        """Checks that all trials that are to run at the same time fit.

        Tune does not reserve what a nested Ray Train run needs: trials that do not fit would wait
        for each other for ever. Inline trials that do not fit would wait for others to end, which
        is not what was asked, either.

        Raises:
            ClusterError: They do not; names what is asked and what there is.
        """
        workers = resources.concurrent_trials * resources.workers
        data = 0.0 if resources.trains_inline else max(1.0, workers * DATA_CPUS)
        cpus = workers * resources.cpus_per_worker + data
        asked = (
            f"the study asks for {_count(resources.concurrent_trials, 'concurrent trial')} × {_count(resources.workers, 'worker')}"
            f" × {resources.cpus_per_worker:g} CPU{f' + {data:g} for data' if data else ''} = {cpus:g} CPUs"
        )
        change = "lower resources.concurrent_trials, resources.workers or resources.cpus_per_worker"
        if cpus > self.cpus:
            raise ClusterError(f"{asked}, the cluster has {self.cpus:g}: {change}")
        gpus = workers * resources.gpus_per_worker
        if gpus > self.gpus:
            raise ClusterError(
                f"the study asks for {gpus:g} GPUs at the same time, the cluster has {self.gpus:g}: {change.replace('cpus', 'gpus')}"
            )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
