"""Configuration of a trial: one frozen tree of all that changes its numbers, and its identity.

Each default is the paper's (Wang, Kawakami, van den Oord, 2020) where the paper states one; where
it does not, the field's docstring gives the reason for the default. Nothing here imports torch, so
that specs validate at once.
"""

from __future__ import annotations

from cpc_core.config.earlier import is_earlier, upgraded
from cpc_core.config.network import ContextConfig, EncoderConfig, InitialisationConfig, Norm
from cpc_core.config.objective import Accuracy, NegativesConfig, ObjectiveConfig
from cpc_core.config.root import CONFIG_SCHEMA, CpcConfig, canonical_json, signature, trajectory
from cpc_core.config.training import (
    PROBE_METRICS,
    ComputeConfig,
    DataConfig,
    OptimizerConfig,
    Precision,
    ProbeConfig,
    TrainingConfig,
)
from cpc_core.section import Section

__all__ = [
    "Accuracy",
    "CONFIG_SCHEMA",
    "ComputeConfig",
    "ContextConfig",
    "CpcConfig",
    "DataConfig",
    "EncoderConfig",
    "InitialisationConfig",
    "NegativesConfig",
    "Norm",
    "ObjectiveConfig",
    "OptimizerConfig",
    "PROBE_METRICS",
    "Precision",
    "ProbeConfig",
    "Section",
    "TrainingConfig",
    "canonical_json",
    "is_earlier",
    "signature",
    "trajectory",
    "upgraded",
]
