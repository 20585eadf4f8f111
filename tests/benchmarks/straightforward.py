"""What the training step is measured against: the same functions written as one would at first."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cpc_core.corpus.reading.batches import Batch
from cpc_core.model.context import ContextNetwork
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.layers import ConvLayer, LayerNorm
from cpc_core.stateless_random import Purpose
from cpc_core.step import TrainState, learning_rate, step_negatives


class Layer(nn.Module):
    """Conv1d → transpose → LayerNorm → transpose → activation, with the weights of one of our
    layers.
    """

    def __init__(self, ours: nn.Module, stride: int) -> None:
        super().__init__()
        assert isinstance(ours, ConvLayer)
        weight = ours.conv.conv.weight
        assert isinstance(ours.norm, LayerNorm)
        self.pad, self.activation = ours.conv.padding[0], ours.activation
        self.conv = nn.Conv1d(weight.shape[1], weight.shape[0], weight.shape[3], stride)
        self.norm = nn.LayerNorm(weight.shape[0])
        with torch.no_grad():
            self.conv.weight.copy_(weight.squeeze(2))
            assert self.conv.bias is not None
            assert ours.conv.conv.bias is not None
            self.conv.bias.copy_(ours.conv.conv.bias)
            self.norm.load_state_dict(ours.norm.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """Maps `[B, C_in, T]` to `[B, C_out, T']`."""
        x = self.conv(F.pad(x, (self.pad, 0)) if self.pad else x)
        return self.activation(self.norm(x.transpose(1, 2)).transpose(1, 2))


class Straightforward(nn.Module):
    """The networks of a `CpcModel`, channels first, with every layer's output kept for the dense
    sums.
    """

    def __init__(self, model: CpcModel, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            *(
                Layer(layer, stride)
                for layer, stride in zip(model.encoder.layers, strides, strict=True)
            )
        )
        self.contexts = nn.ModuleList()
        for network in (model.future_context, model.past_context):
            assert isinstance(network, ContextNetwork)
            self.contexts.append(nn.ModuleList(Layer(layer, 1) for layer in network.layers))
        self.objective = model.objective

    def forward(self, audio: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Contexts and latents of audio `[B, L]`, as `CpcModel` gives them."""
        latents = self.encoder(audio.unsqueeze(1))
        future, past = (
            self._context(layers, x)
            for layers, x in zip(self.contexts, (latents, latents.flip(2)), strict=True)
        )
        return (future.transpose(1, 2), past.transpose(1, 2)), latents.transpose(1, 2)

    def _context(self, layers: nn.Module, latents: Tensor) -> Tensor:
        assert isinstance(layers, nn.ModuleList)
        outputs = [latents]
        for layer in layers:
            outputs.append(layer(sum(outputs) / math.sqrt(len(outputs))))
        return sum(outputs) / math.sqrt(len(outputs))  # type: ignore[return-value]


def straightforward_step(
    model: Straightforward, optimizer: torch.optim.Optimizer, batch: Batch, state: TrainState
) -> None:
    """One clean step of the straightforward model."""
    contexts, latents = model(batch.audio)
    optimizer.zero_grad(set_to_none=True)
    model.objective(
        contexts, latents, step_negatives(state, batch, Purpose.NEGATIVES)
    ).loss.backward()
    optimizer.step()


def naive_step(state: TrainState, batch: Batch, epsilon: float) -> None:
    """Algorithm 1 with our layers and two independent passes: weight gradients in both, and the
    contexts computed twice.
    """
    model = state.model

    def whole_pass(target_audio: Tensor, purpose: Purpose) -> None:
        latents = model.encode(
            batch.audio if purpose is Purpose.PERTURBED_NEGATIVES else target_audio
        )
        targets = latents if purpose is Purpose.NEGATIVES else model.encode(target_audio)
        model.objective(
            model.contextualise(latents), targets, step_negatives(state, batch, purpose)
        ).loss.backward()

    audio = batch.audio.clone().requires_grad_()
    whole_pass(audio, Purpose.NEGATIVES)
    assert audio.grad is not None
    perturbed = (audio + epsilon * audio.grad.sign()).detach()
    state.optimizer.zero_grad(set_to_none=True)
    whole_pass(perturbed, Purpose.PERTURBED_NEGATIVES)
    for group in state.optimizer.param_groups:
        group["lr"] = learning_rate(state.config.optimizer, state.step, state.config.training.steps)
    state.optimizer.step()
    state.step += 1
