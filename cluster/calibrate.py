"""Duration of a training step on this machine, measured on noise."""

from __future__ import annotations

import time

import torch

from cpc_core.config import CpcConfig
from cpc_core.corpus.reading.batches import Batch
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step

WORK_LIMIT = 2e9
"""Largest width² · samples · clips of a measured step. The cost of a step is proportional to that
product, so a smaller step is measured and scaled where the real one would take too long.
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
    measured_clips = max(2, min(clips, int(WORK_LIMIT / (width**2 * samples))))
    measured_samples = max(
        config.shortest_clip_samples, min(samples, int(WORK_LIMIT / (width**2 * measured_clips)))
    )
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        duration_s = _measure(config, measured_clips, measured_samples)
    finally:
        torch.set_num_threads(before)
    return duration_s * (clips / measured_clips) * (samples / measured_samples)


def _measure(config: CpcConfig, clips: int, samples: int) -> float:
    """Median duration in seconds of three steps after one that allocates."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    state = TrainState.create(config, device)
    noise = (
        torch.randn(clips, samples, generator=torch.Generator().manual_seed(0)).mul_(0.1).to(device)
    )
    initialise(state.model, noise, config.initialisation, config.negatives.count)
    durations_s = []
    for step in range(4):
        begin = time.perf_counter()
        train_step(state, Batch(step, torch.arange(clips, device=device), noise.clone()))
        durations_s.append(time.perf_counter() - begin)
    return sorted(durations_s[1:])[1]
