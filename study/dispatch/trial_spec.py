"""A trial ready to train: its configuration, and the hashes that identify it."""

from __future__ import annotations

from dataclasses import dataclass

from cpc_core.config import CpcConfig, signature
from search_spaces.space import Sample
from study.spec.study_spec import StudySpec
from study.storage.attributes import identity


@dataclass(frozen=True)
class TrialSpec:
    """A trial to train.

    Attributes:
        number: Position in the study.
        sample: Knob name → value.
        seed: The replicate's seed.
        config: The resolved configuration.
        trial_id: Its signature.
        cell_id: Its signature without the seed.
    """

    number: int
    sample: Sample
    seed: int
    config: CpcConfig
    trial_id: str
    cell_id: str

    @classmethod
    def of(
        cls, spec: StudySpec, corpus_hash: str, number: int, sample: Sample, seed: int
    ) -> TrialSpec:
        """The trial that a sample and a seed define in a study.

        Raises:
            pydantic.ValidationError: Their configuration cannot be trained.
        """
        config = spec.config(sample, seed)
        return cls(
            number,
            sample,
            seed,
            config,
            signature(config, corpus_hash),
            signature(config, corpus_hash, ignore_seed=True),
        )

    def attributes(self, point: int | None = None) -> dict[str, object]:
        """User attributes of its Optuna trial.

        Args:
            point: Number of the trial whose proposed configuration it repeats.
        """
        return identity(self.sample, self.seed, self.trial_id, self.cell_id, point=point)
