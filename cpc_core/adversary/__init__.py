"""The adversary (section 2.3): small perturbations of the audio that make the predictive tasks
harder, and its controls.
"""

from __future__ import annotations

from cpc_core.adversary.base import Adversary
from cpc_core.adversary.build import build_adversary

__all__ = ["Adversary", "build_adversary"]
