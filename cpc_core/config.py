"""Everything that changes the numbers of a trial, as one frozen tree. Its hash is the trial's identity.

Each default is the paper's (Wang, Kawakami, van den Oord, 2020) where the paper states one; where it does not, the
field's docstring says why the default was chosen. This module imports no torch, so that specs validate at once.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cpc_core.geometry import SAMPLE_RATE_HZ, Geometry

SCHEMA_VERSION = 1
"""Goes into every hash: raise it when the meaning of a field changes."""


class Section(BaseModel):
    """A frozen group of settings that refuses unknown keys and documents each field by its docstring."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class DataConfig(Section):
    """What one training example is."""

    crop_s: float | None = Field(default=None, gt=0)
    """Seconds of each clip that a step sees, cut at a place drawn per (seed, step, clip); null takes the whole
    clip, which section 3.2 found better than shorter segments."""

    batch_size: int = Field(default=256, ge=1)
    """Clips per step over all workers together (section 3.1: 256)."""


class EncoderConfig(Section):
    """The strided convolutional encoder f (section 3.1): conv → LayerNorm → Swish, valid padding."""

    width: int = Field(default=512, ge=1)
    """Channels of every layer."""

    kernels: tuple[int, ...] = (10, 4, 4, 4, 4, 4, 4, 1, 1)
    """Kernel sizes. The paper says ten layers and prints these nine, which give its 50 Hz and 1.62 s exactly."""

    strides: tuple[int, ...] = (5, 2, 2, 2, 2, 2, 2, 1, 1)
    """Strides. A kernel must be a multiple of its stride: the convolution is computed on whole frames of a stride."""

    @model_validator(mode="after")
    def _layers_agree(self) -> EncoderConfig:
        if len(self.kernels) != len(self.strides) or not self.kernels:
            raise ValueError(f"kernels and strides need the same length: {len(self.kernels)} and {len(self.strides)}")
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            if stride < 1 or kernel < stride or kernel % stride:
                raise ValueError(f"kernel {kernel} is not a multiple of its stride {stride}")
        return self


class ContextConfig(Section):
    """The causal context networks g (section 3.1): one reads past to future, one future to past."""

    width: int | None = Field(default=None, ge=1)
    """Channels; null takes the encoder's width."""

    kernels: tuple[Annotated[int, Field(ge=1)], ...] = tuple(range(2, 14))
    """Kernel sizes of the stride-1 causal convolutions: 2 … 13, a receptive field of 79 frames."""

    connections: Literal["none", "residual", "dense"] = "dense"
    """`dense` feeds each layer the sum of all earlier outputs over √n: the reading of the paper's "dense connections"
    with a plausible 47.2 M parameters (concatenation would give 381 M). `residual` adds only the last one."""


class DotSimilarity(Section):
    """sim(u, v) = uᵀv, the original CPC measure."""

    kind: Literal["dot"] = "dot"


class CosineSimilarity(Section):
    """sim(u, v) = uᵀv / (‖u‖ ‖v‖), without a projection."""

    kind: Literal["cosine"] = "cosine"


class NonlinearCosineSimilarity(Section):
    """Eq. 2: the cosine of p(u) and p(v), p an MLP with one hidden layer shared by both sides."""

    kind: Literal["nonlinear_cosine"] = "nonlinear_cosine"

    hidden: int = Field(default=512, ge=1)
    """Units of the hidden layer (section 3.1: 512)."""

    output: int | None = Field(default=None, ge=1)
    """Dimensions that are compared; null takes `hidden`, because the paper names no other size."""


Similarity = Annotated[DotSimilarity | CosineSimilarity | NonlinearCosineSimilarity, Field(discriminator="kind")]


class ObjectiveConfig(Section):
    """Eq. 1: for each anchor, tell the true future latent from negatives."""

    loss: Literal["bce", "infonce"] = "bce"
    """`bce` is Eq. 1 with λ = number of negatives; `infonce` is the softmax over the same candidates."""

    temperature: float = Field(default=0.05, gt=0)
    """τ divides the similarity (section 3.1: 0.05)."""

    first_step: int = Field(default=4, ge=1)
    """Smallest k predicted. The paper skips the first 3, so that latent and context share no sample."""

    n_steps: int = Field(default=4, ge=1)
    """How many consecutive k are predicted (the paper's K = 4 tasks)."""

    @property
    def steps(self) -> range:
        """The predicted k."""
        return range(self.first_step, self.first_step + self.n_steps)


