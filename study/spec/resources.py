"""Resources that a study requests from a cluster."""

from __future__ import annotations

from pydantic import Field, model_validator

from cpc_core.config import Section


class Resources(Section):
    """Resources of the study. Never part of a hash: the same study elsewhere is the same study."""

    concurrent_trials: int = Field(default=2, ge=1)
    """Trials trained at the same time."""

    workers: int = Field(default=1, ge=1)
    """Workers of one trial; each takes its share of the batch."""

    inline: bool | None = None
    """Train in the trial's own process, which serves one trial after the other and starts no
    other. Otherwise a Ray Train run trains, and Ray tasks read its batches. By default true for
    one worker; several need Ray Train.
    """

    cpus_per_worker: float = Field(default=0.5, gt=0)
    """CPUs a worker reserves. The defaults fit two trials on 2 CPUs, with Ray Train and its data
    stream, too.
    """

    gpus_per_worker: float = Field(default=0, ge=0)
    """GPUs a worker reserves."""

    max_failures: int = Field(default=2, ge=0)
    """Number of times that a crashed trial resumes from its last checkpoint before it counts as
    failed.
    """

    share: bool = True
    """Reuse trials of this study and of those in the same parent folder: result or checkpoint."""

    @model_validator(mode="after")
    def _inline_is_alone(self) -> Resources:
        if self.inline and self.workers > 1:
            raise ValueError(
                f"inline is for one worker, workers is {self.workers}: leave inline out, or set "
                "workers to 1"
            )
        return self

    @property
    def trains_inline(self) -> bool:
        """True if a trial's own process trains it."""
        return self.workers == 1 if self.inline is None else self.inline

    @property
    def threads(self) -> int:
        """CPU threads of a worker."""
        return max(1, int(self.cpus_per_worker))

    @property
    def gpus_per_trial(self) -> float:
        """GPUs that a trial reserves while it trains."""
        return self.workers * self.gpus_per_worker
