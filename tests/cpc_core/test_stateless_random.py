from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from cpc_core.stateless_random import Key, Purpose, normal, uniform, uniform_integers

KEY = Key(seed=7, step=11, purpose=Purpose.NEGATIVES)
WORD = (1 << 64) - 1


def splitmix64(seed: int, index: int) -> int:
    """The reference C code, in unbounded integers."""
    z = (seed + (index + 1) * 0x9E3779B97F4A7C15) & WORD
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & WORD
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & WORD
    return z ^ (z >> 31)


def nested(*parts: int) -> int:
    state = 0
    for part in parts:
        state = splitmix64(state, part)
    return state


def clip_ids(count: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(5).integers(-(2**63), 2**63 - 1, count))


def test_the_reference_is_splitmix64() -> None:
    published = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert [splitmix64(1234567, index) for index in range(5)] == published


def test_integers_equal_the_reference_in_unbounded_arithmetic() -> None:
    ids = torch.tensor([0, 1, -1, 2**63 - 1, -(2**63), -846660571122684492])
    drawn = uniform_integers(KEY, ids, (3, 2), 1000)
    expected = [
        [
            (nested(7, Purpose.NEGATIVES.value, 11, clip_id & WORD, counter) >> 1) % 1000
            for counter in range(6)
        ]
        for clip_id in ids.tolist()
    ]
    assert drawn.flatten(1).tolist() == expected


def test_uniform_numbers_are_the_high_bits_of_the_reference() -> None:
    drawn = uniform(KEY, torch.tensor([3, -4]), (5,))
    expected = [
        [
            (nested(7, Purpose.NEGATIVES.value, 11, clip & WORD, counter) >> 40) / 2**24
            for counter in range(5)
        ]
        for clip in (3, -4)
    ]
    assert drawn.tolist() == expected


def test_normal_numbers_are_box_muller_of_the_reference() -> None:
    word = nested(7, Purpose.NEGATIVES.value, 11, 3, 0)
    radius = math.sqrt(-2 * math.log(((word >> 32) + 1) / 2**32))
    angle = math.tau * (word & 0xFFFFFFFF) / 2**32
    assert normal(KEY, torch.tensor([3]), (2,))[0].tolist() == pytest.approx(
        [radius * math.cos(angle), radius * math.sin(angle)], rel=1e-5
    )


def test_values_stay_what_they_were() -> None:
    assert uniform_integers(KEY, torch.tensor([3, -4]), (4,), 10**6).tolist() == [
        [231291, 274461, 934943, 271729],
        [252567, 982050, 376823, 542942],
    ]


@pytest.mark.parametrize("high", [2, 3, 10, 257])
def test_integers_are_uniform(high: int) -> None:
    drawn = uniform_integers(KEY, clip_ids(50), (4000,), high)
    counts = torch.bincount(drawn.flatten(), minlength=high)
    assert len(counts) == high
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_pairs_of_neighbouring_counters_are_uniform() -> None:
    drawn = uniform_integers(KEY, clip_ids(100), (2000,), 16)
    pairs = drawn[:, 0::2] * 16 + drawn[:, 1::2]
    assert stats.chisquare(torch.bincount(pairs.flatten(), minlength=256).numpy()).pvalue > 1e-3


def test_a_bound_per_clip_is_as_good_as_a_scalar_one() -> None:
    ids = clip_ids(4)
    high = torch.tensor([1, 5, 1000, 2**40])
    drawn = uniform_integers(KEY, ids, (100,), high[:, None])
    assert bool((drawn >= 0).all())
    assert bool((drawn < high[:, None]).all())
    for row, bound in enumerate(high.tolist()):
        assert (
            drawn[row].tolist()
            == uniform_integers(KEY, ids[row : row + 1], (100,), bound)[0].tolist()
        )


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1, not 0"):
        uniform_integers(KEY, clip_ids(1), (1,), 0)


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(KEY, seed=8),
        dataclasses.replace(KEY, step=12),
        dataclasses.replace(KEY, purpose=Purpose.NOISE),
    ],
    ids=["seed", "step", "purpose"],
)
def test_neighbouring_keys_are_independent(other: Key) -> None:
    ids = clip_ids(20)
    assert_uncorrelated(uniform(KEY, ids, (5000,)), uniform(other, ids, (5000,)))


def test_neighbouring_clips_and_counters_are_independent() -> None:
    drawn = uniform(KEY, torch.arange(200), (1000,))
    assert_uncorrelated(drawn[:-1], drawn[1:])
    assert_uncorrelated(drawn[:, :-1], drawn[:, 1:])


def assert_uncorrelated(a: torch.Tensor, b: torch.Tensor) -> None:
    correlation = float(torch.corrcoef(torch.stack((a.flatten(), b.flatten())).double())[0, 1])
    assert abs(correlation) < 4 / math.sqrt(a.numel())


def test_each_clip_keeps_its_draws_in_any_batch() -> None:
    ids = clip_ids(6)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    for draw in (uniform, normal):
        whole = draw(KEY, ids, (3, 5))
        assert torch.equal(draw(KEY, ids[order], (3, 5)), whole[order])
        assert torch.equal(draw(KEY, ids[2:3], (3, 5)), whole[2:3])


def test_uniform_numbers_follow_their_distribution() -> None:
    drawn = uniform(KEY, clip_ids(10), (10_000,)).flatten()
    assert float(drawn.min()) >= 0
    assert float(drawn.max()) < 1
    assert stats.kstest(drawn.numpy(), "uniform").pvalue > 1e-3


def test_normal_numbers_are_normal_and_independent_in_pairs() -> None:
    drawn = normal(KEY, clip_ids(10), (20_000,))
    assert stats.kstest(drawn.flatten().numpy(), "norm").pvalue > 1e-3
    cosine, sine = drawn[:, 0::2], drawn[:, 1::2]
    assert_uncorrelated(cosine, sine)
    assert_uncorrelated(cosine**2, sine**2)


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 7)])
def test_shapes(shape: tuple[int, ...]) -> None:
    ids = clip_ids(2)
    assert uniform(KEY, ids, shape).shape == (2, *shape)
    assert normal(KEY, ids, shape).shape == (2, *shape)
    assert uniform_integers(KEY, ids, shape, 3).dtype == torch.int64


def test_a_longer_draw_begins_with_the_shorter_one() -> None:
    ids = clip_ids(2)
    assert torch.equal(normal(KEY, ids, (8,))[:, :5], normal(KEY, ids, (5,)))
