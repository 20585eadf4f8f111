"""Whatever the configuration accepts builds, and takes a step that is finite."""

from __future__ import annotations

import math
from typing import Any

import torch
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cpc_core.config import CpcConfig
from cpc_core.corpus.reading.batches import Batch
from cpc_core.model.initialise import initialise
from cpc_core.step import TrainState, train_step
from tests.helpers.configs import noise

CLIPS = 4

sized = {
    "epsilon_db": st.floats(-90, -10),
    "epsilon_reference": st.sampled_from(["full_scale", "clip_peak", "clip_rms"]),
}

hearing = {
    "branch": st.sampled_from(["future", "past", "both"]),
    "clean_weight": st.sampled_from([0.0, 0.5]),
}


def of_kind(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind)}, optional=fields)


adversaries = st.one_of(
    of_kind("none"),
    of_kind("gaussian", **sized, **hearing),
    of_kind("fgsm", **sized, **hearing, warmup_steps=st.integers(0, 10)),
    of_kind("rs_fgsm", **sized, **hearing, relative_step=st.floats(0.1, 2)),
    of_kind("pgd", **sized, **hearing, attack_steps=st.integers(1, 3), random_start=st.booleans()),
    of_kind("free", **sized, **hearing, replays=st.just(2)),
    of_kind("additive_noise", **hearing, snr_db=st.tuples(st.floats(0, 20), st.floats(10, 40))),
    of_kind("speed", factors=st.lists(st.floats(0.5, 2), min_size=1, max_size=2)),
    of_kind("pitch", **hearing, semitones=st.lists(st.floats(-12, 12), min_size=1, max_size=2)),
)

layers = st.lists(
    st.integers(1, 3).flatmap(lambda stride: st.tuples(st.integers(stride, 7), st.just(stride))),
    min_size=1,
    max_size=4,
)

encoders = st.one_of(
    st.fixed_dictionaries(
        {
            "width": st.integers(2, 9),
            "preset": st.sampled_from(["printed", "ten_layers", "patches_40ms"]),
        }
    ),
    layers.flatmap(
        lambda pairs: st.fixed_dictionaries(
            {
                "width": st.integers(2, 9),
                "kernels": st.just([kernel for kernel, _ in pairs]),
                "strides": st.just([stride for _, stride in pairs]),
                "padding": st.sampled_from(["valid", "same"]),
                "norm": st.sampled_from(["channels", "channels_and_time"]),
            }
        )
    ),
)

configurations = st.fixed_dictionaries(
    {
        "data": st.just({"batch_size": CLIPS}),
        "encoder": encoders,
        "context": st.fixed_dictionaries(
            {
                "kernels": st.lists(st.integers(1, 4), min_size=1, max_size=3),
                "connections": st.sampled_from(
                    ["none", "residual", "dense", "dense_concat", "dense_concat_bottleneck"]
                ),
            },
            optional={
                "width": st.integers(2, 9),
                "growth": st.integers(2, 5),
                "norm": st.sampled_from(["channels", "channels_and_time"]),
            },
        ),
        "similarity": st.one_of(
            st.just({"kind": "dot"}),
            st.just({"kind": "cosine"}),
            of_kind("nonlinear_cosine", hidden=st.integers(1, 9), output=st.integers(1, 9)),
        ),
        "objective": st.fixed_dictionaries(
            {
                "loss": st.sampled_from(["bce", "infonce"]),
                "temperature": st.floats(0.03, 3),
                "first_step": st.integers(1, 12),
                "n_steps": st.integers(1, 3),
            }
        ),
        "negatives": st.fixed_dictionaries(
            {
                "sampling": st.sampled_from(["local", "cross", "exclusive"]),
                "count": st.integers(1, 4),
                "pool_clips": st.sampled_from([2, 4, 8]),
                "share_over_k": st.booleans(),
            }
        ),
        "adversary": adversaries,
        "initialisation": st.fixed_dictionaries(
            {"kind": st.sampled_from(["plain", "pytorch", "standardised", "regression"])}
        ),
        "compute": st.fixed_dictionaries(
            {
                "precision": st.sampled_from(["float32", "bfloat16"]),
                "checkpoint_layers": st.booleans(),
            },
            optional={"clips_per_pass": st.integers(1, CLIPS)},
        ),
        "training": st.just({"steps": 8, "report_every": 4}),
        "seed": st.integers(0, 2**40),
    }
)


@given(content=configurations)
@settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_what_is_accepted_takes_a_finite_step(content: dict[str, Any]) -> None:
    try:
        config = CpcConfig.model_validate(content)
    except ValidationError:
        reject()
    state = TrainState.create(config, torch.device("cpu"))
    batch = Batch(0, torch.arange(CLIPS), noise(CLIPS, config.shortest_clip_samples + 40))
    initialise(state.model, batch.audio, config.initialisation, config.negatives.count)
    measured = train_step(state, batch)
    assert math.isfinite(float(measured.loss))
    assert math.isfinite(float(measured.gradient_norm))
    assert 0 <= float(measured.accuracy) <= 1
    assert CpcConfig.model_validate(config.model_dump(mode="json")) == config
