"""Networks (section 3.1) and their first weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from cpc_core.section import Section

Norm = Literal["channels", "channels_and_time"]
"""Axes that a LayerNorm averages over; the paper names none. `channels` keeps every frame to
itself. `channels_and_time`, the default of Sonnet 1, mixes the whole clip, its future included,
into each frame, so the predictive task leaks; it is there to measure the effect of that.
"""

_STRIDES = (5, 2, 2, 2, 2, 2, 2, 1, 1)

ENCODER_PRESETS: dict[str, dict[str, Any]] = {
    "printed": {"kernels": (10, 4, 4, 4, 4, 4, 4, 1, 1), "strides": _STRIDES, "padding": "valid"},
    "ten_layers": {
        "kernels": (10, 4, 4, 4, 4, 4, 4, 1, 1, 1),
        "strides": (*_STRIDES, 1),
        "padding": "valid",
    },
    "patches_40ms": {
        "kernels": (10, 3, 3, 3, 3, 3, 3, 1, 1),
        "strides": _STRIDES,
        "padding": "same",
    },
}
"""Readings of section 3.1. It names ten layers and 40 ms patches, but prints nine kernels whose
patch is 59.7 ms.
"""


class EncoderConfig(Section):
    """The strided convolutional encoder f (section 3.1): conv → LayerNorm → Swish."""

    model_config = ConfigDict(json_schema_extra={"paper": "section 3.1"})

    preset: Literal["printed", "ten_layers", "patches_40ms", "custom"] = "printed"
    """`printed`: the nine kernels of the paper, which give its 50 Hz and 1.62 s exactly.
    `ten_layers`: a third 1×1 layer, the same geometry. `patches_40ms`: kernels of 3 and SAME
    padding, so that a latent covers 640 samples. Kernels, strides or a padding given beside it
    make it `custom`.
    """

    width: int = Field(default=512, ge=2)
    """Channels of every layer; LayerNorm leaves nothing of a single one."""

    kernels: tuple[Annotated[int, Field(ge=1)], ...] = ENCODER_PRESETS["printed"]["kernels"]
    """Kernel sizes, in samples of the layer's input; none may be smaller than its stride."""

    strides: tuple[Annotated[int, Field(ge=1)], ...] = ENCODER_PRESETS["printed"]["strides"]
    """Strides; their product is the hop between latents, 320 samples = 20 ms."""

    padding: Literal["valid", "same"] = "valid"
    """`same` surrounds each layer's input by kernel - stride zeros: one latent for each hop."""

    norm: Norm = "channels"
    """Axes that LayerNorm averages over."""

    @model_validator(mode="before")
    @classmethod
    def _preset_names_its_layers(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        own = {name: given[name] for name in ("kernels", "strides", "padding") if name in given}
        preset = given.get("preset", "custom" if own else "printed")
        layers = ENCODER_PRESETS.get(preset, {})
        for name in own.keys() & layers.keys():
            value, expected = own[name], layers[name]
            if (tuple(value) if isinstance(value, list) else value) != expected:
                raise ValueError(
                    f"{name} {value} disagrees with preset {preset}, whose {name} is {expected}: "
                    "name one or the other"
                )
        return {**given, "preset": preset, **layers}

    @model_validator(mode="after")
    def _layers_agree(self) -> EncoderConfig:
        if len(self.kernels) != len(self.strides) or not self.kernels:
            raise ValueError(
                "kernels and strides need the same length: "
                f"{len(self.kernels)} and {len(self.strides)}"
            )
        for kernel, stride in zip(self.kernels, self.strides, strict=True):
            if kernel < stride:
                raise ValueError(
                    f"kernel {kernel} is smaller than its stride {stride}: "
                    "samples between would be skipped"
                )
        return self


class ContextConfig(Section):
    """The causal context networks g (section 3.1): one reads past to future, one future to past."""

    model_config = ConfigDict(json_schema_extra={"paper": "section 3.1"})

    width: int | None = Field(default=None, ge=2)
    """Channels; null takes the encoder's width."""

    kernels: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=tuple(range(2, 14)), min_length=1
    )
    """Kernel sizes of the stride-1 causal convolutions: 2 … 13, a receptive field of 79 frames."""

    connections: Literal["none", "residual", "dense", "dense_concat", "dense_concat_bottleneck"] = (
        "dense"
    )
    """`dense` feeds each layer the sum of all earlier outputs over √n, as the "dense residual
    connections" of the authors' reference [21]. It is the reading of the paper's "dense
    connections" with a plausible 47.2 M parameters. `dense_concat` concatenates them
    instead (381 M where each layer adds the full width), and `dense_concat_bottleneck` narrows the
    concatenation by a 1×1 convolution first (88 M). `residual` adds only the last one.
    """

    growth: int | None = Field(default=None, ge=2)
    """Channels of each layer, and of the context, in the concatenating readings; null takes the
    width. The others ignore it.
    """

    norm: Norm = "channels"
    """Axes that LayerNorm averages over."""

    def channels(self, latent_channels: int) -> int:
        """Dimensions of a context vector for latents of `latent_channels`."""
        width = self.width or latent_channels
        return (self.growth or width) if self.connections.startswith("dense_concat") else width


class InitialisationConfig(Section):
    """First weights. Trials of one seed share those of the parts that they have in common."""

    kind: Literal["plain", "pytorch", "standardised", "regression"] = "standardised"
    """`plain`: weights from a normal distribution of variance 1 / fan-in, cut at two deviations,
    and no biases, as TensorFlow 1 and Sonnet 1 have them. `pytorch`: that library's. From there,
    `standardised` lets the first batch set the mean and variance of every layer, a white projection
    and predictions around zero. `regression` also fits the predictors to the first batch and scales
    the logits, so that similarities start from different answers (`cpc_core/model/initialise.py`).
    """

    model: str | None = Field(default=None, min_length=1, exclude_if=lambda model: model is None)
    """An export, a folder or a URI, whose weights the training starts from, to fine-tune it or to
    vary what follows. `kind` then sets nothing from the first batch; it draws the objective's
    weights where similarity or predicted steps are others than the export's. Steps, schedule and
    order of the clips begin anew. Adam goes on from its averages where the export has them
    (`cpc export --optimizer`).
    """

    model_hash: str | None = Field(default=None, exclude_if=lambda found: found is None)
    """Hash of those weights, filled in when the spec is read: a training with others is another
    one. The place of the export counts for nothing.
    """

    ridge: float = Field(default=1.0, gt=0)
    """Penalty of `regression`, relative to the contexts' mean variance. With much less, the
    predictors overfit the first batch.
    """

    logit_deviation: float = Field(default=0.5, gt=0)
    """Standard deviation of the first logits sim/τ under `regression`. Cosines at a large τ stay
    below it.
    """
