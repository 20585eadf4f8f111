"""A padded clip gives what the clip alone gives, whatever is in its padding and in its batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from cpc_core.config import CpcConfig, NegativesConfig
from cpc_core.corpus.corpus import Clips
from cpc_core.corpus.reading.batches import Batch, crop
from cpc_core.errors import ConfigError
from cpc_core.evaluation.features import ModelFeatures
from cpc_core.evaluation.held_out import evaluate, evaluate_attacked
from cpc_core.model.cpc_model import CpcModel
from cpc_core.model.initialise import initialise
from cpc_core.objective.lengths import usable_frames
from cpc_core.objective.negatives import Pool, Sampling, draw_negatives
from cpc_core.stateless_random import Key, Purpose
from cpc_core.step import StepMetrics, TrainState, clean_pass, train_step
from tests.helpers.configs import noise, tiny_config
from tests.helpers.plain_objective import LoneClip, plain_objective

CPU = torch.device("cpu")
EXACT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12, "equal_nan": True}
LONGEST = 80
LENGTHS = (80, 41, 57, 9, 34, 63, 18, 52)
"""Samples of eight clips, of 18, 8, 12, 0, 7, 14, 3 and 11 frames of hop 4 and patch 10."""

ENCODERS: dict[str, dict[str, Any]] = {
    "valid": {"width": 6, "kernels": [4, 4, 1], "strides": [2, 2, 1]},
    "same": {"width": 6, "kernels": [4, 5, 3], "strides": [2, 2, 1], "padding": "same"},
}
OBJECTIVE = {"first_step": 3, "n_steps": 2, "temperature": 0.3}


def config_of(encoder: str = "valid", norm: str = "channels", **changes: Any) -> CpcConfig:
    base: dict[str, Any] = {
        "data": {"batch_size": len(LENGTHS)},
        "encoder": {**ENCODERS[encoder], "norm": norm},
        "context": {"kernels": [2, 3, 4], "norm": norm},
        "objective": OBJECTIVE if encoder == "valid" else {**OBJECTIVE, "first_step": 6},
    }
    return tiny_config(**{**base, **changes})


def batch_of(lengths: tuple[int, ...] = LENGTHS, longest: int = LONGEST, seed: int = 0) -> Batch:
    """Clips of those lengths, which are the same in a batch of any `longest`; noise behind them."""
    audio = 3 * noise(len(lengths), longest, seed=99).double()
    for row, own in enumerate(lengths):
        audio[row, :own] = noise(1, 200, seed + row)[0, :own]
    return Batch(0, torch.arange(len(lengths)) * 7 + 3, audio, torch.tensor(lengths))


def alone(batch: Batch) -> list[Tensor]:
    assert batch.num_samples is not None
    return [clip[:own] for clip, own in zip(batch.audio, batch.num_samples.tolist(), strict=True)]


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("norm", ["channels", "channels_and_time"])
@pytest.mark.parametrize(
    "connections", ["none", "residual", "dense", "dense_concat", "dense_concat_bottleneck"]
)
@pytest.mark.parametrize("width", [6, 5])
@torch.no_grad()
def test_features_are_those_of_the_clip_alone(
    encoder: str, norm: str, connections: str, width: int
) -> None:
    context = {"kernels": [2, 3, 4], "connections": connections, "norm": norm, "width": width}
    config = config_of(encoder, norm, context=context)
    model, batch = CpcModel(config).double(), batch_of()
    assert batch.num_samples is not None
    features = model(batch.audio, batch.num_samples)
    for row, clip in enumerate(alone(batch)):
        frames = config.geometry.frames(len(clip))
        assert int(features.frames[row]) == frames
        for mine in (features.latents[row], features.contexts[row]):
            assert not mine[frames:].any()
        if frames:
            lone = model(clip.unsqueeze(0))
            torch.testing.assert_close(features.latents[row, :frames], lone.latents[0], **EXACT)
            torch.testing.assert_close(features.contexts[row, :frames], lone.contexts[0], **EXACT)


@pytest.mark.parametrize("kind", ["context", "latent"])
@pytest.mark.parametrize("norm", ["channels", "channels_and_time"])
def test_pooled_features_are_those_of_the_clip_alone(
    kind: Literal["context", "latent"], norm: str
) -> None:
    """Zeros of a clip that is shorter than a patch."""
    model, batch = CpcModel(config_of(norm=norm)), batch_of()
    assert batch.num_samples is not None
    pooled = ModelFeatures(model, kind, batch_size=3)(batch.audio.float(), batch.num_samples)
    for vector, clip in zip(pooled, alone(batch), strict=True):
        if len(clip) < 10:
            assert not vector.any()
        else:
            lone = ModelFeatures(model, kind)(clip.float()[None], torch.tensor([len(clip)]))
            torch.testing.assert_close(vector, lone[0], rtol=1e-5, atol=1e-6)
            full = model(clip.float()[None])
            features = full.contexts if kind == "context" else full.latents
            torch.testing.assert_close(vector, features[0].mean(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("preset", ["printed", "ten_layers", "patches_40ms"])
@torch.no_grad()
def test_so_they_are_in_the_papers_networks(preset: str) -> None:
    config = CpcConfig.model_validate(
        {"similarity": {"kind": "dot"}, "encoder": {"preset": preset, "width": 4}}
    )
    model, lengths = CpcModel(config).double(), (16_000, 7_001, 954, 12_345)
    audio = noise(len(lengths), 16_000).double()
    features = model(audio, torch.tensor(lengths))
    for row, own in enumerate(lengths):
        if frames := config.geometry.frames(own):
            lone = model(audio[row : row + 1, :own])
            torch.testing.assert_close(features.contexts[row, :frames], lone.contexts[0], **EXACT)


@pytest.mark.parametrize("sampling", ["local", "cross", "exclusive"])
@pytest.mark.parametrize("similarity", ["dot", "cosine", "nonlinear_cosine"])
@pytest.mark.parametrize("loss", ["bce", "infonce"])
@pytest.mark.parametrize(
    ("encoder", "norm"), [("valid", "channels"), ("same", "channels_and_time")]
)
def test_loss_and_accuracies_are_those_of_clips_alone(
    sampling: str, similarity: str, loss: str, encoder: str, norm: str
) -> None:
    config = config_of(
        encoder,
        norm,
        similarity={"kind": similarity},
        negatives={"sampling": sampling, "count": 3, "pool_clips": 4},
    )
    objective = config.objective.model_copy(update={"loss": loss})
    config = config.model_copy(update={"objective": objective})
    state, batch = TrainState.create(config, CPU), batch_of()
    state.model.double()
    clean = clean_pass(state, batch)
    result = clean.result
    frames = clean.lengths.frames
    assert frames is not None
    none = LoneClip.of(state.model, noise(1, 200)[0].double())
    empty = LoneClip(
        (none.latents[0][:0], none.latents[1][:0]), (none.contexts[0][:0], none.contexts[1][:0])
    )
    clips = [
        LoneClip.of(state.model, clip) if own else empty
        for clip, own in zip(alone(batch), frames.tolist(), strict=True)
    ]
    expected = plain_objective(state.model, loss, clips, clean.negatives)
    for name, value in expected.items():
        assert float(getattr(result, name).detach()) == pytest.approx(value, rel=1e-12), name


ADVERSARIES: list[dict[str, Any]] = [
    {"kind": "none"},
    {"kind": "fgsm", "epsilon_reference": "clip_rms"},
    {"kind": "fgsm", "branch": "past", "epsilon_reference": "clip_peak"},
    {"kind": "pgd", "branch": "both"},
    {"kind": "free", "replays": 2},
    {"kind": "gaussian", "clean_weight": 0.5},
    {"kind": "additive_noise"},
    {"kind": "speed"},
    {"kind": "pitch", "semitones": [-3, 0, 4]},
]


@pytest.mark.parametrize("adversary", ADVERSARIES, ids=str)
@pytest.mark.parametrize("sampling", ["local", "cross", "exclusive"])
def test_a_step_does_not_depend_on_the_padding(adversary: dict[str, Any], sampling: str) -> None:
    """Neither on its length nor on what is in it: every metric and weight is that of clips without
    any.
    """
    config = config_of(
        "same", adversary=adversary, negatives={"sampling": sampling, "pool_clips": 2}
    )
    own = (60, 60, 60, 60)
    plain, expected = stepped(config, replace(batch_of(own, longest=60), num_samples=None))
    padded, weights = stepped(config, batch_of(own, longest=101))
    for name, value in vars(padded).items():
        torch.testing.assert_close(value, getattr(plain, name), **EXACT, msg=name)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name], rtol=1e-9, atol=1e-11, msg=name)


def stepped(config: CpcConfig, batch: Batch) -> tuple[StepMetrics, dict[str, Tensor]]:
    """The last of two steps from weights that this batch initialised, and the weights after it."""
    state = TrainState.create(config, CPU)
    state.model.double()
    initialise(
        state.model,
        batch.audio,
        config.initialisation,
        config.negatives.count,
        batch.num_samples,
    )
    train_step(state, batch)
    return train_step(state, batch), dict(state.model.named_parameters())


@pytest.mark.parametrize("compute", [{"clips_per_pass": 3}, {"checkpoint_layers": True}])
def test_how_much_is_held_at_a_time_changes_nothing(compute: dict[str, Any]) -> None:
    whole, expected = stepped(config_of("same", "channels_and_time"), batch_of())
    parts, weights = stepped(config_of("same", "channels_and_time", compute=compute), batch_of())
    torch.testing.assert_close(parts.loss, whole.loss)
    for name, weight in weights.items():
        torch.testing.assert_close(weight, expected[name], msg=name)


def test_a_batch_that_is_full_needs_no_lengths() -> None:
    full = batch_of((80,) * 8)
    state = TrainState.create(config_of(), CPU)
    state.model.double()
    assert clean_pass(state, full).lengths.frames is None
    assert clean_pass(state, batch_of()).lengths.frames is not None


def test_a_clip_without_a_prediction_is_skipped_and_counted() -> None:
    """As if it were silent, or another one."""
    config = config_of(negatives={"pool_clips": 4})
    assert usable_frames(config, torch.tensor(LENGTHS)).tolist() == [18, 8, 12, 0, 7, 14, 0, 11]
    batch = batch_of()
    other = replace(batch, audio=batch.audio.clone())
    other.audio[3], other.audio[6] = 0, 5
    (metrics, weights), (same, others) = stepped(config, batch), stepped(config, other)
    assert float(metrics.skipped_clips) == 2 / 8
    assert float(metrics.loss) == float(same.loss)
    assert all(torch.equal(weight, others[name]) for name, weight in weights.items())


@pytest.mark.parametrize("sampling", ["local", "cross", "exclusive"])
def test_a_batch_without_a_prediction_moves_no_weight(sampling: str) -> None:
    config = config_of(negatives={"sampling": sampling}, initialisation={"kind": "pytorch"})
    state, batch = TrainState.create(config, CPU), batch_of((9, 12, 18, 5, 18, 9, 3, 1))
    state.model.double()
    before = {name: weight.clone() for name, weight in state.model.named_parameters()}
    metrics = train_step(state, batch)
    assert float(metrics.loss) == 0
    assert float(metrics.gradient_norm) == 0
    assert float(metrics.latent_spread) == 0
    assert all(torch.equal(weight, before[name]) for name, weight in state.model.named_parameters())


def test_exclusive_sampling_skips_a_clip_that_is_alone() -> None:
    config = config_of(negatives={"sampling": "exclusive", "pool_clips": 2})
    usable = usable_frames(config, torch.tensor((80, 9, 41, 57, 9, 9, 18, 80)))
    assert usable.tolist() == [0, 0, 8, 12, 0, 0, 0, 0]


@given(
    sampling=st.sampled_from(["local", "cross", "exclusive"]),
    own=st.lists(st.integers(0, 30), min_size=8, max_size=8),
    pool=st.sampled_from([2, 4, 8]),
    share=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_a_negative_is_an_own_frame_of_its_pool(
    sampling: Sampling, own: list[int], pool: int, share: bool
) -> None:
    frames, drawn = torch.tensor(own), draw(sampling, own, pool, 30, 2, share_over_k=share)
    for clip, count in enumerate(own):
        others = [
            each for each in range(8) if each // pool == clip // pool and each != clip and own[each]
        ]
        if count < 2 or (sampling == "exclusive" and not others):
            continue
        mine = drawn[:, :, clip, :count]
        assert (mine % 30 < frames[mine // 30]).all()
        assert ((mine // 30) // pool == clip // pool).all()
        assert (mine != clip * 30 + torch.arange(count).view(-1, 1)).all()
        if sampling != "cross":
            assert ((mine // 30 == clip) == (sampling == "local")).all()


def draw(
    sampling: Sampling, own: list[int], pool: int, frames: int, tasks: int, **changes: Any
) -> Tensor:
    return draw_negatives(
        Key(0, 0, Purpose.NEGATIVES),
        torch.arange(len(own)),
        Pool(pool, frames=torch.tensor(own)),
        frames,
        tasks,
        NegativesConfig(sampling=sampling, **changes),
    )


@pytest.mark.parametrize("sampling", ["local", "cross", "exclusive"])
@pytest.mark.parametrize("clip", range(6))
def test_every_own_frame_is_equally_likely(sampling: Sampling, clip: int) -> None:
    own, longest, pool, frame = [30, 7, 12, 3, 30, 19], 30, 3, 2
    drawn = draw(sampling, own, pool, longest, 1, count=3000)
    counts = torch.bincount(drawn[0, 0, clip, frame], minlength=6 * longest)
    position = torch.arange(6 * longest)
    allowed = position % longest < torch.tensor(own)[position // longest]
    allowed &= position // longest // pool == clip // pool
    inside = position // longest == clip
    if sampling != "cross":
        allowed &= inside if sampling == "local" else ~inside
    allowed[clip * longest + frame] = False
    assert not counts[~allowed].any()
    assert chisquare(counts[allowed].numpy()).pvalue > 1e-4


@given(st.lists(st.integers(1, 100), min_size=6, max_size=6), st.integers(10, 100))
@settings(max_examples=50, deadline=None)
def test_a_crop_is_within_its_clip(own: list[int], length: int) -> None:
    audio = torch.arange(100.0).repeat(6, 1)
    cropped = crop(Batch(0, torch.arange(6), audio, torch.tensor(own)), length, seed=1)
    assert cropped.num_samples is not None
    assert cropped.num_samples.tolist() == [min(length, samples) for samples in own]
    for part, samples in zip(cropped.audio, own, strict=True):
        assert part[0] == 0 if samples <= length else part[-1] < samples


@pytest.fixture(scope="module")
def trained() -> CpcModel:
    state = TrainState.create(config_of(similarity={"kind": "dot"}), CPU)
    for seed in range(20):
        batch = batch_of(seed=8 * seed)
        train_step(state, replace(batch, audio=batch.audio.float()))
    return state.model


def held_out(lengths: tuple[int, ...], longest: int) -> Clips:
    batch, empty = batch_of(lengths, longest), ("",) * len(lengths)
    assert batch.num_samples is not None
    return Clips(
        batch.audio.float(),
        batch.clip_ids,
        batch.num_samples,
        empty,
        ((),) * len(lengths),
        empty,
        empty,
        (),
    )


@pytest.mark.parametrize("sampling", ["local", "cross", "exclusive"])
def test_held_out_clips_are_measured_within_their_ends(trained: CpcModel, sampling: str) -> None:
    """In batches of any size, and without those that are too short and those of no full pool."""
    measured = []
    for batch_size, lengths, longest in (
        (4, (80, 41, 57, 34, 63, 52, 80, 39), 80),
        (8, (80, 41, 57, 34, 63, 52, 80, 39), 100),
        (8, (80, 41, 57, 34, 63, 52, 80, 39, 60), 80),
    ):
        config = config_of(
            similarity={"kind": "dot"},
            data={"batch_size": batch_size},
            negatives={"sampling": sampling, "pool_clips": 4},
        )
        clips = held_out(lengths, longest)
        measured.append(
            {
                **vars(evaluate(trained, config, clips, longest)),
                **vars(evaluate_attacked(trained, config, clips, longest)),
            }
        )
    assert measured[1] == pytest.approx(measured[0], rel=1e-5)
    assert measured[2] == pytest.approx(measured[0], rel=1e-5)


def test_held_out_crops_are_in_the_middle_of_their_clip(trained: CpcModel) -> None:
    config = config_of(similarity={"kind": "dot"}, negatives={"pool_clips": 2})
    clips = held_out((80, 60, 50, 30), 80)
    cut = torch.zeros(4, 50)
    for row, (begin, own) in enumerate(((15, 50), (5, 50), (0, 50), (0, 30))):
        cut[row, :own] = clips.audio[row, begin : begin + own]
    expected = replace(clips, audio=cut, num_samples=torch.tensor((50, 50, 50, 30)))
    assert evaluate(trained, config, clips, 50) == evaluate(trained, config, expected, 50)


def test_held_out_clips_without_a_prediction_fill_no_pool(trained: CpcModel) -> None:
    config = config_of(similarity={"kind": "dot"}, negatives={"pool_clips": 2})
    clips = held_out((80, 9, 57, 18), 80)
    long = clips.select(torch.tensor((0, 2)))
    assert evaluate(trained, config, clips, 80) == evaluate(trained, config, long, 80)
    with pytest.raises(ConfigError, match=r"0 held-out clip.* of 1 are long enough"):
        evaluate(trained, config, clips.select(torch.tensor([1])), 80)
