"""Adversaries: settings and algorithm of a perturbation are one frozen class.

A `CleanPass` offers the gradients, amplitudes and random numbers that a perturbation needs, so that
a configuration is read without torch.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import Field

from cpc_core.section import Section

if TYPE_CHECKING:
    from torch import Tensor

    from cpc_core.clean_pass import CleanPass

Branch = Literal["future", "past", "both"]
EpsilonReference = Literal["full_scale", "clip_peak", "clip_rms"]


class Adversary(Section):
    """Source of perturbed audio (section 2.3)."""

    kind: str

    label: ClassVar[str]
    """Name in figures and tables."""

    needs_gradient: ClassVar[bool] = False
    """True if the clean pass must track the audio."""

    @property
    def updates_per_batch(self) -> int:
        """Optimizer steps in a row on the same batch."""
        return 1

    def start(self) -> Perturbation | None:
        """Perturbation of one training, None to train on the clean audio."""
        return None


class NoAdversary(Adversary):
    """Train on the clean audio."""

    kind: Literal["none"] = "none"
    label: ClassVar[str] = "no adversary"


class Perturbation(Adversary):
    """Adversary that replaces the audio of at least one branch."""

    additive: ClassVar[bool] = True
    """True if the difference to the clean audio is a perturbation with a size."""

    branch: Branch = Field(default="future", json_schema_extra={"paper": "Algorithm 1"})
    """Side that receives the perturbed audio: the targets (Algorithm 1), the contexts, or both."""

    clean_weight: float = Field(default=0.0, ge=0, lt=1, json_schema_extra={"paper": "Algorithm 1"})
    """Share of the clean loss in the loss that is minimised; Algorithm 1 has none of it."""

    def start(self) -> Self:
        """Perturbation of one training: a copy where a kind keeps anything between steps."""
        return self

    @abstractmethod
    def perturb(self, clean: CleanPass) -> Tensor:
        """Perturbed audio `[B, L]`, outside the graph of the clean audio."""

    def after_update(self, perturbed: Tensor) -> None:
        """Receives the trained audio, and any gradient on it, after the update's backward pass."""


class SizedAdversary(Perturbation):
    """Perturbation of size ε relative to a reference, with a linear ramp."""

    epsilon_db: float = Field(default=-55.0, le=0)
    """Size in decibels below the reference: ε = 10^(dB/20), so −55 dB is 1.78e-3 for audio in [−1,
    1].
    """

    epsilon_reference: EpsilonReference = "full_scale"
    """Amplitude of 0 dB: 1 (the paper names one ε for all clips), each clip's peak, or each clip's
    RMS.
    """

    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the perturbation grows linearly to its size; the paper names none. Small
    models learn to predict before they learn to resist: without a ramp the adversary can keep them
    at the constant output.
    """

    @property
    def epsilon(self) -> float:
        """ε as a share of the reference."""
        return float(10 ** (self.epsilon_db / 20))

    def size(self, clean: CleanPass) -> Tensor:
        """ε of each clip as an amplitude at this step, `[B, 1]`."""
        ramp = min(1.0, (clean.step + 1) / (self.warmup_steps + 1))
        return self.epsilon * ramp * clean.amplitude(self.epsilon_reference)


def random_start(clean: CleanPass, epsilon: Tensor) -> Tensor:
    """Uniform point of the ε-ball around zero, `[B, L]`, for `epsilon` `[B, 1]`."""
    return epsilon * (2 * clean.uniform("attack_start", clean.audio.shape[1:]) - 1)
