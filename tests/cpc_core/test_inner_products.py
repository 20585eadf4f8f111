from __future__ import annotations

import torch

from cpc_core.objective.inner_products import inner_products
from tests.helpers.configs import kept_for_backward


def test_it_is_the_inner_product_with_each_named_key() -> None:
    queries, keys = torch.randn(2, 3, 4), torch.randn(7, 4)
    index = torch.randint(0, 7, (2, 3, 5))
    products = inner_products(queries, keys, index)
    for clip in range(2):
        for anchor in range(3):
            for draw in range(5):
                expected = torch.dot(queries[clip, anchor], keys[index[clip, anchor, draw]])
                torch.testing.assert_close(products[clip, anchor, draw], expected)


def test_gradients_are_finite_differences_where_keys_repeat() -> None:
    queries = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    index = torch.randint(0, 3, (2, 3, 6), generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda q, k: inner_products(q, k, index), (queries, keys))


def test_the_gathered_keys_are_not_kept() -> None:
    queries, keys = torch.randn(8, 4, requires_grad=True), torch.randn(9, 4, requires_grad=True)
    sizes = kept_for_backward(
        lambda: inner_products(queries, keys, torch.zeros(8, 100, dtype=torch.int64))
    )
    assert sorted(sizes) == sorted((queries.numel(), keys.numel(), 800))
