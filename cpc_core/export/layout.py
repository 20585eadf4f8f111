"""Files of an export, and the settings and weights in them.

export/
  README.md                 model card
  config.json               `ExportConfig`: the architecture alone
  model.safetensors         encoder f and both context networks g
  cpc_model.py              the model for who has torch and safetensors alone
  preprocessor_config.json  Hugging Face's feature extractor
  training/config.json      the whole configuration, to go on or to fine-tune
  training/objective.safetensors
  provenance.json           the trial, how it was chosen, and its attempts
  manifest.json             SHA-256 of every file
on request also
  model.onnx, model.pt2     for ONNX Runtime, and for torch.export; see `formats`
  verification.json         how far each of them is from the model
  training/optimizer.safetensors

Exports before format 1 have `config.json` (the whole configuration), `model.safetensors` (all
weights, by the names of the training's model) and `provenance.json`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from cpc_core.config import CpcConfig
from cpc_core.geometry import SAMPLE_RATE_HZ
from cpc_core.section import Section

if TYPE_CHECKING:
    from torch import Tensor

FORMAT: Literal[1] = 1
"""Raise it when an older version could not read an export, or would read it wrongly."""

CONFIG, WEIGHTS, MANIFEST = "config.json", "model.safetensors", "manifest.json"
PROVENANCE, CARD, MODEL_CODE = "provenance.json", "README.md", "cpc_model.py"
PREPROCESSOR = "preprocessor_config.json"
TRAINING_CONFIG, OBJECTIVE = "training/config.json", "training/objective.safetensors"
OPTIMIZER = "training/optimizer.safetensors"

ADAM = ("step", "exp_avg", "exp_avg_sq")
"""Entries of Adam's state of a parameter, by PyTorch's names."""

FILES = (
    CARD,
    CONFIG,
    MODEL_CODE,
    WEIGHTS,
    PREPROCESSOR,
    PROVENANCE,
    TRAINING_CONFIG,
    OBJECTIVE,
)
"""Files of every export of this format, beside the manifest."""

Format = Literal["onnx", "pt2"]
"""A form of the model for other runtimes."""

FORMAT_FILES: dict[Format, str] = {"onnx": "model.onnx", "pt2": "model.pt2"}
VERIFICATION = "verification.json"

OPTIONAL_FILES = (*FORMAT_FILES.values(), VERIFICATION, OPTIMIZER)
"""Files of exports that were asked for them."""

OLDER_FILES = (CONFIG, WEIGHTS, PROVENANCE)
"""Files of exports before format 1."""

AUTO_MAP = {"AutoConfig": "cpc_model.CpcConfig", "AutoModel": "cpc_model.CpcModel"}

PREPROCESSING = {
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
    "feature_size": 1,
    "sampling_rate": SAMPLE_RATE_HZ,
    "padding_value": 0.0,
    "do_normalize": False,
    "return_attention_mask": True,
}


class EncoderSettings(Section):
    """The strided encoder."""

    width: int = Field(ge=2)
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    padding: Literal["valid", "same"]
    norm: Literal["channels", "channels_and_time"]


class ContextSettings(Section):
    """Each of the context networks."""

    width: int | None
    kernels: tuple[int, ...]
    connections: Literal["none", "residual", "dense", "dense_concat", "dense_concat_bottleneck"]
    growth: int | None
    norm: Literal["channels", "channels_and_time"]


class ExportConfig(Section):
    """Content of `config.json`."""

    format: Literal[1] = FORMAT
    model_type: Literal["cpc_audio"] = "cpc_audio"
    architectures: tuple[str, ...] = ("CpcModel",)
    auto_map: dict[str, str] = Field(default=AUTO_MAP)
    encoder: EncoderSettings
    context: ContextSettings
    sample_rate: int = SAMPLE_RATE_HZ
    hop: int
    """Samples between frames."""

    patch: int
    """Samples that a latent covers."""

    dims: int
    """Dimensions of both directions' contexts together."""

    @classmethod
    def of(cls, config: CpcConfig) -> ExportConfig:
        """Settings of the exported part of a trial's model."""
        geometry = config.geometry
        settings = config.model_dump(include={"encoder", "context"})
        settings["encoder"].pop("preset")
        return cls(
            **settings,
            hop=geometry.hop_samples,
            patch=geometry.patch_samples,
            dims=2 * config.context.channels(config.encoder.width),
        )


_PARTS = {"encoder.layers.": "encoder.", "future_context.": "future.", "past_context.": "past."}


def exported_name(name: str) -> str | None:
    """Name in an export of a weight of the training's model; None for the objective's."""
    for ours, theirs in _PARTS.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours).replace(".conv.conv.", ".conv.")
    return None


def trained_name(name: str) -> str:
    """Name in the training's model of a weight of an export."""
    for ours, theirs in _PARTS.items():
        if name.startswith(theirs):
            return ours + re.sub(
                r"\.conv\.(?=weight|bias)", ".conv.conv.", name.removeprefix(theirs)
            )
    return name


def split_weights(weights: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of a training's model as those of `model.safetensors`, and the objective's."""
    model: dict[str, Tensor] = {}
    objective: dict[str, Tensor] = {}
    for name, weight in weights.items():
        exported = exported_name(name)
        if exported is None:
            objective[name] = weight.contiguous()
        else:
            model[exported] = (weight.squeeze(2) if weight.dim() == 4 else weight).contiguous()
    return model, objective


def joined_weights(model: dict[str, Tensor], objective: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the training's model from those of an export."""
    ours = {
        trained_name(name): weight.unsqueeze(2) if weight.dim() == 3 else weight
        for name, weight in model.items()
    }
    return {**ours, **objective}
