"""Small networks, whose settings and number of epochs the dev clips choose."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from cpc_core.probing.protocols.base import Floats, Labelled, choice_score


@dataclass(frozen=True)
class NetworkConfig:
    """A network and its training.

    Attributes:
        layers: Hidden layers.
        units: Of each hidden layer.
        learning_rate: Adam's.
        batch_size: Clips of a step.
        dropout: Share of a hidden layer's units that a step leaves out.
        batch_norm: True to normalise hidden layers.
        epochs: Epochs at most.
        check_every: Epochs between two looks at the dev clips.
        patience: Looks without a better score, after which the training ends.
    """

    layers: int
    units: int
    learning_rate: float
    batch_size: int
    dropout: float = 0.0
    batch_norm: bool = False
    epochs: int = 200
    check_every: int = 1
    patience: int = 10


PAPER = tuple(NetworkConfig(1, 512, rate, batch_size=256) for rate in (1e-4, 3e-4, 1e-3, 3e-3))
"""Section 3.2's classifier; the paper names neither learning rate nor epochs."""

HEAR = tuple(
    NetworkConfig(
        layers, 1024, rate, 1024, dropout=0.1, batch_norm=True, epochs=500, check_every=3,
        patience=20,
    )
    for layers, rate in product((1, 2), (3.2e-3, 1e-3, 3.2e-4, 1e-4))
)  # fmt: skip
"""Grid of the HEAR challenge's evaluation (Turian et al. 2022), whose second initialisation, of the
same variance, is left out.
"""


class NetworkGrid:
    """Trains a network of each configuration, and keeps the best of them at its best epoch.

    Args:
        configs: The grid.
    """

    def __init__(self, configs: Sequence[NetworkConfig]) -> None:
        self._configs = configs

    def __call__(
        self, train: Labelled, dev: Labelled, test: Floats, seed: int
    ) -> tuple[NDArray[np.float64], str]:
        """See `Protocol`."""
        best: tuple[float, str, nn.Module] | None = None
        for config in self._configs:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                score, epoch, network = _trained(config, train, dev)
            if best is None or score > best[0]:
                chosen = f"{config.layers} × {config.units}, rate {config.learning_rate:g}"
                best = score, f"{chosen}, {epoch} epochs", network
        assert best is not None
        return _outputs(best[2], test), best[1]


def _trained(config: NetworkConfig, train: Labelled, dev: Labelled) -> tuple[float, int, nn.Module]:
    """Best score on the dev clips, its epoch, and the network of then."""
    network = _network(config, train.features.shape[1], train.targets.shape[1])
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    batches = math.ceil(len(train.features) / config.batch_size)
    best, best_epoch, kept, worse = -math.inf, 0, network, 0
    for epoch in range(1, config.epochs + 1):
        network.train()
        with torch.enable_grad():
            for rows in torch.randperm(len(train.features)).tensor_split(batches):
                optimizer.zero_grad()
                _loss(network, train, rows.numpy()).backward()
                optimizer.step()
        if epoch % config.check_every:
            continue
        score = choice_score(dev, _outputs(network, dev.features))
        if score > best:
            best, best_epoch, kept, worse = score, epoch, copy.deepcopy(network), 0
            continue
        worse += 1
        if worse == config.patience:
            break
    return best, best_epoch, kept


def _network(config: NetworkConfig, inputs: int, classes: int) -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(config.layers):
        linear = nn.Linear(inputs, config.units)
        nn.init.xavier_uniform_(linear.weight)
        norm = [nn.BatchNorm1d(config.units)] if config.batch_norm else []
        layers += [linear, *norm, nn.ReLU(), nn.Dropout(config.dropout)]
        inputs = config.units
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def _loss(network: nn.Module, clips: Labelled, rows: NDArray[np.int64]) -> Tensor:
    logits = network(torch.from_numpy(np.asarray(clips.features[rows])))
    targets = torch.from_numpy(clips.targets[rows]).float()
    if clips.single:
        return cross_entropy(logits, targets.argmax(dim=1))
    return binary_cross_entropy_with_logits(logits, targets)


@torch.no_grad()
def _outputs(network: nn.Module, features: Floats) -> NDArray[np.float64]:
    network.eval()
    parts = torch.from_numpy(np.asarray(features)).split(4096)
    return torch.cat([network(part) for part in parts]).double().numpy()
