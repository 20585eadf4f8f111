"""Everything that changes the numbers of a trial, as one frozen tree. Its hash is the trial's identity.

Each default is the paper's (Wang, Kawakami, van den Oord, 2020) where the paper states one; where it does not, the
field's docstring says why the default was chosen. Nothing here imports torch, so that specs validate at once.
"""

from cpc_core.config.adversary import (
    AdditiveNoise,
    Adversary,
    EpsilonReference,
    FgsmAdversary,
    FreeAdversary,
    GaussianAdversary,
    NoAdversary,
    Perturbation,
    PgdAdversary,
    PitchShift,
    RandomStartFgsmAdversary,
    SizedAdversary,
    SpeedChange,
)
from cpc_core.config.network import (
    ContextConfig,
    CosineSimilarity,
    DotSimilarity,
    EncoderConfig,
    InitialisationConfig,
    NonlinearCosineSimilarity,
    Norm,
    Similarity,
)
from cpc_core.config.objective import NegativesConfig, ObjectiveConfig
from cpc_core.config.root import SCHEMA_VERSION, CpcConfig, canonical_json, signature, trajectory
from cpc_core.config.section import Section
from cpc_core.config.training import PROBE_METRICS, ComputeConfig, DataConfig, OptimizerConfig, ProbeConfig, TrainingConfig

__all__ = [
    "AdditiveNoise",
    "Adversary",
    "ComputeConfig",
    "ContextConfig",
    "CosineSimilarity",
    "CpcConfig",
    "DataConfig",
    "DotSimilarity",
    "EncoderConfig",
    "EpsilonReference",
    "FgsmAdversary",
    "FreeAdversary",
    "GaussianAdversary",
    "InitialisationConfig",
    "NegativesConfig",
    "NoAdversary",
    "NonlinearCosineSimilarity",
    "Norm",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PROBE_METRICS",
    "Perturbation",
    "PgdAdversary",
    "PitchShift",
    "ProbeConfig",
    "RandomStartFgsmAdversary",
    "SCHEMA_VERSION",
    "Section",
    "SizedAdversary",
    "Similarity",
    "SpeedChange",
    "TrainingConfig",
    "canonical_json",
    "signature",
    "trajectory",
]
