from __future__ import annotations

import torch
import torch.nn.functional as F

from cpc_core.objective.embedding import normalise


def test_it_is_normalize_and_so_is_its_gradient() -> None:
    x = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(normalise(x), F.normalize(x, dim=-1))
    assert torch.autograd.gradcheck(normalise, (x,))


def test_a_vector_of_nothing_stays_one() -> None:
    x = torch.zeros(2, 5, requires_grad=True)
    normalise(x).sum().backward()
    assert x.grad is not None
    assert not x.grad.any()
    assert not normalise(x).any()