class NegativesConfig(Section):
    """The proposal distribution p_n (section 2.1)."""

    sampling: Literal["local", "cross", "exclusive"] = "cross"
    """`local`: other positions of the same clip; `exclusive`: other clips only; `cross`: all clips of the pool.
    Table 1 of the paper was run with cross: its row without augmentation is Table 2's cross row digit for digit."""

    count: int = Field(default=2, ge=1)
    """Negatives per anchor and task (section 3.1: 2)."""


class NoAdversary(Section):
    """Train on the clean audio."""

    kind: Literal["none"] = "none"


class _Perturbation(Section):
    epsilon_db: float = Field(default=-55.0, le=0)
    """Size in decibels below full scale: ε = 10^(dB/20), so −55 dB is 1.78e-3 for audio in [−1, 1]."""

    warmup_steps: int = Field(default=0, ge=0)
    """Steps over which the perturbation grows linearly to its size; the paper names none. Small models learn to predict
    before they learn to resist: without a ramp the adversary can keep them at the constant answer."""

    @property
    def epsilon(self) -> float:
        """ε as an amplitude."""
        return float(10 ** (self.epsilon_db / 20))


class GaussianAdversary(_Perturbation):
    """White noise of standard deviation ε: the control of Table 1, at the RMS of the sign perturbation."""

    kind: Literal["gaussian"] = "gaussian"


class FgsmAdversary(_Perturbation):
    """Eq. 3: x + ε · sign(∇ₓL), one extra backward pass."""

    kind: Literal["fgsm"] = "fgsm"


class PgdAdversary(_Perturbation):
    """Several signed steps, each projected back onto the ε-ball; beyond the paper."""

    kind: Literal["pgd"] = "pgd"

    attack_steps: int = Field(default=3, ge=1)
    """Gradient steps of the attack."""

    relative_step: float = Field(default=0.5, gt=0)
    """Size of one step as a share of ε."""

    random_start: bool = True
    """Begin at a uniform point of the ε-ball instead of at the clean audio."""


Adversary = Annotated[NoAdversary | GaussianAdversary | FgsmAdversary | PgdAdversary, Field(discriminator="kind")]


class InitialisationConfig(Section):
    """How the first weights are made. PyTorch's defaults collapse to the constant answer at small width."""

    data_dependent: bool = True
    """Set each LayerNorm's gain and bias on the first batch so that every channel has zero mean and unit variance:
    otherwise all latents share one large component, every similarity is alike, and shrinking it wins."""

    predictor_scale: float = Field(default=0.1, gt=0)
    """Deviation of the first predictions relative to the latents', for the cosines: at a tenth, the nonlinear cosine left the
    constant answer within 80 steps under attack at width 32; at 1 some seeds stayed there."""

    logit_deviation: float = Field(default=0.5, gt=0)
    """Standard deviation of the dot product's logits sim/τ on the first batch: Eq. 1 then starts just above its constant
    answer (near 17 for the paper's eight tasks) for every τ. Cosines are bounded and ignore it."""


class OptimizerConfig(Section):
    """Adam with cosine decay (section 3.1)."""

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate."""

    final_learning_rate: float = Field(default=1e-6, ge=0)
    """Learning rate at the last step."""

    warmup_steps: int = Field(default=300, ge=0)
    """Linear warm-up. The paper names none; small models leave the constant answer sooner with one."""

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    """Adam's moment decays (its published defaults)."""


