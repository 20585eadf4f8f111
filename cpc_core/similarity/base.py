"""Base of the similarities."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from cpc_core.section import Section

if TYPE_CHECKING:
    from torch import nn


class Similarity(Section):
    """Similarity of a prediction and a latent: the inner product of their embeddings.

    The first weights of a kind that `cpc_core/model/initialise.py` does not name come from its
    regression alone: the first logits are not calibrated.
    """

    kind: str

    label: ClassVar[str]
    """Name in figures and tables."""

    @abstractmethod
    def embedding(self, channels: int) -> nn.Module:
        """Module from vectors `[..., channels]` to embedded ones `[..., E]`, shared by both sides.

        The module is imported inside, so that a configuration is read without torch. What it
        returns is float32 or better.
        """
