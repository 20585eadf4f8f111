from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from cpc_core.draws import Key, Purpose
from cpc_core.errors import ConfigError
from cpc_core.negatives import Sampling, candidates, draw_negatives

SAMPLINGS: tuple[Sampling, ...] = ("local", "cross", "exclusive")


@given(
    sampling=st.sampled_from(SAMPLINGS),
    clips=st.integers(2, 5),
    frames=st.integers(8, 500),
    first=st.integers(1, 6),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_a_negative_is_never_its_positive_and_comes_from_where_it_should(
    sampling: Sampling, clips: int, frames: int, first: int, seed: int
) -> None:
    steps = range(first, first + 2)
    drawn = draw_negatives(Key(seed, 0, Purpose.NEGATIVES), torch.arange(clips) + 11, sampling, frames, steps, 2)
    assert drawn.shape == (2, 2, clips, frames, 2)
    assert drawn.min() >= 0
    assert drawn.max() < clips * frames
    own = torch.arange(clips).view(1, 1, clips, 1, 1)
    for task, step in enumerate(steps):
        anchors = frames - step
        used = drawn[:, task, :, :anchors]
        positive = own[0, 0] * frames + torch.arange(anchors).view(1, anchors, 1) + step
        assert (used != positive).all()
    if sampling == "local":
        assert (drawn // frames == own).all()
    if sampling == "exclusive":
        assert (drawn // frames != own).all()


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_every_candidate_is_equally_likely(sampling: Sampling) -> None:
    clips, frames, step, rounds = 3, 8, 2, 3000
    counts = torch.zeros(clips * frames)
    for index in range(rounds):
        drawn = draw_negatives(Key(index, 0, Purpose.NEGATIVES), torch.arange(clips), sampling, frames, range(step, step + 1), 2)
        counts += torch.bincount(drawn[0, 0, 1, 3], minlength=clips * frames)
    seen = counts[counts > 0]
    assert len(seen) == candidates(sampling, clips, frames)
    assert counts[1 * frames + 3 + step] == 0
    assert chisquare(seen.numpy()).pvalue > 1e-4


def test_directions_steps_and_anchors_draw_independently() -> None:
    drawn = draw_negatives(Key(0, 0, Purpose.NEGATIVES), torch.arange(4), "cross", 50, range(4, 8), 2).double()
    flat = drawn.flatten(2).flatten(0, 1)
    correlation = torch.corrcoef(flat) - torch.eye(len(flat))
    assert correlation.abs().max() < 0.2


def test_a_clips_local_negatives_do_not_depend_on_its_batch() -> None:
    ids = torch.tensor([5, 9, 2])
    key = Key(1, 4, Purpose.NEGATIVES)
    together = draw_negatives(key, ids, "local", 20, range(3, 5), 2)
    alone = draw_negatives(key, ids[1:2], "local", 20, range(3, 5), 2)
    assert torch.equal(together[:, :, 1] - 20, alone[:, :, 0])


@pytest.mark.parametrize(("sampling", "clips", "frames"), [("exclusive", 1, 50), ("local", 4, 1), ("cross", 1, 1)])
def test_nothing_to_draw_from_is_an_error(sampling: Sampling, clips: int, frames: int) -> None:
    with pytest.raises(ConfigError, match=f"{sampling} sampling has no negative"):
        candidates(sampling, clips, frames)
