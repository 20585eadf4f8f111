"""What a step sees, how it is computed, how long training lasts, and how the result is probed."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cpc_core.section import Section

PROBE_METRICS = ("dev_map", "dev_probe_accuracy", "dev_probe_balanced_accuracy")
"""What the probe measures; only the report after the last step has them."""


class DataConfig(Section):
    """What one training example is."""

    crop_s: float | None = Field(default=None, gt=0)
    """Seconds of each clip that a step sees, cut at a place drawn per (seed, step, clip); null
    takes the whole clip, which section 3.2 found better than shorter segments.
    """

    batch_size: int = Field(default=256, ge=1)
    """Clips per step over all workers together (section 3.1: 256)."""


class OptimizerConfig(Section):
    """Adam with cosine decay (section 3.1)."""

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate."""

    final_learning_rate: float = Field(default=1e-6, ge=0)
    """Learning rate at the end of the schedule."""

    decay_steps: int | None = Field(default=None, ge=1, exclude_if=lambda steps: steps is None)
    """Steps of the schedule, warm-up included, after which the rate stays at its final value; null
    takes `training.steps`. Named, it is the same however long the training is, so that a longer
    training goes on where a shorter one ended.
    """

    warmup_steps: int = Field(default=50, ge=0)
    """Linear warm-up. The paper names none; Adam's first steps are as long as its later ones,
    whatever the gradient, and would undo the first weights before its averages have settled.
    """

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )
    """Adam's moment decays (its published defaults)."""


class ComputeConfig(Section):
    """How the same step is computed. Only `precision` changes more than the last digits of a
    result.
    """

    precision: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16` runs convolutions and linear maps in autocast; weights, similarities and the loss
    stay float32.
    """

    clips_per_pass: int | None = Field(default=None, ge=1)
    """Gradient accumulation: clips that a worker's networks hold at a time. Latents of all its
    clips are kept and the networks run again in the backward pass, so negatives, loss and update
    are those of the whole batch; null holds all.
    """

    checkpoint_layers: bool = False
    """Keep only the input of each encoder layer and run the layer again in the backward pass: less
    memory, a third more time of the encoder.
    """

    compile: bool = False
    """Compile the networks with `torch.compile`: a minute at the start, and a C++ compiler on a
    CPU.
    """


class TrainingConfig(Section):
    """How long, and how often to look."""

    steps: int = Field(default=400_000, ge=1)
    """Optimizer steps (section 3.1: 400 k, 1 M for Table 3)."""

    report_every: int = Field(default=1000, ge=1)
    """Steps between entries of the metrics log: each averages the training metrics since the last
    one, and measures the held-out ones on clean clips.
    """

    dev_clips: int = Field(default=256, ge=2)
    """Held-out clips of a report, always the same ones in the same batches."""

    attacked_clips: int = Field(default=32, ge=0)
    """Held-out clips on which a report also measures accuracy under FGSM and under a `k`-step
    attack; 0 measures neither. An accuracy that survives the first and not the second comes from a
    trivial feature of the perturbation.
    """

    attack_steps: int = Field(default=5, ge=2)
    """Gradient steps k of that attack."""

    attack_epsilon_db: float = Field(default=-55.0, le=0)
    """Size of both attacks: one for all trials, because an accuracy under another attack is another
    exam.
    """

    collapse_window: int = Field(default=5, ge=2)
    """Reports in a row at the constant answer, or without spread, after which a trial is recorded
    as collapsed.
    """

    collapse_spread: float = Field(default=1e-3, ge=0)
    """Relative spread of the latents, their standard deviation over a batch's frames by their root
    mean square, below which a model counts as having stopped listening: a healthy one is above
    0.1.
    """


class ProbeConfig(Section):
    """Classifiers on the frozen features (section 3.2)."""

    hidden: int = Field(default=512, ge=1)
    """Units of the one-hidden-layer classifier."""

    features: Literal["context", "latent"] = "context"
    """Mean over time of both directions' contexts, or of the latents; the paper found contexts
    always better.
    """

    steps: int = Field(default=300, ge=1)
    """Full-batch Adam steps of the classifier: enough for its training loss to settle on the
    bundled audio.
    """

    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's learning rate for the classifier."""
