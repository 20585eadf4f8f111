"""Prints the losses of three compiled steps under an adversary: `python -m … KIND`."""

from __future__ import annotations

import sys

import torch

from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step
from tests.helpers.configs import tiny_batch, tiny_config

if __name__ == "__main__":
    config = tiny_config(
        adversary={"kind": sys.argv[1]}, context={"kernels": [2, 3]}, compute={"compile": True}
    )
    state, batch = TrainState.create(config, torch.device("cpu")), tiny_batch()
    initialise(state.model, batch.audio, config.initialisation, config.negatives.count)
    for _ in range(3):
        sys.stdout.write(f"{float(train_step(state, batch).loss)}\n")
