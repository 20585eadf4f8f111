"""White noise, independent of the model: at a fixed size, and at a ratio to each clip."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, model_validator

from cpc_core.adversary.base import Perturbation, SizedAdversary

if TYPE_CHECKING:
    from torch import Tensor

    from cpc_core.clean_pass import CleanPass


class Gaussian(SizedAdversary):
    """White noise of standard deviation ε: the control of Table 1, at the RMS of the sign
    perturbation.
    """

    model_config = ConfigDict(json_schema_extra={"paper": "Table 1"})

    kind: Literal["gaussian"] = "gaussian"
    label: ClassVar[str] = "Gaussian noise"

    def perturb(self, clean: CleanPass) -> Tensor:
        """Audio x + ε · N(0, 1)."""
        return clean.audio.detach() + self.size(clean) * clean.normal(
            "noise", clean.audio.shape[1:]
        )


class AdditiveNoise(Perturbation):
    """White noise at a signal-to-noise ratio drawn for each clip: an augmentation baseline."""

    kind: Literal["additive_noise"] = "additive_noise"
    label: ClassVar[str] = "additive noise"

    snr_db: tuple[float, float] = (10.0, 30.0)
    """Range of the ratio in decibels: audible, without hiding the clip."""

    @model_validator(mode="after")
    def _ordered(self) -> AdditiveNoise:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db {self.snr_db} must name the lower ratio first")
        return self

    def perturb(self, clean: CleanPass) -> Tensor:
        """Audio x + noise, its ratio uniform over `snr_db`; a silent clip stays silent."""
        from torchaudio.functional import add_noise

        low, high = self.snr_db
        ratio_db = low + (high - low) * clean.uniform("augmentation", ())
        white = clean.normal("noise", clean.audio.shape[1:])
        audio = clean.audio.detach()
        return add_noise(audio, white, ratio_db.to(audio), clean.own_samples)  # type: ignore[no-any-return]
