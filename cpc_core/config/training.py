"""Data, optimizer, computation and length of a training, and the probe of its result."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from cpc_core.section import Section

PROBE_METRICS = (
    "dev_map",
    "dev_probe_accuracy",
    "dev_probe_balanced_accuracy",
    "dev_labels_scored",
    "dev_labels_left_out",
)
"""Metrics of the probe; only the report after the last step has them."""


class DataConfig(Section):
    """Training examples."""

    crop_s: float | None = Field(default=None, gt=0, json_schema_extra={"paper": "section 3.2"})
    """Seconds of each clip in a step, cut at a place drawn per (seed, step, clip). Null takes the
    whole clip, which section 3.2 found better than shorter segments.
    """

    batch_size: int = Field(default=256, ge=1, json_schema_extra={"paper": "section 3.1"})
    """Clips per step over all workers together (section 3.1: 256)."""


class OptimizerConfig(Section):
    """Adam with cosine decay (section 3.1)."""

    model_config = ConfigDict(json_schema_extra={"paper": "section 3.1"})

    learning_rate: float = Field(default=1e-4, gt=0)
    """Peak learning rate."""

    final_learning_rate: float = Field(default=1e-6, ge=0)
    """Learning rate at the end of the schedule."""

    decay_steps: int | None = Field(default=None, ge=1, exclude_if=lambda steps: steps is None)
    """Steps of the schedule, warm-up included; null takes `training.steps`. The rate stays at its
    final value afterwards. A number makes the schedule independent of the training's length, so
    that a longer training resumes from the end of a shorter one.
    """

    warmup_steps: int = Field(default=0, ge=0)
    """Linear warm-up. The paper has none ("starting with a learning rate of 1e-4"); at larger rates
    Adam's first steps, which are as long as its later ones whatever the gradient, would undo the
    first weights before its averages have settled.
    """

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (
        0.9,
        0.999,
    )
    """Adam's moment decays (its published defaults)."""


Precision = Literal["float32", "bfloat16"]
"""Precision in which a step is computed."""


class ComputeConfig(Section):
    """Computation of a step. Only `precision` and `tf32` change more than the last digits of a
    result.
    """

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """`bfloat16` runs convolutions and linear maps in autocast. Weights, similarities and the loss
    stay float32, and audio is read to 16 bits. `auto` is bfloat16 on a processor with instructions
    for it, where it is faster, else float32; each trial records its choice, and keeps it when it is
    resumed or reproduced elsewhere.
    """

    tf32: bool = False
    """Let an NVIDIA GPU round the factors of float32 products to ten bits (TF32), which is several
    times as fast. Perturbations below about −60 dB are then lost in the first layer.
    """

    clips_per_pass: int | None = Field(default=None, ge=1)
    """Gradient accumulation: clips that a worker's networks process at a time. Latents of all its
    clips are kept and the networks run again in the backward pass, so negatives, loss and update
    are those of the whole batch; null processes all together.
    """

    checkpoint_layers: bool = False
    """Keep only the input of each encoder layer, and run the layer again in the backward pass.
    Takes less memory, and a third more time of the encoder.
    """

    compile: bool = False
    """Compile the networks with `torch.compile`, for GPUs: a minute at the start. On a CPU it
    needs a C++ compiler, and steps take longer than without.
    """


class TrainingConfig(Section):
    """Length of the training, and its reports."""

    steps: int = Field(default=400_000, ge=1, json_schema_extra={"paper": "section 3.1, Table 3"})
    """Optimizer steps (section 3.1: 400 k, 1 M for Table 3)."""

    report_every: int = Field(default=1000, ge=1)
    """Steps between reports. Each averages the training metrics since the last one, and measures
    the held-out ones on clean clips.
    """

    dev_clips: int = Field(default=256, ge=2)
    """Held-out clips of a report, drawn by a hash of their ids: always the same ones in the same
    batches, and no neighbours, which may be pieces of one recording.
    """

    attacked_clips: int = Field(default=32, ge=0)
    """Held-out clips for accuracy under FGSM, and under attacks of one and of `k` steps with the
    contexts held; 0 measures none. An accuracy that survives the one step and not the `k` comes
    from a trivial feature of the perturbation.
    """

    attack_steps: int = Field(default=5, ge=2)
    """Gradient steps k of that attack."""

    attack_epsilon_db: float = Field(default=-55.0, le=0)
    """Size of these attacks. One for all trials, because an accuracy under another attack is
    another evaluation.
    """

    collapse_window: int = Field(default=5, ge=2)
    """Reports in a row at the constant answer, or without spread, of a trial that has collapsed."""

    collapse_spread: float = Field(default=1e-3, ge=0)
    """Relative spread of the latents below which a model counts as ignoring its input. It is their
    standard deviation over a batch's frames by their root mean square; a healthy model is above
    0.1.
    """


class ProbeConfig(Section):
    """Classifiers on the frozen features (section 3.2)."""

    model_config = ConfigDict(json_schema_extra={"paper": "section 3.2"})

    hidden: int = Field(default=512, ge=1)
    """Units of the one-hidden-layer classifier."""

    features: Literal["context", "latent"] = "context"
    """Both directions' contexts, or the latents. The paper found contexts always better."""

    pooling: Literal["mean", "mean_std"] = Field(
        default="mean", exclude_if=lambda pooling: pooling == "mean"
    )
    """Features of a clip: the mean over its frames, as in the paper, or that beside the standard
    deviation over them.
    """

    steps: int = Field(default=1000, ge=1)
    """Adam steps of a classifier at least."""

    epochs: int = Field(default=20, ge=1)
    """Passes of a classifier over the training clips at least."""

    batch_size: int = Field(default=256, ge=1)
    """Training clips of one of those steps; a corpus of fewer is in every step."""

    learning_rate: float = Field(default=1e-3, gt=0)
    """Adam's learning rate for the one-hidden-layer classifier."""
