"""ONNX and torch.export files of an encoder, each compared with the encoder that it was made from.

They take audio `[B, L]` and give contexts `[B, T, D]` and latents `[B, T, C]`, for any number of
clips and any length from the shortest with a frame on. All samples are taken as a clip's own: that
is exact without a mask, and clips of different lengths are so many calls.
"""

from __future__ import annotations

import importlib
import io
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from cpc_core.errors import ConfigError
from cpc_core.export.cpc_model import CpcEncoder
from cpc_core.export.layout import FORMAT_FILES, Format
from cpc_core.geometry import SAMPLE_RATE_HZ

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch.export import ExportedProgram

NAMES = ("contexts", "latents")
"""Outputs, in this order."""

TOLERANCE = 1e-4
"""Largest difference of a feature from the encoder's, relative to the largest feature, or to 1
where that is smaller. Rounding alone is around 1e-6.
"""

LARGEST_ONNX = 2**31 - 2**24
"""Bytes of weights in one ONNX file, which protobuf limits to 2 GiB."""

PACKAGES: dict[Format, tuple[str, ...]] = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "pt2": ()}
"""Packages that making and verifying a format needs beside torch."""

Features = Callable[[Tensor], list[Tensor]]
"""Contexts and latents of audio `[B, L]`."""


def require_packages(formats: Collection[Format]) -> None:
    """Checks that the packages of the formats are there.

    Raises:
        ConfigError: One is missing.
    """
    for name in (package for each in formats for package in PACKAGES[each]):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ConfigError(
                f"ONNX needs the package {name} ({error}): pip install 'cpc-study[onnx]'"
            ) from error


def convert(
    encoder: CpcEncoder, formats: Collection[Format]
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Files of the formats by name, and the verification of each by its format.

    Args:
        encoder: For inference, on the CPU.
        formats: Which ones.

    Raises:
        ConfigError: A package is missing, the model is too large for ONNX, or what a file computes
            is not what the encoder does.
    """
    require_packages(formats)
    size = sum(4 * weight.numel() for weight in encoder.state_dict().values())
    if "onnx" in formats and size > LARGEST_ONNX:
        raise ConfigError(
            f"weights of {size / 2**30:.1f} GiB do not fit into an ONNX file, which ends at 2 GiB: "
            "export without it"
        )
    program = _traced(encoder)
    files: dict[str, bytes] = {}
    verified: dict[str, Any] = {}
    for each in formats:
        content, features = _MAKERS[each](program)
        files[FORMAT_FILES[each]] = content
        packages = {name: version(name) for name in ("torch", *PACKAGES[each])}
        verified[each] = {**_verified(encoder, features, FORMAT_FILES[each]), "versions": packages}
    return files, verified


class _WholeClips(nn.Module):
    """Contexts and latents of clips without padding."""

    def __init__(self, encoder: CpcEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, audio: Tensor) -> tuple[Tensor, ...]:
        out = self.encoder(audio)
        return tuple(out[name] for name in NAMES)


def _traced(encoder: CpcEncoder) -> ExportedProgram:
    """The encoder's graph for any number of clips and any length from the shortest on."""
    try:
        from torch.fx.experimental.dynamic_spec import ParamsSpec, ShapesSpec, ShapeVar, TensorSpec
    except ImportError as error:
        raise ConfigError(
            f"PyTorch {torch.__version__} cannot trace a model for every length: install 2.14"
        ) from error
    shape = [ShapeVar("batch", min=1), ShapeVar("samples", min=_shortest(encoder))]
    program = torch.export.export(
        _WholeClips(encoder),
        (torch.zeros(2, encoder.patch + 3 * encoder.hop),),
        dynamic_shapes=ShapesSpec(params=ParamsSpec({"audio": TensorSpec(shape)})),
    )
    for node in program.graph.nodes:
        # Paths on this machine, which the bytes would depend on.
        for name in ("stack_trace", "nn_module_stack", "torch_fn"):
            node.meta.pop(name, None)
    return program


def _pt2(program: ExportedProgram) -> tuple[bytes, Features]:
    file = io.BytesIO()
    torch.export.save(program, file)
    loaded = torch.export.load(io.BytesIO(file.getvalue())).module()
    return file.getvalue(), lambda audio: list(loaded(audio))


def _onnx(program: ExportedProgram) -> tuple[bytes, Features]:
    import onnxruntime

    with _quiet():
        made = torch.onnx.export(program, input_names=["audio"], output_names=NAMES, verbose=False)
    assert made is not None
    content = _stable(made.model_proto)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
    return content, lambda audio: [
        torch.from_numpy(each) for each in session.run(NAMES, {"audio": audio.numpy()})
    ]


_MAKERS: dict[Format, Callable[[ExportedProgram], tuple[bytes, Features]]] = {
    "onnx": _onnx,
    "pt2": _pt2,
}


def _stable(model: ModelProto) -> bytes:
    """The model without what its making left in it, and with names for its dimensions."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    graph.ClearField("value_info")
    for value in (*graph.input, *graph.output):
        dims = value.type.tensor_type.shape.dim
        dims[0].dim_param = "batch"
        dims[1].dim_param = "samples" if value.name == "audio" else "frames"
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _verified(encoder: CpcEncoder, features: Features, name: str) -> dict[str, Any]:
    """Shapes of audio tried, and the largest difference of a feature.

    Raises:
        ConfigError: It is too large.
    """
    shortest, hop = _shortest(encoder), int(encoder.hop)
    shapes = (
        (1, shortest),
        (3, shortest),
        (2, shortest + hop),
        (1, SAMPLE_RATE_HZ),
        (5, SAMPLE_RATE_HZ // 2 + 1),
        (2, 2 * SAMPLE_RATE_HZ + hop - 1),
    )
    generator = torch.Generator().manual_seed(0)
    difference, largest = 0.0, 0.0
    with _one_thread(), torch.inference_mode():
        for shape in shapes:
            audio = torch.randn(shape, generator=generator).mul(0.1)
            out = encoder(audio)
            for wanted, found in zip([out[each] for each in NAMES], features(audio), strict=True):
                if found.shape != wanted.shape:
                    raise ConfigError(
                        f"{name} gives features {list(found.shape)} instead of "
                        f"{list(wanted.shape)} for audio {list(shape)}: export without it"
                    )
                difference = max(difference, float((found - wanted).abs().max()))
                largest = max(largest, float(wanted.abs().max()))
    if not difference <= TOLERANCE * max(1.0, largest):
        raise ConfigError(
            f"{name} differs from the model by {difference:.1e}, with features of up to "
            f"{largest:.1e}: export without it"
        )
    return {
        "shapes": [list(shape) for shape in shapes],
        "largest_difference": difference,
        "largest_feature": largest,
        "tolerance": TOLERANCE,
    }


def _shortest(encoder: CpcEncoder) -> int:
    return int(encoder.hop if encoder.same else encoder.patch)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for the block, so that the same is measured every time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """No warnings that optional packages of the ONNX exporter are missing."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
