"""Eq. 1 and the distribution of its negatives."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from cpc_core.section import Section

Accuracy = Literal["accuracy", "ranking_accuracy"]


class ObjectiveConfig(Section):
    """Eq. 1: for each anchor, classify the true future latent against negatives."""

    model_config = ConfigDict(json_schema_extra={"paper": "Eq. 1"})

    loss: Literal["bce", "infonce"] = Field(default="bce", json_schema_extra={"paper": "Eq. 1"})
    """`bce` is Eq. 1 with λ = number of negatives; `infonce` is the softmax over the same
    candidates.
    """

    temperature: float = Field(default=0.05, gt=0, json_schema_extra={"paper": "section 3.1"})
    """τ divides the similarity (section 3.1: 0.05)."""

    first_step: int = Field(default=4, ge=1)
    """Smallest k predicted. The paper skips the first 3, so that latent and context share no
    sample.
    """

    n_steps: int = Field(default=4, ge=1)
    """Number of consecutive k that are predicted (the paper's K = 4 tasks)."""

    @property
    def accuracy(self) -> Accuracy:
        """The accuracy of the loss's own task.

        Eq. 1 decides yes or no about each candidate. InfoNCE chooses among them: adding a constant
        to all logits leaves its loss, and moves the share of right decisions.
        """
        return "ranking_accuracy" if self.loss == "infonce" else "accuracy"

    @property
    def steps(self) -> range:
        """The predicted k."""
        return range(self.first_step, self.first_step + self.n_steps)


class NegativesConfig(Section):
    """The proposal distribution p_n (section 2.1)."""

    model_config = ConfigDict(json_schema_extra={"paper": "section 2.1"})

    sampling: Literal["local", "cross", "exclusive"] = Field(
        default="cross", json_schema_extra={"paper": "Table 1, Table 2"}
    )
    """`local`: other positions of the clip; `exclusive`: other clips; `cross`: the whole pool.
    Table 1 of the paper was run with cross: its row without augmentation is Table 2's cross row
    digit for digit.
    """

    count: int = Field(default=2, ge=1, json_schema_extra={"paper": "section 3.1"})
    """Negatives per anchor and task (section 3.1: 2)."""

    pool_clips: int = Field(default=8, ge=1, json_schema_extra={"paper": "section 3.1"})
    """Clips that `cross` and `exclusive` draw from, the own one included: each step's batch is cut
    into pools of so many, and so are the held-out clips, whatever the batch and the number of
    workers. A batch that is smaller is one pool. Accuracies over pools of different size are not
    comparable. The paper names no pool; its 32 cores had 256 / 32 = 8 clips each.
    """

    share_over_k: bool = False
    """Draw the negatives of a target once for all k that predict it, instead of once for each."""
