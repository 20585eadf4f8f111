from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from cpc_core.config import NegativesConfig
from cpc_core.errors import ConfigError
from cpc_core.objective.negatives import Pool, Sampling, candidates, draw_negatives
from cpc_core.stateless_random import Key, Purpose

SAMPLINGS: tuple[Sampling, ...] = ("local", "cross", "exclusive")


def draw(
    sampling: Sampling,
    ids: Tensor,
    frames: int,
    tasks: int = 2,
    seed: int = 0,
    pool: Pool | None = None,
    **changes: Any,
) -> Tensor:
    config = NegativesConfig(sampling=sampling, **changes)
    return draw_negatives(
        Key(seed, 0, Purpose.NEGATIVES), ids, pool or Pool(len(ids)), frames, tasks, config
    )


@given(
    sampling=st.sampled_from(SAMPLINGS),
    clips=st.integers(2, 5),
    pool=st.integers(2, 6),
    first=st.integers(0, 7),
    frames=st.integers(8, 500),
    share=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=80, deadline=None)
def test_a_negative_is_allowed_and_never_its_positive(
    sampling: Sampling, clips: int, pool: int, first: int, frames: int, share: bool, seed: int
) -> None:
    ids = torch.arange(clips) + 11
    drawn = draw(sampling, ids, frames, seed=seed, pool=Pool(pool, first), share_over_k=share)
    assert drawn.shape == (2, 2, clips, frames, 2)
    own = torch.arange(first, first + clips).view(1, 1, clips, 1, 1)
    assert torch.equal((drawn // frames) // pool, (own // pool).expand_as(drawn))
    positive = own * frames + torch.arange(frames).view(1, 1, 1, frames, 1)
    assert (drawn != positive).all()
    if sampling == "local":
        assert (drawn // frames == own).all()
    if sampling == "exclusive":
        assert (drawn // frames != own).all()
    assert torch.equal(drawn[:, 0], drawn[:, 1]) == share


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("frames", [8, 83, 500])
def test_every_candidate_is_equally_likely(sampling: Sampling, frames: int) -> None:
    """Of the second clip of the second of two pools of three."""
    clips, frame = 3, frames // 2
    pool = Pool(clips)
    drawn = draw(sampling, torch.arange(6), frames, tasks=1, pool=pool, count=12 * frames)
    counts = torch.bincount(drawn[0, 0, 4, frame], minlength=2 * clips * frames)
    assert not counts[: clips * frames].any()
    counts = counts[clips * frames :]
    assert counts[frames + frame] == 0
    allowed = torch.ones(clips * frames, dtype=torch.bool)
    allowed[frames + frame] = False
    if sampling != "cross":
        inside = torch.arange(clips * frames) // frames == 1
        allowed &= inside if sampling == "local" else ~inside
    assert int(allowed.sum()) == candidates(sampling, clips, frames)
    assert not counts[~allowed].any()
    assert chisquare(counts[allowed].numpy()).pvalue > 1e-4


def test_directions_tasks_and_targets_draw_independently() -> None:
    drawn = draw("cross", torch.arange(4), 50, tasks=4).double()
    flat = drawn.flatten(2).flatten(0, 1)
    correlation = torch.corrcoef(flat) - torch.eye(len(flat))
    assert correlation.abs().max() < 0.2


def test_a_clips_local_negatives_do_not_depend_on_its_batch() -> None:
    together = draw("local", torch.tensor([5, 9, 2]), 20)
    alone = draw("local", torch.tensor([9]), 20)
    assert torch.equal(together[:, :, 1] - 20, alone[:, :, 0])


@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_workers_draw_from_gathered_clips_as_one_would(sampling: Sampling) -> None:
    ids = torch.tensor([5, 9, 2, 7, 6, 1])
    whole = draw(sampling, ids, 20, pool=Pool(2))
    halves = [draw(sampling, ids[first : first + 3], 20, pool=Pool(2, first)) for first in (0, 3)]
    assert torch.equal(torch.cat(halves, dim=2), whole)


@pytest.mark.parametrize(
    ("sampling", "clips", "frames"), [("exclusive", 1, 50), ("local", 4, 1), ("cross", 1, 1)]
)
def test_nothing_to_draw_from_is_an_error(sampling: Sampling, clips: int, frames: int) -> None:
    with pytest.raises(ConfigError, match=f"{sampling} sampling has no negative"):
        candidates(sampling, clips, frames)
