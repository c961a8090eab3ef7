"""Penalties on discriminators whose gradient is known in closed form."""

import pytest
import torch
from torch import nn

from ganvas.discriminators import Verdict
from ganvas.losses.adversarial import AdversarialLoss
from ganvas.losses.penalties import gradient_penalty, zero_centred_penalty


class LinearDiscriminator(nn.Module):
    """D(x) = <w, x>, so that its gradient is w everywhere; `pixels` spreads the same score over a map."""

    def __init__(self, weight, pixels=False):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.pixels = pixels

    def forward(self, images, condition=None):
        score = (images * self.weight).sum((1, 2, 3))
        if self.pixels:
            return Verdict({"decoder": score[:, None, None, None].expand(-1, 1, *images.shape[2:])})
        return Verdict({"image": score})


weight = torch.randn(3, 4, 4)


@pytest.mark.parametrize("pixels", [False, True])
def test_linear_discriminator(pixels):
    discriminator = LinearDiscriminator(weight, pixels)
    real, fake = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    norm = weight.norm()
    torch.testing.assert_close(zero_centred_penalty(discriminator, real), norm**2 / 2)
    torch.testing.assert_close(gradient_penalty(discriminator, real, fake), (norm - 1) ** 2)


def test_gradient_reaches_the_weights():
    discriminator = LinearDiscriminator(weight.clone())
    zero_centred_penalty(discriminator, torch.randn(5, 3, 4, 4)).backward()
    torch.testing.assert_close(discriminator.weight.grad, weight)  # d(|w|^2 / 2) / dw


def test_lazy_penalties_are_weighted_by_the_interval():
    discriminator = LinearDiscriminator(weight.clone())
    loss = AdversarialLoss(discriminator, r1=0.3, r2=0.7, gradient_penalty=10.0, penalty_every=4)
    real, fake = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    due = [sorted(loss.discriminator_terms(real, fake)) for _ in range(9)]
    assert [len(names) for names in due] == [4, 1, 1, 1, 4, 1, 1, 1, 4]
    terms = loss.discriminator_terms(real, fake, step=8)
    square = weight.square().sum()
    torch.testing.assert_close(terms["r1"], 4 * 0.3 * square / 2)
    torch.testing.assert_close(terms["r2"], 4 * 0.7 * square / 2)
    torch.testing.assert_close(terms["gradient_penalty"], 4 * 10 * (square.sqrt() - 1) ** 2)


def test_r1_of_the_unet_against_finite_differences():
    """Double backward through folded convolutions and spectral norm, in float64."""
    from ganvas.discriminators.unet import UNetDiscriminator

    torch.manual_seed(0)
    discriminator = UNetDiscriminator(32, width=2).double().eval()
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    zero_centred_penalty(discriminator, images).backward()
    parameter = discriminator.encoder[1].conv2.weight
    direction = parameter.grad / parameter.grad.norm()
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            parameter += sign * 1e-7 * direction
        values.append(zero_centred_penalty(discriminator, images).item())
        with torch.no_grad():
            parameter -= sign * 1e-7 * direction
    slope = (values[0] - values[1]) / 2e-7
    assert slope == pytest.approx(parameter.grad.norm().item(), rel=1e-4)


def test_penalties_stay_in_float32_under_autocast():
    discriminator = LinearDiscriminator(weight.clone())
    with torch.autocast("cpu", torch.bfloat16):
        value = zero_centred_penalty(discriminator, torch.randn(2, 3, 4, 4).bfloat16())
    torch.testing.assert_close(value, weight.square().sum() / 2)
