"""What perturbs the audio (section 2.3): the paper's adversary, stronger and cheaper ones, and
hand-made controls.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cpc_core.section import Section

EpsilonReference = Literal["full_scale", "clip_peak", "clip_rms"]


class NoAdversary(Section):
    """Train on the clean audio."""

    kind: Literal["none"] = "none"


class Perturbation(Section):
    """What every kind but none has."""

    branch: Literal["future", "past", "both"] = "future"
    """Which side of the prediction hears the perturbed audio: the targets (Algorithm 1), the
    contexts, or both.
    """

    clean_weight: float = Field(default=0.0, ge=0, lt=1)
    """Share of the clean loss in the loss that is minimised; Algorithm 1 has none of it."""


class SizedAdversary(Perturbation):
    """A perturbation of size ε."""

    epsilon_db: float = Field(default=-55.0, le=0)
    """Size in decibels below the reference: ε = 10^(dB/20), so −55 dB is 1.78e-3 for audio in [−1,
    1].
    """

    epsilon_reference: EpsilonReference = "full_scale"
    """What 0 dB is: an amplitude of 1 (the paper gives one ε for all clips), each clip's peak, or
    each clip's RMS.
    """

    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the perturbation grows linearly to its size; the paper names none. Small
    models learn to predict before they learn to resist: without a ramp the adversary can keep them
    at the constant answer.
    """

    @property
    def epsilon(self) -> float:
        """ε as a share of the reference."""
        return float(10 ** (self.epsilon_db / 20))


class GaussianAdversary(SizedAdversary):
    """White noise of standard deviation ε: the control of Table 1, at the RMS of the sign
    perturbation.
    """

    kind: Literal["gaussian"] = "gaussian"


class FgsmAdversary(SizedAdversary):
    """Eq. 3: x + ε · sign(∇ₓL), one extra backward pass (Goodfellow et al., 2015)."""

    kind: Literal["fgsm"] = "fgsm"


class RandomStartFgsmAdversary(SizedAdversary):
    """One signed step from a uniform point of the ε-ball, projected back onto it (Wong et al.,
    2020).
    """

    kind: Literal["rs_fgsm"] = "rs_fgsm"

    relative_step: float = Field(default=1.25, gt=0)
    """Size of the step as a share of ε (Wong et al.: 1.25)."""


class PgdAdversary(SizedAdversary):
    """Several signed steps, each projected back onto the ε-ball (Madry et al., 2018)."""

    kind: Literal["pgd"] = "pgd"

    attack_steps: int = Field(default=3, ge=1)
    """Gradient steps of the attack."""

    relative_step: float = Field(default=0.5, gt=0)
    """Size of one step as a share of ε."""

    random_start: bool = True
    """Begin at a uniform point of the ε-ball instead of at the clean audio."""


class FreeAdversary(SizedAdversary):
    """Free adversarial training (Shafahi et al., 2019): the update's own backward pass also gives
    the next perturbation.
    """

    kind: Literal["free"] = "free"

    replays: int = Field(default=4, ge=2)
    """Updates in a row on the same batch; the first of them is clean. The training then sees that
    many times fewer clips.
    """


class AdditiveNoise(Perturbation):
    """White noise at a signal-to-noise ratio drawn for each clip: a hand-made augmentation, as a
    control.
    """

    kind: Literal["additive_noise"] = "additive_noise"

    snr_db: tuple[float, float] = (10.0, 30.0)
    """Range of the ratio in decibels: audible, without hiding the clip."""

    @model_validator(mode="after")
    def _ordered(self) -> AdditiveNoise:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db {self.snr_db} must name the lower ratio first")
        return self


class SpeedChange(Perturbation):
    """Plays each clip faster or slower, pitch included, and keeps its length: a hand-made
    augmentation, as a control.
    """

    kind: Literal["speed"] = "speed"

    branch: Literal["both"] = "both"
    """Time is stretched, so contexts and targets must hear the same audio: their frames would not
    match otherwise.
    """

    factors: tuple[Annotated[float, Field(ge=0.5, le=2)], ...] = Field(
        default=(0.9, 1.0, 1.1), min_length=1
    )
    """Speeds, one drawn for each clip: the three of common speed perturbation."""


class PitchShift(Perturbation):
    """Raises or lowers each clip's pitch and keeps its tempo: a hand-made augmentation, as a
    control.
    """

    kind: Literal["pitch"] = "pitch"

    semitones: tuple[Annotated[float, Field(ge=-12, le=12)], ...] = Field(
        default=(-2.0, -1.0, 0.0, 1.0, 2.0), min_length=1
    )
    """Shifts in semitones, one drawn for each clip."""


Adversary = Annotated[
    NoAdversary
    | GaussianAdversary
    | FgsmAdversary
    | RandomStartFgsmAdversary
    | PgdAdversary
    | FreeAdversary
    | AdditiveNoise
    | SpeedChange
    | PitchShift,
    Field(discriminator="kind"),
]
