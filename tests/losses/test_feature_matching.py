"""Feature matching against the formula of DiscoGAN's published code, in float64."""

import pytest
import torch

from ganvas.discriminators.conv import ConvDiscriminator
from ganvas.errors import UserError
from ganvas.losses.adversarial import AdversarialLoss


@pytest.fixture
def network():
    torch.manual_seed(0)
    return ConvDiscriminator(32, width=4).double().eval()


def test_it_is_the_squared_difference_of_mean_features_summed_over_layers(network):
    real, fake = torch.rand(6, 3, 32, 32).double(), torch.rand(6, 3, 32, 32).double()
    loss = AdversarialLoss(network, feature_matching=0.9, first_matched=2, generator_weight=0.1)
    with torch.no_grad():
        terms = loss.generator_terms(fake, real=real)
        a, b = network(fake).features, network(real).features
        expected = sum(((x.mean(0) - y.mean(0)) ** 2).mean() for x, y in zip(a[1:], b[1:], strict=True))
        plain = AdversarialLoss(network).generator_terms(fake)["image"]
    torch.testing.assert_close(terms["feature_matching"], 0.9 * expected)
    torch.testing.assert_close(terms["image"], 0.1 * plain)
    assert terms["feature_matching"] > 0


def test_equal_pictures_match_and_the_gradient_reaches_the_generated_ones(network):
    real = torch.rand(4, 3, 32, 32).double()
    fake = (real + 0.1).requires_grad_()
    loss = AdversarialLoss(network, feature_matching=1.0)
    assert loss.generator_terms(real, real=real)["feature_matching"] == 0
    loss.generator_terms(fake, real=real)["feature_matching"].backward()
    assert fake.grad.abs().max() > 0


def test_a_relativistic_objective_can_match_features_too(network):
    real, fake = torch.rand(4, 3, 32, 32).double(), torch.rand(4, 3, 32, 32).double()
    terms = AdversarialLoss(network, "relativistic", feature_matching=1.0).generator_terms(fake, real=real)
    assert set(terms) == {"image", "feature_matching"}


def test_what_is_missing_is_said(network):
    fake = torch.rand(2, 3, 32, 32).double()
    with pytest.raises(ValueError, match="real=real"):
        AdversarialLoss(network, feature_matching=1.0).generator_terms(fake)
    with pytest.raises(UserError, match="the features of 3 layers"):
        AdversarialLoss(network, feature_matching=1.0, first_matched=9).generator_terms(fake, real=fake)
