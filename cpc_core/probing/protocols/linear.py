"""Logistic regression, whose penalty the dev clips choose."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from cpc_core.probing.protocols.base import Floats, Labelled, choice_score

STRENGTHS = tuple(10.0**power for power in range(-4, 3))
"""Inverse penalties C as scikit-learn counts them: the sum of losses stands beside half the squared
weights divided by C.
"""

ITERATIONS = 300


class Linear:
    """One logistic regression per tag, or a multinomial one of all classes."""

    def __call__(
        self, train: Labelled, dev: Labelled, test: Floats, seed: int
    ) -> tuple[NDArray[np.float64], str]:
        """See `Protocol`; nothing in it is drawn."""
        found: tuple[float, float, Tensor] | None = None
        weights: Tensor | None = None
        for strength in STRENGTHS:
            weights = logistic_weights(train, strength, weights)
            score = choice_score(dev, _outputs(weights, dev.features).numpy())
            if found is None or score > found[0]:
                found = score, strength, weights
        assert found is not None
        return _outputs(found[2], test).numpy(), f"C = {found[1]:g}"


def logistic_weights(train: Labelled, strength: float, first: Tensor | None = None) -> Tensor:
    """Weights and biases `[D + 1, K]` of the penalised maximum likelihood, the biases last.

    All tags' regressions are one convex problem, whose parts do not meet: solved together they take
    a fraction of their time.

    Args:
        train: Clips to fit on.
        strength: Inverse penalty of the weights; the biases have none.
        first: Weights to start from.
    """
    inputs = _with_bias(train.features)
    targets = torch.from_numpy(train.targets).double()
    weights = (
        torch.zeros(inputs.shape[1], targets.shape[1], dtype=torch.float64)
        if first is None
        else first.clone()
    ).requires_grad_()
    optimizer = torch.optim.LBFGS(
        [weights],
        max_iter=ITERATIONS,
        tolerance_grad=1e-7,
        tolerance_change=1e-11,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        logits = inputs @ weights
        loss = (
            cross_entropy(logits, targets.argmax(dim=1), reduction="sum")
            if train.single
            else binary_cross_entropy_with_logits(logits, targets, reduction="sum")
        )
        # Divided by the number of clips, so that the optimizer's tolerances mean the same for any.
        total = (loss + weights[:-1].square().sum() / (2 * strength)) / len(inputs)
        total.backward()
        return total

    with torch.enable_grad():
        optimizer.step(closure)
    return weights.detach()


def _outputs(weights: Tensor, features: Floats) -> Tensor:
    return _with_bias(features) @ weights


def _with_bias(features: Floats) -> Tensor:
    return torch.nn.functional.pad(torch.from_numpy(np.asarray(features)).double(), (0, 1), value=1)
