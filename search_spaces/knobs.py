"""Catalog of knobs: short names of the fields that are often varied, with label and unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Knob:
    """Named field of `CpcConfig`.

    Attributes:
        name: Name in specs, tables and on the command line.
        path: Dotted path of the field.
        label: Title of a figure's axis.
        unit: Unit of its values, empty where they have none.
        log: True for a logarithmic axis.
    """

    name: str
    path: str
    label: str
    unit: str = ""
    log: bool = False


KNOBS: dict[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob("similarity", "similarity.kind", "Similarity"),
        Knob("temperature", "objective.temperature", "Temperature τ", log=True),
        Knob("loss", "objective.loss", "Objective"),
        Knob("first_step", "objective.first_step", "First predicted step k"),
        Knob("negatives", "negatives.sampling", "Negative sampling"),
        Knob("negative_count", "negatives.count", "Negatives per task"),
        Knob("pool_clips", "negatives.pool_clips", "Pool of negatives", unit="clips"),
        Knob("share_over_k", "negatives.share_over_k", "Negatives shared over k"),
        Knob("adversary", "adversary.kind", "Adversary"),
        Knob("epsilon_db", "adversary.epsilon_db", "Perturbation ε", unit="dB"),
        Knob("epsilon_reference", "adversary.epsilon_reference", "Reference of ε"),
        Knob("branch", "adversary.branch", "Perturbed branch"),
        Knob("clean_weight", "adversary.clean_weight", "Share of the clean loss"),
        Knob("learning_rate", "optimizer.learning_rate", "Learning rate", log=True),
        Knob("warmup_steps", "optimizer.warmup_steps", "Warm-up", unit="steps"),
        Knob("steps", "training.steps", "Training steps"),
        Knob("batch_size", "data.batch_size", "Batch", unit="clips"),
        Knob("crop_s", "data.crop_s", "Crop", unit="s"),
        Knob("width", "encoder.width", "Encoder width"),
        Knob("encoder_preset", "encoder.preset", "Encoder"),
        Knob("connections", "context.connections", "Context connections"),
        Knob("init", "initialisation.model", "First weights"),
    )
}


def resolve(name: str) -> str:
    """Path of a knob; any other name is a path already."""
    return KNOBS[name].path if name in KNOBS else name
