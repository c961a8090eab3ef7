"""GAN-CLS' loss in `AdversarialLoss`, against algorithm 1 written out, and with what the discriminator sees once."""

import math

import pytest
import torch
import torch.nn.functional as F

from ganvas import UserError
from ganvas.discriminators import Condition, Verdict
from ganvas.discriminators.text import TextDiscriminator
from ganvas.losses import AdversarialLoss
from ganvas.nn.weights import reference_scope


class Matching(torch.nn.Module):
    """A logit that is the mean of the picture times the caption's one number."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.tensor(0.7))

    def forward(self, images, condition=None):
        return Verdict({"image": self.weight * images.mean((1, 2, 3)) * condition.vector[:, 0]})


class Indifferent(torch.nn.Module):
    """D = 1/2, whatever it is shown."""

    def forward(self, images, condition=None):
        return Verdict({"image": images.new_zeros(len(images))})


def given(count=6):
    real, fake = torch.randn(count, 3, 8, 8), torch.randn(count, 3, 8, 8)
    right, wrong = torch.randn(count, 1), torch.randn(count, 1)
    return real, fake, Condition(vector=right), Condition(vector=wrong)


def test_an_undecided_discriminator_loses_twice_ln_2():
    """s = (1/2, 1/2, 1/2), SPECS section 6: the weights of the three add up to 2."""
    terms = AdversarialLoss(Indifferent()).discriminator_terms(*given())
    assert float(sum(terms.values())) == pytest.approx(2 * math.log(2), rel=1e-6)


@pytest.mark.parametrize("weight", [0.5, 0.2, 1.0])
def test_the_loss_is_that_of_algorithm_1(weight):
    """-log s_r - (w log(1 - s_w) + (1 - w) log(1 - s_f)), written out with probabilities in float64."""
    discriminator = Matching()
    real, fake, right, wrong = given()
    terms = AdversarialLoss(discriminator, mismatched=weight).discriminator_terms(real, fake, right, wrong)
    with torch.no_grad():
        s_r, s_f, s_w = (
            torch.sigmoid(discriminator(images, condition).heads["image"].double())
            for images, condition in ((real, right), (fake, right), (real, wrong))
        )
    assert float(terms["mismatched_image"]) == pytest.approx(float(-weight * (1 - s_w).log().mean()), rel=1e-5)
    expected = -s_r.log().mean() - (1 - weight) * (1 - s_f).log().mean() - weight * (1 - s_w).log().mean()
    assert float(sum(terms.values())) == pytest.approx(float(expected), rel=1e-5)


def test_without_mismatched_pairs_the_fakes_weigh_one():
    real, fake, right, _ = given()
    discriminator = Matching()
    terms = AdversarialLoss(discriminator, mismatched=0.5).discriminator_terms(real, fake, right)
    logits = [discriminator(images, right).heads["image"] for images in (real, fake)]
    expected = F.softplus(-logits[0]).mean() + F.softplus(logits[1]).mean()
    assert terms.keys() == {"image"} and float(terms["image"]) == pytest.approx(float(expected), rel=1e-6)


def test_a_discriminator_that_ignores_captions_is_at_chance_between_pairs():
    """(real, matching) against (real, mismatched): the same logits, so one half of them is wrong at any threshold."""
    real, fake, right, wrong = given()
    blind = torch.nn.Module()
    blind.forward = lambda images, condition=None: Verdict({"image": images.mean((1, 2, 3))})
    loss = AdversarialLoss(blind)
    terms = loss.discriminator_terms(real, fake, right, wrong)
    logits = real.mean((1, 2, 3))
    assert float(terms["mismatched_image"]) == pytest.approx(float(0.5 * F.softplus(logits).mean()), rel=1e-6)


def test_seeing_the_real_pictures_once_changes_nothing():
    """Against three passes: value and gradients, in float64; the batch norms see the same batches."""
    torch.manual_seed(0)
    discriminator = TextDiscriminator(32, 5, width=4, text_units=6, text_norm=True, bias=True).double()
    for parameter in discriminator.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    real, fake = torch.randn(6, 3, 32, 32).double(), torch.randn(6, 3, 32, 32).double()
    right, wrong = (Condition(vector=torch.randn(6, 5).double()) for _ in range(2))
    loss = AdversarialLoss(discriminator)
    found = []
    for reference in (False, True):
        discriminator.zero_grad()
        if reference:
            with reference_scope():
                terms = loss.discriminator_terms(real, fake, right, wrong)
        else:
            terms = loss.discriminator_terms(real, fake, right, wrong)
        sum(terms.values()).backward()
        found.append([*terms.values(), *(p.grad for p in discriminator.parameters())])
    for once, thrice in zip(*found, strict=True):
        torch.testing.assert_close(once, thrice)


def test_no_gradient_reaches_the_fakes():
    real, fake, right, wrong = given()
    fake.requires_grad_()
    terms = AdversarialLoss(Matching()).discriminator_terms(real, fake, right, wrong)
    sum(terms.values()).backward()
    assert fake.grad is None


def test_impossible_shares_are_refused():
    with pytest.raises(UserError, match=r"mismatched is a share between 0 and 1, not 1\.5"):
        AdversarialLoss(Matching(), mismatched=1.5)
