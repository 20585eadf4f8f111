"""Configuration of one trial, fully resolved, and its identity."""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any

from pydantic import Field, model_validator

from cpc_core.adversary import AnyAdversary, NoAdversary
from cpc_core.config.network import ContextConfig, EncoderConfig, InitialisationConfig
from cpc_core.config.objective import NegativesConfig, ObjectiveConfig
from cpc_core.config.training import (
    ComputeConfig,
    DataConfig,
    OptimizerConfig,
    Precision,
    ProbeConfig,
    TrainingConfig,
)
from cpc_core.geometry import SAMPLE_RATE_HZ, Geometry
from cpc_core.section import Section
from cpc_core.similarity import AnySimilarity, NonlinearCosineSimilarity

CONFIG_SCHEMA = 3
"""Goes into every hash: raise it when the meaning of a field changes."""


class CpcConfig(Section):
    """Configuration of one trial, fully resolved."""

    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    context: ContextConfig = ContextConfig()
    similarity: AnySimilarity = NonlinearCosineSimilarity()
    objective: ObjectiveConfig = ObjectiveConfig()
    negatives: NegativesConfig = NegativesConfig()
    adversary: AnyAdversary = NoAdversary()
    initialisation: InitialisationConfig = InitialisationConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    compute: ComputeConfig = ComputeConfig()
    training: TrainingConfig = TrainingConfig()
    probe: ProbeConfig = ProbeConfig()

    seed: int = Field(default=0, ge=0)
    """Seeds weights, order, crops, negatives and noise. Replicates of a cell differ in nothing
    else.
    """

    @property
    def geometry(self) -> Geometry:
        """Receptive fields of the configured encoder and context."""
        return Geometry.of(
            self.encoder.kernels,
            self.encoder.strides,
            self.context.kernels,
            padded=self.encoder.padding == "same",
        )

    @property
    def pool_clips(self) -> int:
        """Clips that a negative comes from: `negatives.pool_clips`, or the batch if it is smaller.

        Held-out clips that are fewer lower it in training, too, to a size that fills the batch.
        """
        batch, held_out = self.data.batch_size, self.training.dev_clips
        pool = min(self.negatives.pool_clips, batch)
        return pool if pool <= held_out else _largest_divisor(batch, held_out)

    def at_precision(self, precision: Precision) -> CpcConfig:
        """Copy whose step is computed in `precision`."""
        compute = self.compute.model_copy(update={"precision": precision})
        return self.model_copy(update={"compute": compute})

    @property
    def batches(self) -> int:
        """Batches that the whole training reads."""
        return self.training.steps // self.adversary.updates_per_batch

    @property
    def decay_steps(self) -> int:
        """Steps of the learning rate's schedule: one more than the warm-up, where training ends
        before that.
        """
        return max(
            self.optimizer.decay_steps or self.training.steps, self.optimizer.warmup_steps + 1
        )

    @property
    def shortest_clip_samples(self) -> int:
        """Samples of the shortest clip with two anchors for the last predicted step.

        Sampling `local` has a negative then.
        """
        return self.geometry.samples(self.objective.steps[-1] + 2)

    @model_validator(mode="after")
    def _leaks_nothing(self) -> CpcConfig:
        geometry, first = self.geometry, self.objective.first_step
        if first < geometry.first_safe_step:
            raise ValueError(
                f"objective.first_step {first} puts part of the target into the context: a latent "
                f"covers {geometry.patch_samples} samples every {geometry.hop_samples}; "
                f"the first safe step is {geometry.first_safe_step}"
            )
        return self

    @model_validator(mode="after")
    def _crops_hold_a_prediction(self) -> CpcConfig:
        crop_s, needed = self.data.crop_s, self.shortest_clip_samples
        if crop_s is not None and round(crop_s * SAMPLE_RATE_HZ) < needed:
            raise ValueError(
                f"data.crop_s {crop_s:g} s is too short "
                f"to predict step {self.objective.steps[-1]}: "
                f"at least {math.ceil(needed / SAMPLE_RATE_HZ * 1000) / 1000:g} s are needed"
            )
        return self

    @model_validator(mode="after")
    def _exclusive_has_other_clips(self) -> CpcConfig:
        if self.negatives.sampling == "exclusive" and self.pool_clips < 2:
            raise ValueError(
                "negatives.sampling exclusive needs other clips: "
                f"data.batch_size {self.data.batch_size} and "
                f"negatives.pool_clips {self.negatives.pool_clips} must be at least 2"
            )
        return self

    @model_validator(mode="after")
    def _pools_fill_batches(self) -> CpcConfig:
        batch = self.data.batch_size
        pool = min(self.negatives.pool_clips, batch)
        if left := batch % pool:
            divisors = [size for size in range(1, batch + 1) if batch % size == 0]
            smaller = max(size for size in divisors if size < pool)
            larger = min(size for size in divisors if size > pool)
            raise ValueError(
                f"data.batch_size {batch} is no multiple of negatives.pool_clips {pool}: make it "
                f"{batch - left} or {batch - left + pool}, or pool_clips {smaller} or {larger}"
            )
        return self

    @model_validator(mode="after")
    def _rate_decays(self) -> CpcConfig:
        first, last = self.optimizer.learning_rate, self.optimizer.final_learning_rate
        if last > first:
            raise ValueError(
                f"optimizer.final_learning_rate {last:g} exceeds optimizer.learning_rate {first:g}"
            )
        warmup, decay = self.optimizer.warmup_steps, self.optimizer.decay_steps
        if decay is not None and decay <= warmup:
            raise ValueError(
                f"optimizer.decay_steps {decay} leaves nothing "
                f"after optimizer.warmup_steps {warmup}: it must be larger"
            )
        return self

    @model_validator(mode="after")
    def _reports_fall_between_batches(self) -> CpcConfig:
        # A checkpoint between two replays would have to carry every worker's perturbation.
        for name in ("report_every", "steps"):
            if (value := vars(self.training)[name]) % self.adversary.updates_per_batch:
                raise ValueError(
                    f"training.{name} {value} must be a multiple "
                    f"of adversary.replays {self.adversary.updates_per_batch}"
                )
        return self


