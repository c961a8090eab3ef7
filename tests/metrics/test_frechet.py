"""The Frechet distance against closed forms, other formulas and 60-digit arithmetic."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from ganvas.errors import UserError
from ganvas.metrics.checks import check_comparable, check_features
from ganvas.metrics.frechet import Moments, frechet_distance, moments

MANY = 10**6


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gaussian(mean: Tensor, covariance: Tensor) -> Moments:
    return Moments(mean, covariance, MANY)


def rotation(size: int, seed: int = 9) -> Tensor:
    return torch.linalg.qr(normal(size, size, seed=seed)).Q


def two_sets(dimensions: int = 12, n: int = 300) -> tuple[Tensor, Tensor]:
    mix = normal(dimensions, dimensions, seed=3)
    return normal(n, dimensions, seed=1) @ mix, normal(n, dimensions, seed=2) * 1.5 + 0.7


def test_moments_are_those_of_numpy() -> None:
    features = (normal(50, 7) * 3 + 100).to(torch.float32)
    found = moments(features)
    assert found.mean.dtype == found.covariance.dtype == torch.float64 and found.count == 50
    values = features.double().numpy()
    np.testing.assert_allclose(found.mean.numpy(), values.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance.numpy(), np.cov(values, rowvar=False), rtol=1e-10)


def test_closed_form_in_one_dimension() -> None:
    """(m_a - m_b)^2 + (s_a - s_b)^2."""
    a, b = gaussian(torch.tensor([1.0]), torch.tensor([[4.0]])), gaussian(torch.tensor([-2.0]), torch.tensor([[0.25]]))
    assert frechet_distance(a, b) == pytest.approx(3**2 + 1.5**2, rel=1e-14)


def test_closed_form_of_covariances_that_commute() -> None:
    """Diagonal, and the same turned: the sum of (root of l_a - root of l_b)^2 over shared directions."""
    la, lb = torch.rand(30, dtype=torch.float64) * 5, torch.rand(30, dtype=torch.float64)
    mean = normal(30)
    expected = (mean.square() + (la.sqrt() - lb.sqrt()).square()).sum().item()
    zero = torch.zeros(30, dtype=torch.float64)
    assert frechet_distance(gaussian(mean, la.diag()), gaussian(zero, lb.diag())) == pytest.approx(expected, rel=1e-12)
    q = rotation(30)
    turned = frechet_distance(gaussian(q @ mean, q @ la.diag() @ q.T), gaussian(zero, q @ lb.diag() @ q.T))
    assert turned == pytest.approx(expected, rel=1e-12)


def test_agrees_with_the_formula_by_sqrtm() -> None:
    """Against scipy's matrix root of C_a C_b, for random covariances that do not commute."""
    for seed in range(5):
        a, b = (normal(20, 30, seed=10 * seed + i) for i in range(2))
        ca, cb, gap = a @ a.T / 30, b @ b.T / 10, normal(20, seed=99 + seed)
        root = scipy.linalg.sqrtm((ca @ cb).numpy())
        expected = (gap.square().sum() + ca.trace() + cb.trace()).item() - 2 * np.trace(root).real
        found = frechet_distance(gaussian(gap, ca), gaussian(torch.zeros_like(gap), cb))
        assert found == pytest.approx(expected, rel=1e-9)


def test_agrees_with_torchmetrics() -> None:
    fid = pytest.importorskip("torchmetrics.image.fid")
    a, b = (moments(features) for features in two_sets())
    expected = fid._compute_fid(a.mean, a.covariance, b.mean, b.covariance).item()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("smallest", [1e-6, 1e-12, 1e-18, 1e-30])
def test_covariances_close_to_singular(smallest: float) -> None:
    """Full rank, in directions that do not agree: against eigenvalues in 60 digits, relative to the traces."""
    values = np.geomspace(1, smallest, 6)
    sides = [rotation(6, seed) @ torch.from_numpy(values).diag() @ rotation(6, seed).T for seed in (1, 2)]
    sides = [(side + side.T) / 2 for side in sides]
    with mpmath.workdps(60):
        ca, cb = (mpmath.matrix(side.tolist()) for side in sides)
        eigenvalues, vectors = mpmath.eigsy(ca)
        # Numbers of 16 digits cannot hold a positive definite matrix of every condition: cut off what they lose.
        root = vectors * mpmath.diag([mpmath.sqrt(max(value, 0)) for value in eigenvalues]) * vectors.T
        overlap = sum(mpmath.sqrt(max(value, 0)) for value in mpmath.eigsy(root * cb * root, eigvals_only=True))
        expected = float(sum(ca[i, i] + cb[i, i] for i in range(6)) - 2 * overlap)
    zero = torch.zeros(6, dtype=torch.float64)
    found = frechet_distance(gaussian(zero, sides[0]), gaussian(zero, sides[1]))
    assert abs(found - expected) < 1e-7 * 2 * values.sum()