class TrainingConfig(Section):
    """How long, and how often to look."""

    steps: int = Field(default=400_000, ge=1)
    """Optimizer steps (section 3.1: 400 k, 1 M for Table 3)."""

    report_every: int = Field(default=1000, ge=1)
    """Steps between entries of the metrics log: each averages the training metrics since the last one, and
    measures the held-out ones on clean clips."""

    dev_clips: int = Field(default=256, ge=2)
    """Held-out clips of a report, always the same ones in the same batches."""

    collapse_window: int = Field(default=5, ge=2)
    """Reports in a row at the constant answer after which a trial is recorded as collapsed."""


class ProbeConfig(Section):
    """Classifiers on the frozen features (section 3.2)."""

    hidden: int = Field(default=512, ge=1)
    """Units of the one-hidden-layer classifier."""

    features: Literal["context", "latent"] = "context"
    """Mean over time of both directions' contexts, or of the latents; the paper found contexts always better."""

    steps: int = Field(default=300, ge=1)
    """Full-batch Adam steps of the classifier: enough for its training loss to settle on the bundled audio."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's learning rate for the classifier."""


class CpcConfig(Section):
    """One trial, fully resolved."""

    data: DataConfig = DataConfig()
    encoder: EncoderConfig = EncoderConfig()
    context: ContextConfig = ContextConfig()
    similarity: Similarity = NonlinearCosineSimilarity()
    objective: ObjectiveConfig = ObjectiveConfig()
    negatives: NegativesConfig = NegativesConfig()
    adversary: Adversary = NoAdversary()
    initialisation: InitialisationConfig = InitialisationConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    training: TrainingConfig = TrainingConfig()
    probe: ProbeConfig = ProbeConfig()

    seed: int = Field(default=0, ge=0)
    """Seeds weights, order, crops, negatives and noise. Replicates of a cell differ in nothing else."""

    @property
    def geometry(self) -> Geometry:
        """Receptive fields of the configured encoder and context."""
        return Geometry.of(self.encoder.kernels, self.encoder.strides, self.context.kernels)

    @model_validator(mode="after")
    def _possible(self) -> CpcConfig:
        geometry, steps = self.geometry, self.objective.steps
        if steps.start < geometry.first_safe_step:
            raise ValueError(
                f"objective.first_step {steps.start} lets the context see part of its target: a latent covers "
                f"{geometry.patch_samples} samples every {geometry.hop_samples}; the first safe step is {geometry.first_safe_step}"
            )
        if self.data.crop_s is not None:
            needed = self.shortest_clip_samples
            if round(self.data.crop_s * SAMPLE_RATE_HZ) < needed:
                raise ValueError(
                    f"data.crop_s {self.data.crop_s:g} s is too short to predict step {steps[-1]}: "
                    f"at least {math.ceil(needed / SAMPLE_RATE_HZ * 1000) / 1000:g} s are needed"
                )
        if self.negatives.sampling == "exclusive" and self.data.batch_size < 2:
            raise ValueError(f"negatives.sampling exclusive needs other clips: data.batch_size {self.data.batch_size} must be at least 2")
        if self.optimizer.final_learning_rate > self.optimizer.learning_rate:
            raise ValueError(
                f"optimizer.final_learning_rate {self.optimizer.final_learning_rate:g} exceeds "
                f"optimizer.learning_rate {self.optimizer.learning_rate:g}"
            )
        return self

    @property
    def shortest_clip_samples(self) -> int:
        """Samples of the shortest clip with two anchors for the last predicted step, so that `local` has a negative."""
        return self.geometry.samples(self.objective.steps[-1] + 2)


def canonical_json(config: CpcConfig) -> str:
    """The full resolved configuration as JSON with sorted keys: what is hashed, and what a trial folder keeps."""
    return json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


def signature(config: CpcConfig, corpus_hash: str, *, ignore_seed: bool = False) -> str:
    """Identity of a trial: twelve hex digits of the hash of its full configuration and its corpus.

    Args:
        config: The resolved configuration; the difference from defaults would rename old trials when a default changes.
        corpus_hash: Hash of the corpus manifest.
        ignore_seed: Give the cell's identity instead, which all replicates share.
    """
    content: dict[str, Any] = {"schema": SCHEMA_VERSION, "corpus": corpus_hash, "config": config.model_dump(mode="json")}
    if ignore_seed:
        content["config"].pop("seed")
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
