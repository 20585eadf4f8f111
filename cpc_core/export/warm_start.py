"""A training's first weights, and its optimizer's state, from an export."""

from __future__ import annotations

import torch

from cpc_core.errors import ConfigError
from cpc_core.export.first_weights import misfit, require_same_weights, same_objective
from cpc_core.export.layout import OPTIMIZER, exported_name
from cpc_core.export.manifest import local_export, read_training_config
from cpc_core.export.reader import read_model, read_optimizer
from cpc_core.step import TrainState


@torch.no_grad()
def start_from_export(state: TrainState) -> None:
    """Sets the weights of a fresh state to those of the export that its configuration names.

    The networks' always; the objective's where similarity and predicted steps are the same; and
    Adam's averages of all those, if the export has them.

    Raises:
        CheckpointError: The export is missing or damaged.
        ConfigError: Its networks are others, or its weights are not those that were recorded.
    """
    first = state.config.initialisation
    assert first.model is not None
    with local_export(first.model, OPTIMIZER) as folder:
        require_same_weights(folder, first)
        trained = read_training_config(folder)
        if (problem := misfit(state.config, trained)) is not None:
            raise ConfigError(problem)
        exported = read_model(folder)
        averages = read_optimizer(folder, exported)
    objective = same_objective(state.config, trained)
    taken = {
        name: weight
        for name, weight in exported.state_dict().items()
        if objective or exported_name(name) is not None
    }
    state.model.load_state_dict(taken, strict=False)
    optimizer = state.optimizer.state_dict()
    optimizer["state"] = {
        place: {
            # As the parameter lies in memory, which the fused update takes for granted.
            entry: value if entry == "step" else torch.empty_like(parameter).copy_(value)
            for entry, value in averages[name].items()
        }
        for place, (name, parameter) in enumerate(state.model.named_parameters())
        if name in taken and name in averages
    }
    state.optimizer.load_state_dict(optimizer)
