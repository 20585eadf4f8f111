"""Detection of models that have collapsed to an answer that ignores the audio."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cpc_core.config import CpcConfig
from cpc_core.objective.objective import constant_answer_loss

CONSTANT_MARGIN = 0.01
"""Largest relative distance of a collapsed model's loss from that of the constant output.

A loss far above is a model that has not learnt yet, not one that has collapsed.
"""

RANKING_ERRORS = 3.0
"""Standard errors by which the ranking accuracy of a model that has collapsed may exceed chance.

A cosine at τ = 1 ranks a little, and surely, better than chance long before any of its logits
crosses zero, with the loss and the accuracy of a constant output.
"""

RANKING_LEVEL = 0.99865
"""Probability of a normal deviate below so many of them."""


def chance_margin(steps: Tensor, clips: int) -> float:
    """Distance from chance that the mean accuracy of steps may have by chance.

    The error is that of the spread between steps, by Student's distribution where they are few:
    positives of a clip are alike and no independent draws, while other steps have other clips. A
    single step has the largest error of as many clips.

    Args:
        steps: Accuracy of each step, `[S]`.
        clips: Clips of all steps together.
    """
    from scipy.special import stdtrit

    if len(steps) == 1:
        return RANKING_ERRORS * 0.5 / math.sqrt(clips)
    quantile = float(stdtrit(len(steps) - 1, RANKING_LEVEL))
    return quantile * float(steps.std()) / math.sqrt(len(steps))


@dataclass
class CollapseDetector:
    """Counter of consecutive reports at which the model is collapsed."""

    config: CpcConfig
    streak: int = 0

    def saved(self) -> dict[str, Any]:
        return {"collapsed_reports": self.streak}

    def collapse(self, step: int, metrics: Mapping[str, float], ranking_margin: float) -> str:
        """Reason why the model counts as collapsed, empty if it does not.

        It counts after `collapse_window` such reports in a row.
        """
        symptom = self._symptom(metrics, ranking_margin)
        self.streak = self.streak + 1 if symptom else 0
        if self.streak >= self.config.training.collapse_window:
            return f"collapsed: {self.streak} report(s) in a row up to step {step} {symptom}"
        return ""

    def _symptom(self, metrics: Mapping[str, float], ranking_margin: float) -> str:
        constant = constant_answer_loss(self.config.objective, self.config.negatives.count)
        loss, spread, limit = (
            metrics["train_loss"],
            metrics["train_latent_spread"],
            self.config.training.collapse_spread,
        )
        if spread < limit:
            return (
                f"with latents all alike: relative spread {spread:.2g}, "
                f"below training.collapse_spread {limit:g}"
            )
        chance = 1 / (self.config.negatives.count + 1)
        unranked = metrics["train_ranking_accuracy"] < chance + ranking_margin
        if (
            abs(loss / constant - 1) < CONSTANT_MARGIN
            and metrics["train_balanced_accuracy"] < 0.51
            and unranked
        ):
            return (
                f"at the constant answer: loss {loss:.3f}, "
                f"where ignoring the audio has {constant:.3f}"
            )
        return ""
