"""What every adversary sees, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Generic, TypeVar

from torch import Tensor

from cpc_core.clean_pass import Branch, CleanPass
from cpc_core.config import Perturbation


class Adversary(ABC):
    """Makes a perturbed copy of the audio, or declines. What it must remember from step to step is
    its own.

    Attributes:
        branch: Which side of the prediction hears the perturbed audio.
        clean_weight: Share of the clean loss in what is minimised.
        needs_gradient: Whether the clean pass must track the audio.
        additive: Whether the difference to the clean audio is a perturbation with a size.
    """

    branch: Branch = "future"
    clean_weight: float = 0.0
    needs_gradient: ClassVar[bool] = False
    additive: ClassVar[bool] = True

    @abstractmethod
    def perturb(self, clean: CleanPass) -> Tensor | None:
        """Perturbed audio `[B, L]` outside the graph of the clean one, or None to train on the
        clean pass alone.
        """

    def after_update(self, perturbed: Tensor) -> None:  # noqa: B027  most have nothing to remember
        """Told of the audio that was trained on, once the update's gradients are there."""


Config = TypeVar("Config", bound=Perturbation, covariant=True)


class Perturbing(Adversary, Generic[Config]):
    """An adversary with a configuration of its own."""

    def __init__(self, config: Config) -> None:
        self.config, self.branch, self.clean_weight = config, config.branch, config.clean_weight


class Clean(Adversary):
    """No perturbation: the latents of the first pass are the targets."""

    def perturb(self, clean: CleanPass) -> None:
        """Declines."""
