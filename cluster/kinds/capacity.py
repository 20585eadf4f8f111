"""Totals of a cluster, compared with the needs of a study; never part of a hash."""

from __future__ import annotations

from dataclasses import dataclass

from cpc_core.errors import CpcError
from study.spec.resources import Resources

DATA_CPUS = 0.25
"""CPUs that one reading task reserves; every Ray Train worker has its own stream of them."""


class ClusterError(CpcError):
    """A cluster that is too small for a study, or that refuses it."""


@dataclass(frozen=True)
class Capacity:
    """Totals of a cluster.

    Attributes:
        cpus: Logical CPUs.
        gpus: GPUs.
    """

    cpus: float
    gpus: float

    def require(self, resources: Resources) -> None:
        """Checks that all trials that are to run at the same time fit.

        Tune does not reserve what a nested Ray Train run needs: trials that do not fit would wait
        for each other for ever. Inline trials that do not fit would wait for others to end, which
        the spec does not request, either.

        Raises:
            ClusterError: They do not; names the needs and the totals.
        """
        workers = resources.concurrent_trials * resources.workers
        data = 0.0 if resources.trains_inline else max(1.0, workers * DATA_CPUS)
        cpus = workers * resources.cpus_per_worker + data
        asked = (
            f"the study asks for {_count(resources.concurrent_trials, 'concurrent trial')} × "
            f"{_count(resources.workers, 'worker')} × {resources.cpus_per_worker:g} CPU"
            f"{f' + {data:g} for data' if data else ''} = {cpus:g} CPUs"
        )
        change = "lower resources.concurrent_trials, resources.workers or resources.cpus_per_worker"
        if cpus > self.cpus:
            raise ClusterError(f"{asked}, the cluster has {self.cpus:g}: {change}")
        gpus = workers * resources.gpus_per_worker
        if gpus > self.gpus:
            raise ClusterError(
                f"the study asks for {gpus:g} GPUs at the same time, the cluster has "
                f"{self.gpus:g}: {change.replace('cpus', 'gpus')}"
            )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
