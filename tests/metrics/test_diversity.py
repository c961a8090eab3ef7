"""The perceptual distance against loops over positions, and the pairs it is taken of."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.diversity import pair_indices, perceptual_distance


def stages(batch: int, seed: int) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(batch, c, h, w, generator=random) for c, h, w in ((4, 6, 5), (8, 3, 3), (16, 1, 2))]


def test_agrees_with_loops_over_positions() -> None:
    a, b = stages(3, 0), stages(3, 1)
    expected = np.zeros(3)
    for x, y in zip(a, b, strict=True):
        _, _, height, width = x.shape
        for row in range(height):
            for column in range(width):
                for i in range(3):
                    u, v = x[i, :, row, column].double().numpy(), y[i, :, row, column].double().numpy()
                    gap = u / np.linalg.norm(u) - v / np.linalg.norm(v)
                    expected[i] += (gap**2).sum() / (height * width)
    found = perceptual_distance(a, b)
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_closed_cases() -> None:
    """0 for equal, 2 a stage for orthogonal, 4 a stage for opposite vectors, whatever their lengths."""
    a = stages(2, 0)
    torch.testing.assert_close(perceptual_distance(a, [5 * x for x in a]), torch.zeros(2).double(), atol=1e-12, rtol=0)
    assert torch.equal(perceptual_distance(a, a), torch.zeros(2).double())
    right, up = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    right[:, 0], up[:, 2] = 3.0, 0.5
    assert perceptual_distance([right], [up]).tolist() == [2.0, 2.0]
    assert perceptual_distance([right, right], [up, -right]).tolist() == [6.0, 6.0]


def test_zero_vectors_stay_zero() -> None:
    """Where no unit fires: nothing between two of them, 1 to any other vector."""
    zero, one = torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    one[:, 1] = 7.0
    assert perceptual_distance([zero], [zero]).item() == 0
    assert perceptual_distance([zero], [one]).item() == 1


def test_symmetric_and_independent_of_the_batch() -> None:
    a, b = stages(7, 0), stages(7, 1)
    together = perceptual_distance(a, b)
    torch.testing.assert_close(perceptual_distance(b, a), together, rtol=1e-14, atol=0)
    alone = torch.cat([perceptual_distance([x[i : i + 1] for x in a], [y[i : i + 1] for y in b]) for i in range(7)])
    torch.testing.assert_close(alone, together, rtol=1e-12, atol=0)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_refuses_numbers_that_are_not_finite(bad: float) -> None:
    a, b = stages(2, 0), stages(2, 1)
    b[1][1, 3, 2, 2] = bad
    with pytest.raises(UserError, match="finite"):
        perceptual_distance(a, b)


def test_refuses_maps_that_do_not_match() -> None:
    a = stages(2, 0)
    uneven = [a[0], a[1][:1]]
    for b in ([], a[:2], stages(3, 0), [x.flip(0)[..., :1] for x in a]):
        with pytest.raises(UserError, match="same stages"):
            perceptual_distance(a, b)
    for x in ([], uneven):
        with pytest.raises(UserError, match="same stages"):
            perceptual_distance(x, x)


def test_pairs_are_distinct_and_ordered() -> None:
    found = pair_indices(50, 300, seed=1)
    assert found.shape == (300, 2) and found.dtype == torch.int64
    assert bool((found[:, 0] < found[:, 1]).all()) and found.min() >= 0 and found.max() < 50
    assert len({tuple(pair) for pair in found.tolist()}) == 300
    assert torch.equal(found, pair_indices(50, 300, seed=1))
    assert not torch.equal(found, pair_indices(50, 300, seed=2))


@pytest.mark.parametrize("n", [2, 3, 7])
def test_all_pairs_where_more_are_asked_for(n: int) -> None:
    every = {(i, j) for j in range(n) for i in range(j)}
    for pairs in (len(every), 10**6):
        found = pair_indices(n, pairs, seed=0).tolist()
        assert {tuple(pair) for pair in found} == every and len(found) == len(every)


def test_every_pair_is_as_likely() -> None:
    """4 of the 10 pairs of 5 pictures, 3,000 times: each 1,200 times, within 5 standard deviations."""
    counts = torch.zeros(5, 5)
    for seed in range(3000):
        for i, j in pair_indices(5, 4, seed).tolist():
            counts[i, j] += 1
    drawn = counts[counts > 0]
    assert len(drawn) == 10 and bool(((drawn - 1200).abs() < 5 * math.sqrt(3000 * 0.4 * 0.6)).all())


def test_pairs_of_very_many() -> None:
    """Whole numbers: square roots of floats would be off here."""
    found = pair_indices(10**9, 1000, seed=0)
    assert bool((found[:, 0] < found[:, 1]).all()) and found[:, 0].min() >= 0 and found.max() < 10**9


@pytest.mark.parametrize(("n", "pairs"), [(1, 5), (0, 5), (10, 0)])
def test_refuses_no_pair(n: int, pairs: int) -> None:
    with pytest.raises(UserError, match="at least one pair"):
        pair_indices(n, pairs, seed=0)