def test_equal_and_close_to_singular_is_zero() -> None:
    """Roots of the eigenvalues of C_a C_b would give 1e-8 for each of 200 directions."""
    q = rotation(200)
    covariance = q @ torch.logspace(0, -17, 200, dtype=torch.float64).diag() @ q.T
    found = gaussian(torch.zeros(200, dtype=torch.float64), (covariance + covariance.T) / 2)
    assert frechet_distance(found, found) < 1e-12 * found.covariance.trace()


def test_symmetric_and_zero_for_equal() -> None:
    a, b = (moments(features) for features in two_sets())
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-12)
    assert 0 <= frechet_distance(a, a) < 1e-12 * a.covariance.trace()
    assert frechet_distance(a, b) > 1


def test_does_not_depend_on_order_place_or_direction() -> None:
    a, b = two_sets()
    expected = frechet_distance(moments(a), moments(b))
    order = torch.randperm(len(a), generator=torch.Generator().manual_seed(5))
    assert frechet_distance(moments(a[order]), moments(b.flip(0))) == pytest.approx(expected, rel=1e-10)
    shift, q = normal(12, seed=7) * 50, rotation(12)
    assert frechet_distance(moments(a + shift), moments(b + shift)) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(moments(a @ q), moments(b @ q)) == pytest.approx(expected, rel=1e-10)


def test_refuses_fewer_samples_than_a_covariance_needs() -> None:
    enough, few = moments(normal(11, 10)), moments(normal(10, 10, seed=1))
    assert frechet_distance(enough, enough) < 1e-9
    for pair in ((enough, few), (few, enough)):
        with pytest.raises(UserError, match=r"10 features needs at least 11 pictures.*not 10.*kernel distance"):
            frechet_distance(*pair)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_refuses_numbers_that_are_not_finite(bad: float) -> None:
    features = normal(40, 3)
    features[7, 1] = bad
    with pytest.raises(UserError, match="1 of 40"):
        moments(features)
    good = moments(normal(40, 3))
    spoiled = good.covariance.clone()
    spoiled[0, 0] = bad
    with pytest.raises(UserError, match="finite"):
        frechet_distance(good, Moments(good.mean, spoiled, 40))
    with pytest.raises(UserError, match="finite"):
        frechet_distance(Moments(good.mean + bad, good.covariance, 40), good)


def test_refuses_constants_other_dimensions_and_no_covariance() -> None:
    for dtype in (torch.float32, torch.float64):
        with pytest.raises(UserError, match="same for all 40"):
            moments(torch.full((40, 3), 0.1, dtype=dtype))
    rounded = torch.full((40, 3), 0.1) * (1 + torch.rand(40, 3) * 2**-23)
    with pytest.raises(UserError, match="same for all 40"):
        moments(rounded)
    with pytest.raises(UserError, match="at least 2"):
        moments(normal(1, 3))
    with pytest.raises(UserError, match="3 and of 4"):
        frechet_distance(moments(normal(40, 3)), moments(normal(40, 4)))
    with pytest.raises(UserError, match="negative"):
        zero = torch.zeros(2, dtype=torch.float64)
        frechet_distance(gaussian(zero, torch.diag(torch.tensor([1.0, -1.0]))), gaussian(zero, torch.eye(2)))


def test_constant_in_some_dimensions_is_allowed() -> None:
    """A unit of the network that never fires: it adds nothing."""
    a, b = two_sets()
    expected = frechet_distance(moments(a), moments(b))
    dead = torch.zeros(len(a), 3, dtype=torch.float64)
    found = frechet_distance(moments(torch.cat([a, dead], 1)), moments(torch.cat([b, dead], 1)))
    assert found == pytest.approx(expected, rel=1e-10)


def test_checks_can_let_constants_pass() -> None:
    check_features(torch.ones(5, 2), "ones", varied=False)
    check_comparable(torch.ones(5, 2), torch.ones(7, 2))
    with pytest.raises(UserError, match="ones are of 5 pictures, and at least 6"):
        check_features(torch.ones(5, 2), "ones", least=6, varied=False)
