"""Model card of an export: how to use it, what it was trained on, and how good it is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from cpc_core.export.layout import ExportConfig, Format
from cpc_core.geometry import SAMPLE_RATE_HZ

_CARD = """\
---
library_name: transformers
pipeline_tag: feature-extraction
license: other
license_name: see-below
tags: [audio, self-supervised, contrastive-predictive-coding]
---

# {title}

An encoder of audio by Contrastive Predictive Coding with an adversary (Wang, Kawakami, van den
Oord, Interspeech 2020), trained and exported by cpc-study: {width} channels, {dims} context
dimensions, a frame every {frame_ms:g} ms of {rate} Hz mono audio, each of {patch_ms:.1f} ms.

## Use

With torch and safetensors alone, in this folder:

```python
import torch
from cpc_model import load_model

encoder = load_model(".")
out = encoder(torch.randn(1, 16000))  # [B, L] in [-1, 1], 16 kHz mono
out["contexts"], out["latents"]       # [B, T, {dims}], [B, T, {width}]
for part in encoder.pieces(torch.randn(16000 * 1200)): ...
```

HEAR and s3prl find their functions in `cpc_model.py`; Hugging Face loads the folder by
`AutoModel.from_pretrained(FOLDER, trust_remote_code=True)`, and wants the attention mask for
recordings of different lengths.
{others}
## Training

| | |
| --- | --- |
{training}

## Scores

{scores}

One number says little: compare it with the same probe on log-mel statistics and on an untrained
encoder, which `cpc probe` prints beside it. They are of held-out clips of the corpus above.

## Not good for

Recordings unlike that corpus, decisions about people, and transcription. A frame's context looks at
the whole recording, {reach_s:.2f} s in each direction: the encoder is not for live audio.

## Licence

The weights come from the corpus above, whose recordings keep their own licences: what those allow
holds for the weights. `cpc_model.py` is Apache-2.0.
"""

_OTHERS: dict[Format, str] = {
    "onnx": """
With ONNX Runtime alone:

```python
import numpy, onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
audio = numpy.zeros((1, 16000), numpy.float32)  # [B, L], {shortest} samples or more
contexts, latents = session.run(None, {{"audio": audio}})
```
""",
    "pt2": """
With torch alone:

```python
import torch

model = torch.export.load("model.pt2").module()
contexts, latents = model(torch.zeros(1, 16000))  # [B, L], {shortest} samples or more
```
""",
}

_LENGTHS = """
Those files take every sample as audio. Recordings of different lengths are a call each: padding
would change the contexts. `verification.json` says how close to the model they are.
"""

_SCORES = {
    "dev_map": "mean average precision, MLP",
    "dev_probe_accuracy": "accuracy, linear",
    "dev_probe_balanced_accuracy": "balanced accuracy, linear",
    "dev_accuracy": "CPC accuracy",
    "dev_ranking_accuracy": "CPC ranking accuracy",
}


def model_card(
    config: ExportConfig, provenance: dict[str, Any], formats: Collection[Format] = ()
) -> str:
    """Text of an export's README.

    Args:
        config: Its settings.
        provenance: Of its trial.
        formats: The model's other forms.
    """
    chosen = provenance.get("chosen", {})
    training = {
        "study, trial, seed": ", ".join(
            str(provenance.get(name, "–")) for name in ("study", "trial", "seed")
        ),
        "corpus": provenance.get("corpus", "–"),
        "settings": ", ".join(f"{k} {v}" for k, v in provenance.get("knobs", {}).items()) or "–",
        "optimizer steps": provenance.get("step", "–"),
        "outcome": provenance.get("outcome", "–"),
        "chosen": chosen.get("how", "–"),
    }
    metrics = provenance.get("metrics", {})
    rows = [
        f"| {title} | {metrics[name]:.3f} |" for name, title in _SCORES.items() if name in metrics
    ]
    if "mean" in chosen:
        low, high = chosen["interval"]
        between = "" if low is None else f" [{low:.3f}, {high:.3f}]"
        title = f"{chosen['metric']}, mean of {len(chosen['by_seed'])} seeds [95 % interval]"
        rows.append(f"| {title} | {chosen['mean']:.3f}{between} |")
    table = "\n".join(["| on held-out clips | |", "| --- | --- |", *rows])
    hop_s = config.hop / SAMPLE_RATE_HZ
    shortest = config.hop if config.encoder.padding == "same" else config.patch
    others = "".join(_OTHERS[each].format(shortest=shortest) for each in sorted(formats))
    return _CARD.format(
        others=others + (_LENGTHS if formats else ""),
        title=f"{provenance.get('study', 'CPC')}, trial {provenance.get('trial', '–')}",
        width=config.encoder.width,
        dims=config.dims,
        frame_ms=1000 * hop_s,
        rate=SAMPLE_RATE_HZ,
        patch_ms=1000 * config.patch / SAMPLE_RATE_HZ,
        training="\n".join(f"| {name} | {value} |" for name, value in training.items()),
        scores=table if rows else "None were measured.",
        reach_s=sum(kernel - 1 for kernel in config.context.kernels) * hop_s
        + config.patch / SAMPLE_RATE_HZ,
    )
