"""Encoder of Contrastive Predictive Coding, as exported. It needs torch and safetensors alone.

    encoder = load_model("exports/demo")  # by default the folder of this file
    out = encoder(audio)                  # [B, L] in [-1, 1], 16 kHz mono
    out["contexts"], out["latents"]       # [B, T, 2·C_c] and [B, T, C], a frame every 20 ms

HEAR's functions, s3prl's `UpstreamExpert` and Hugging Face's classes (`AutoModel`) are here, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def own(x: Tensor, lengths: Tensor | None) -> Tensor:
    """`[B, T, C]` with zeros behind each clip's own `lengths` `[B]` frames; None: all are own."""
    if lengths is None:
        return x
    kept = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    return torch.where(kept[..., None], x, 0)


def reverse(x: Tensor, lengths: Tensor | None) -> Tensor:
    """`[B, T, C]` with each clip's own frames from the last to the first."""
    if lengths is None:
        return x.flip(1)
    places = lengths[:, None] - 1 - torch.arange(x.shape[1], device=x.device)
    return own(x.gather(1, places.clamp_min(0)[..., None].expand_as(x)), lengths)


class Layer(nn.Module):
    """Convolution over time, LayerNorm and activation of `[B, T, C]`."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, left: int, right: int):
        super().__init__()
        self.conv, self.norm = nn.Conv1d(inputs, outputs, kernel, stride), nn.LayerNorm(outputs)
        self.pad, self.over_time = (0, 0, left, right), False

    def frames(self, lengths: Tensor) -> Tensor:
        """Frames of the output for so many of the input."""
        rest = lengths + sum(self.pad) - self.conv.kernel_size[0]
        return (rest.div(self.conv.stride[0], rounding_mode="floor") + 1).clamp_min(0)

    def forward(self, x: Tensor, lengths: Tensor | None, activation: Any) -> Tensor:
        """Output, with zeros behind its `lengths` own frames."""
        padded = F.pad(x, self.pad) if any(self.pad) else x  # F.pad copies in any case.
        image, weight = padded.transpose(1, 2).unsqueeze(2), self.conv.weight  # conv1d is slower.
        x = F.conv2d(image, weight.unsqueeze(2), self.conv.bias, (1, self.conv.stride[0]))
        x = x.squeeze(2).transpose(1, 2)
        if self.over_time:
            count = x.shape[1] if lengths is None else lengths.clamp_min(1).view(-1, 1, 1)
            x = own(x, lengths)
            x = own(x - x.mean(2, True).sum(1, True) / count, lengths)
            x = x * (x.square().mean(2, True).sum(1, True) / count + 1e-5).rsqrt()
            x = x * self.norm.weight + self.norm.bias
        else:
            x = self.norm(x)
        return own(activation(x), lengths)


class Context(nn.Module):
    """Causal convolutions with ReLU: a summary of what precedes each latent."""

    def __init__(self, latents: int, c: Mapping[str, Any]):
        super().__init__()
        width, self.kind = c["width"] or latents, c["connections"]
        growth = (c["growth"] or width) if self.kind.startswith("dense_concat") else width
        self.entry = nn.Identity() if width == latents else nn.Linear(latents, width)
        self.narrow, self.layers, read = nn.ModuleList(), nn.ModuleList(), width
        for kernel in c["kernels"]:
            if self.kind == "dense_concat_bottleneck":
                self.narrow.append(Layer(read, growth, 1, 1, 0, 0))
            inputs = growth if self.narrow else read
            self.layers.append(Layer(inputs, growth, kernel, 1, kernel - 1, 0))
            read += growth * self.kind.startswith("dense_concat")

    def forward(self, latents: Tensor, lengths: Tensor | None) -> list[Tensor]:
        """Contexts after each layer, `[B, T, C_c]` each."""
        x = total = self.entry(latents)
        outputs = []
        for n, layer in enumerate(self.layers):
            y = layer(self.narrow[n](x, lengths, F.relu) if self.narrow else x, lengths, F.relu)
            if self.kind.startswith("dense_concat"):
                x = torch.cat((x, y), -1)
            elif self.kind == "dense":
                total = total + y
                x = y = total / (n + 2) ** 0.5
            else:
                x = y = x + y if self.kind == "residual" else y
            outputs.append(own(y, lengths))
        return outputs


class CpcEncoder(nn.Module):
    """Networks of a `config.json`."""

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.build(config)

    def build(self, config: Mapping[str, Any]) -> None:
        """Adds the layers."""
        e, c, strides = config["encoder"], config["context"], config["encoder"]["strides"]
        self.encoder, self.same = nn.ModuleList(), e["padding"] == "same"
        for kernel, stride in zip(e["kernels"], strides, strict=True):
            left, all_of_it = ((kernel - stride) // 2, kernel - stride) if self.same else (0, 0)
            inputs = e["width"] if self.encoder else 1
            self.encoder.append(Layer(inputs, e["width"], kernel, stride, left, all_of_it - left))
        self.future, self.past = Context(e["width"], c), Context(e["width"], c)
        for part, norm in ((self.encoder, e), (self.future, c), (self.past, c)):
            for layer in filter(lambda module: isinstance(module, Layer), part.modules()):
                layer.over_time = norm["norm"] == "channels_and_time"
        self.whole = "channels_and_time" in (e["norm"], c["norm"])
        self.hop, self.patch, self.sample_rate = config["hop"], config["patch"], 16_000
        self.margin = sum(kernel - 1 for kernel in c["kernels"]) + -(-self.patch // self.hop)
        self.rates = {f"encoder.{n}": math.prod(strides[n + 1 :]) for n in range(len(strides))}
        self.left = 0 if self.same else round((self.patch - self.hop) / 2)
        self.scene_embedding_size = self.timestamp_embedding_size = config["dims"]

    def forward(self, audio: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Features of audio `[B, L]`, of which the first `lengths` `[B]` samples are a clip's own.

        `latents`, `contexts` and, at its own rate, every layer; `lengths`: own frames of each clip.
        """
        frames, x, out = lengths, own(audio[..., None], lengths), {}
        for n, layer in enumerate(self.encoder):
            frames = None if frames is None else layer.frames(frames)
            x = out[f"encoder.{n}"] = layer(x, frames, F.silu)
        past = self.past(reverse(x, frames), frames)
        for n, future in enumerate(self.future(x, frames)):
            out["contexts"] = out[f"context.{n}"] = torch.cat(
                (future, reverse(past[n], frames)), -1
            )
        if frames is None:
            frames = audio.new_full(audio.shape[:1], x.shape[1], dtype=torch.long)
        return {**out, "latents": x, "lengths": frames}

    def pieces(
        self, audio: Tensor, frames: int = 1000, begin: int = 0, end: int | None = None, *names: str
    ) -> Iterator[dict[str, Tensor]]:
        """Features of a long recording `[L]` in bounded memory: joined, they are the whole's.

        Frames [begin, end), `frames` at a time; what a frame depends on ends `margin` frames off.
        """
        if self.whole:
            raise ValueError("with a norm over time, pieces are not those of the whole")
        total = self.frames(len(audio)) if end is None else end
        for place in range(begin, total, frames):
            last, first = min(place + frames, total), max(0, place - self.margin)
            out = self(audio[None, first * self.hop : (last + self.margin) * self.hop + self.patch])
            piece = {}
            for name in names or ("latents", "contexts"):
                rate = self.rates.get(name, 1)
                stop = None if end is None and last == total else (last - first) * rate
                piece[name] = out[name][:, (place - first) * rate : stop]
            del out  # While the next piece is computed, its other layers would be kept.
            yield piece

    def frames(self, samples: int) -> int:
        """Frames of so many samples."""
        return int(samples - (self.hop if self.same else self.patch)) // int(self.hop) + 1

    def padded(self, audio: Tensor) -> Tensor:
        """Audio `[…, L]` between zeros, so that frames cover it, centred at 20·t + 10 ms."""
        count = -(-audio.shape[-1] // self.hop)
        span = count * self.hop if self.same else (count - 1) * self.hop + self.patch
        return F.pad(audio, (self.left, span - self.left - audio.shape[-1]))

    def centred(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts of frames that cover audio `[B, L]`, and their times in milliseconds."""
        x = self(self.padded(audio))["contexts"]
        times = torch.arange(x.shape[1], device=audio.device).expand(len(audio), -1) + 0.5
        return x, times * (self.hop / 16)


def load_model(model_file_path: str | Path = "") -> CpcEncoder:
    """The encoder in a folder, frozen; HEAR's first function."""
    from safetensors.torch import load_file

    folder = Path(model_file_path or Path(__file__).parent)
    encoder = CpcEncoder(json.loads((folder / "config.json").read_text()))
    encoder.load_state_dict(load_file(folder / "model.safetensors"))
    return encoder.eval().requires_grad_(False)


def get_timestamp_embeddings(audio: Tensor, model: CpcEncoder) -> tuple[Tensor, Tensor]:
    """HEAR: contexts `[sounds, T, D]`, and the centres of their frames in milliseconds."""
    return model.centred(audio)


def get_scene_embeddings(audio: Tensor, model: CpcEncoder) -> Tensor:
    """HEAR: contexts averaged over time, `[sounds, D]`."""
    return model.centred(audio)[0].mean(1)


class UpstreamExpert(nn.Module):
    """s3prl: contexts after each layer."""

    def __init__(self, ckpt: str = "", **_: Any):
        super().__init__()
        self.model = load_model(ckpt).requires_grad_(True)  # s3prl freezes by itself, or not.

    def get_downsample_rates(self, key: str) -> int:
        """Samples of a frame."""
        return int(self.model.hop)

    def forward(self, wavs: list[Tensor]) -> dict[str, Any]:
        """Hidden states of recordings `[L]` of any lengths."""
        padded = [self.model.padded(wav) for wav in wavs]
        lengths = torch.tensor([len(wav) for wav in padded], device=wavs[0].device)
        out = self.model(nn.utils.rnn.pad_sequence(padded, batch_first=True), lengths)
        return {"hidden_states": [x for name, x in out.items() if name.startswith("context.")]}


try:
    from transformers import PretrainedConfig, PreTrainedModel
    from transformers.modeling_outputs import BaseModelOutput
except ImportError:
    pass
else:

    class CpcConfig(PretrainedConfig):
        """Hugging Face: the settings in `config.json`."""

        model_type = "cpc_audio"

    class CpcModel(CpcEncoder, PreTrainedModel):
        """Hugging Face: contexts as the last hidden state, and those after each layer."""

        config_class, main_input_name = CpcConfig, "input_values"

        def __init__(self, config: CpcConfig):
            PreTrainedModel.__init__(self, config)
            self.build(config.to_dict())
            self.post_init()

        def forward(self, input_values: Tensor, attention_mask: Any = None, **_: Any) -> Any:
            lengths = None if attention_mask is None else attention_mask.sum(1)
            out = CpcEncoder.forward(self, input_values, lengths)
            layers = tuple(x for name, x in out.items() if name.startswith("context."))
            return BaseModelOutput(out["contexts"], layers)
