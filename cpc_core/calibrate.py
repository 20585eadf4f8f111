"""How long a step will take here: a few real steps on noise, scaled where the real ones would take
too long to try.
"""

from __future__ import annotations

import time

import torch

from cpc_core.config import CpcConfig
from cpc_core.corpus.reading.batches import Batch
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step

WORK_LIMIT = 2e9
"""Largest width² · samples · clips that is tried as it is; the cost of a step is proportional to
it.
"""


def seconds_per_step(config: CpcConfig, clip_samples: int, threads: int) -> float:
    """Seconds of one training step on this machine.

    Args:
        config: The trial.
        clip_samples: Samples of a corpus clip, used where the configuration crops nothing.
        threads: CPU threads of a worker.
    """
    samples = (
        clip_samples if config.data.crop_s is None else round(config.data.crop_s * SAMPLE_RATE_HZ)
    )
    clips = config.data.batch_size
    width = max(config.encoder.width, config.context.width or 0)
    tried_clips = max(2, min(clips, int(WORK_LIMIT / (width**2 * samples))))
    tried_samples = max(
        config.shortest_clip_samples, min(samples, int(WORK_LIMIT / (width**2 * tried_clips)))
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        measured = _measure(config, tried_clips, tried_samples)
    finally:
        torch.set_num_threads(before)
    return measured * (clips / tried_clips) * (samples / tried_samples)


def _measure(config: CpcConfig, clips: int, samples: int) -> float:
    """Median of three steps after one that allocates."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = TrainState.create(config, device)
    noise = (
        torch.randn(clips, samples, generator=torch.Generator().manual_seed(0)).mul_(0.1).to(device)
    )
    initialise(state.model, noise, config.initialisation, config.negatives.count)
    durations = []
    for step in range(4):
        begin = time.perf_counter()
        train_step(state, Batch(step, torch.arange(clips, device=device), noise.clone()))
        durations.append(time.perf_counter() - begin)
    return sorted(durations[1:])[1]
