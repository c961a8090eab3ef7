"""Objectives against closed forms and the anchor values of an undecided discriminator."""

import math
from typing import get_args

import pytest
import torch
import torch.nn.functional as F

from ganvas.losses.objectives import ObjectiveName, objective

logits = torch.linspace(-6, 6, 25, dtype=torch.float64)


def test_cross_entropy_anchors():
    """At D = 1/2 the discriminator's sum is 2 ln 2 and the non-saturating generator's loss ln 2."""
    zero = torch.zeros(1, dtype=torch.float64)
    bce = objective("non-saturating")
    assert math.isclose((bce.real(zero) + bce.fake(zero)).item(), 2 * math.log(2))
    assert math.isclose(bce.generator(zero).item(), math.log(2))
    assert math.isclose(objective("minimax").generator(zero).item(), -math.log(2))


def test_cross_entropy_is_binary_cross_entropy():
    for name in ("minimax", "non-saturating"):
        loss = objective(name)
        one, zero = torch.ones_like(logits), torch.zeros_like(logits)
        bce = F.binary_cross_entropy_with_logits
        torch.testing.assert_close(loss.real(logits), bce(logits, one, reduction="none"))
        torch.testing.assert_close(loss.fake(logits), bce(logits, zero, reduction="none"))


def test_generator_gradients_vanish_only_with_minimax():
    """With D = sigmoid(a): minimax -sigma(a), non-saturating -(1 - sigma(a)) (Goodfellow et al. 2014, section 3)."""
    a = logits.clone().requires_grad_()
    (minimax,) = torch.autograd.grad(objective("minimax").generator(a).sum(), a)
    (saturating_free,) = torch.autograd.grad(objective("non-saturating").generator(a).sum(), a)
    torch.testing.assert_close(minimax, -torch.sigmoid(logits))
    torch.testing.assert_close(saturating_free, -(1 - torch.sigmoid(logits)))


def test_hinge_is_zero_beyond_the_margin():
    hinge = objective("hinge")
    far = torch.tensor([1.0, 1.5, 9.0])
    assert hinge.real(far).sum() == 0 and hinge.fake(-far).sum() == 0
    assert hinge.real(torch.tensor(0.25)) == 0.75 and hinge.fake(torch.tensor(0.25)) == 1.25
    assert hinge.generator(torch.tensor(0.25)) == -0.25


def test_least_squares_and_wasserstein():
    square, earth = objective("least-squares"), objective("wasserstein")
    torch.testing.assert_close(square.real(logits), (logits - 1) ** 2 / 2)
    torch.testing.assert_close(square.fake(logits), logits**2 / 2)
    torch.testing.assert_close(square.generator(logits), (logits - 1) ** 2 / 2)
    assert torch.equal(earth.real(logits), -logits) and torch.equal(earth.fake(logits), logits)
    assert torch.equal(earth.generator(logits), -logits)


@pytest.mark.parametrize("name", get_args(ObjectiveName))
def test_signs(name):
    """Raising a logit never hurts on real pictures or the generator's, never helps on fakes."""
    loss = objective(name)
    assert (loss.real(logits).diff() <= 1e-12).all() or name == "least-squares"
    assert (loss.fake(logits).diff() >= -1e-12).all() or name == "least-squares"
    small = torch.tensor([-0.1, 0.1])
    assert loss.real(small).diff() < 0 and loss.generator(small).diff() < 0
    assert name == "least-squares" or loss.fake(small).diff() > 0


def test_unknown_name():
    with pytest.raises(ValueError, match="no objective 'bce'; there are minimax, "):
        objective("bce")