def canonical_json(config: CpcConfig) -> str:
    """Full resolved configuration as JSON with sorted keys, as a trial folder keeps it."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def signature(config: CpcConfig, corpus_hash: str, *, ignore_seed: bool = False) -> str:
    """Identity of a trial: twelve hex digits of the hash of its full configuration and its corpus.

    Args:
        config: The resolved configuration; the difference from defaults would rename old trials
            when a default changes.
        corpus_hash: Hash of the corpus manifest.
        ignore_seed: Return the cell's identity instead, which all replicates share.
    """
    content = config.model_dump(mode="json")
    if ignore_seed:
        content.pop("seed")
    return _digest(content, corpus_hash)


def trajectory(config: CpcConfig, corpus_hash: str) -> str:
    """Identity of the steps that a trial takes: the hash of everything but `training.steps`.

    Trials that share it take the same steps, one perhaps more of them than another.

    Args:
        config: The resolved configuration. Its schedule counts by its resolved length, so that
            trainings of different length without `decay_steps` differ from the first step on.
        corpus_hash: Hash of the corpus manifest.
    """
    content = config.model_dump(mode="json")
    content["training"].pop("steps")
    content["optimizer"]["decay_steps"] = config.decay_steps
    return _digest(content, corpus_hash)


def _digest(config: dict[str, Any], corpus_hash: str) -> str:
    if "model_hash" in config["initialisation"]:
        del config["initialisation"]["model"]  # A place, as that of the corpus.
    content = {"schema": CONFIG_SCHEMA, "corpus": corpus_hash, "config": config}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _largest_divisor(number: int, limit: int) -> int:
    return max(size for size in range(1, limit + 1) if number % size == 0)
