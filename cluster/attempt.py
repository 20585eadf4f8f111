"""What an attempt at a trial leaves in its provenance, as the process sees it that is about to train."""

from __future__ import annotations

import torch

from cpc_core.distributed import world
from study.provenance import record_attempt
from study.trial_folder import TrialFolder


def record_here(trial: TrialFolder, step: int) -> None:
    """Records this process as the first worker of an attempt.

    Args:
        trial: The trial's folder.
        step: Steps that were taken before.
    """
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    record_attempt(trial, device=device, workers=world()[1], threads=torch.get_num_threads(), step=step)
