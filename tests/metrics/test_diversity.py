"""The perceptual distance against loops over positions, and the pairs it is taken of."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.diversity import perceptual_distance


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
