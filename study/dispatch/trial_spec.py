"""A trial as it is handed out: its configuration, and the hashes that make its identity."""

from __future__ import annotations

from dataclasses import dataclass

from cpc_core.config import CpcConfig, signature
from search_spaces.space import Sample
from study.spec.study_spec import StudySpec
from study.storage.attributes import untrainable_attributes


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
        """What a sample and a seed mean in a study.

        Raises:
            pydantic.ValidationError: They make no configuration that can be trained.
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

    @property
    def description(self) -> dict[str, object]:
        """What the Optuna trial remembers of it; see `has_attributes`."""
        return untrainable_attributes(self.sample, self.seed) | {
            "trial_id": self.trial_id,
            "cell_id": self.cell_id,
        }
