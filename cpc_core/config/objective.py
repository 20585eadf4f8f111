"""Eq. 1 and the distribution its negatives come from."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from cpc_core.section import Section


class ObjectiveConfig(Section):
    """Eq. 1: for each anchor, tell the true future latent from negatives."""

    loss: Literal["bce", "infonce"] = "bce"
    """`bce` is Eq. 1 with λ = number of negatives; `infonce` is the softmax over the same
    candidates.
    """

    temperature: float = Field(default=0.05, gt=0)
    """τ divides the similarity (section 3.1: 0.05)."""

    first_step: int = Field(default=4, ge=1)
    """Smallest k predicted. The paper skips the first 3, so that latent and context share no
    sample.
    """

    n_steps: int = Field(default=4, ge=1)
    """How many consecutive k are predicted (the paper's K = 4 tasks)."""

    @property
    def steps(self) -> range:
        """The predicted k."""
        return range(self.first_step, self.first_step + self.n_steps)


class NegativesConfig(Section):
    """The proposal distribution p_n (section 2.1)."""

    sampling: Literal["local", "cross", "exclusive"] = "cross"
    """`local`: other positions of the same clip; `exclusive`: other clips only; `cross`: all clips
    of the pool. Table 1 of the paper was run with cross: its row without augmentation is Table 2's
    cross row digit for digit.
    """

    count: int = Field(default=2, ge=1)
    """Negatives per anchor and task (section 3.1: 2)."""

    pool: Literal["worker", "global"] = "worker"
    """Clips that `cross` and `exclusive` draw from: the worker's own, as on the paper's TPU cores,
    or the whole step's, gathered with gradients. Accuracies over pools of different size are not
    comparable.
    """

    share_over_k: bool = False
    """Draw the negatives of a target once and use them for every k that predicts it, instead of one
    draw for each.
    """
