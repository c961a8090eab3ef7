"""AdversarialLoss against the papers' formulas written out, and what it must not do."""

import doctest
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import ganvas.losses.adversarial as module
from ganvas.discriminators import Condition, Verdict
from ganvas.discriminators.unet import UNetDiscriminator
from ganvas.errors import UserError
from ganvas.losses.adversarial import AdversarialLoss
from ganvas.losses.cutmix import cutmix_mask, mix


class Pointwise(nn.Module):
    """A per-pixel head of 1x1 convolutions, which commutes with CutMix, and a head for the picture."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Tanh(), nn.Conv2d(8, 1, 1))

    def forward(self, images, condition=None):
        pixels = self.body(images)
        return Verdict({"encoder": pixels.sum((1, 2, 3)), "decoder": pixels})


def _pictures(batch=4, size=32):
    torch.manual_seed(3)
    return torch.rand(batch, 3, size, size) * 2 - 1, torch.rand(batch, 3, size, size) * 2 - 1


bce = F.binary_cross_entropy_with_logits


def test_example_in_the_docstring():
    assert doctest.testmod(module).failed == 0


def test_unet_losses_as_published():
    """Halved cross-entropy, one mean over pictures and one over pixels, added."""
    real, fake = _pictures()
    discriminator = UNetDiscriminator(32, width=2).eval()
    loss = AdversarialLoss(discriminator, discriminator_weight=0.5, generator_weight=0.5)
    on_real, on_fake = discriminator(real).heads, discriminator(fake).heads
    terms = loss.discriminator_terms(real, fake)
    assert set(terms) == {"encoder", "decoder"}
    for name in terms:
        r, f = on_real[name], on_fake[name]
        expected = 0.5 * (bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f)))
        torch.testing.assert_close(terms[name], expected, rtol=1e-4, atol=1e-5)
        expected = 0.5 * bce(f, torch.ones_like(f))
        torch.testing.assert_close(loss.generator_terms(fake)[name], expected, rtol=1e-4, atol=1e-5)


def test_cutmix_step_as_published():
    """Decoder's target is the mask, encoder's is fake, consistency is on logits and through both sides."""
    real, fake = _pictures()
    discriminator = UNetDiscriminator(32, width=2).eval()
    loss = AdversarialLoss(discriminator, cutmix=1.0, consistency=2.0)
    torch.manual_seed(5)
    terms = loss.discriminator_terms(real, fake)
    torch.manual_seed(5)
    torch.rand(())
    mask = cutmix_mask(4, 32, 32)
    heads = discriminator(mix(real, fake, mask)).heads
    d_real, d_fake = discriminator(real).heads["decoder"], discriminator(fake).heads["decoder"]
    target = mask * d_real + (1 - mask) * d_fake
    expected = {
        "cutmix_encoder": bce(heads["encoder"], torch.zeros(4)),
        "cutmix_decoder": bce(heads["decoder"], mask),
        "consistency": 2.0 * F.mse_loss(heads["decoder"], target),
    }
    assert set(terms) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=1e-5)
    weight = discriminator.pixel_head.weight
    (ours,) = torch.autograd.grad(terms["consistency"], weight)
    (theirs,) = torch.autograd.grad(expected["consistency"], weight)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-5)  # would differ if one side were detached


def test_consistency_of_a_pointwise_decoder_is_zero():
    real, fake = _pictures()
    terms = AdversarialLoss(Pointwise(), cutmix=1.0, consistency=1.0).discriminator_terms(real, fake)
    assert terms["consistency"] < 1e-12


def test_cutmix_probability_rises_and_steps_are_counted():
    real, fake = _pictures(2, 8)
    loss = AdversarialLoss(Pointwise(), cutmix=0.5, cutmix_warmup=400)
    torch.manual_seed(0)
    mixed = ["cutmix_decoder" in loss.discriminator_terms(real, fake) for _ in range(800)]
    assert not mixed[0]
    assert sum(mixed[:400]) == pytest.approx(100, abs=30) and sum(mixed[400:]) == pytest.approx(200, abs=40)
    assert loss.calls == 800 and list(loss.state_dict()) == ["calls"]
    again = ["cutmix_decoder" in loss.discriminator_terms(real, fake, step=0) for _ in range(50)]
    assert not any(again) and loss.calls == 800


def test_mode_add_keeps_the_ordinary_terms_and_warms_the_encoder_up():
    real, fake = _pictures(2, 8)
    loss = AdversarialLoss(Pointwise(), cutmix=1.0, cutmix_mode="add", cutmix_warmup=10, consistency=1.0)
    terms = []
    for step in (0, 5, 10, 50):
        torch.manual_seed(0)
        terms.append(loss.discriminator_terms(real, fake, step=step))
    assert set(terms[0]) == {"encoder", "decoder", "cutmix_encoder", "cutmix_decoder", "consistency"}
    full = terms[2]["cutmix_encoder"]
    for share, step in zip((0.0, 0.5, 1.0, 1.0), terms, strict=True):
        torch.testing.assert_close(step["cutmix_encoder"], share * full)
        torch.testing.assert_close(step["cutmix_decoder"], terms[0]["cutmix_decoder"])


def test_consistency_alone():
    real, fake = _pictures(2, 8)
    loss = AdversarialLoss(Pointwise(), cutmix=1.0, cutmix_loss=0.0, cutmix_mode="add", consistency=1.0)
    assert set(loss.discriminator_terms(real, fake)) == {"encoder", "decoder", "consistency"}


def test_no_gradient_reaches_the_generator_from_the_discriminators_loss():
    real, fake = _pictures()
    fake.requires_grad_()
    loss = AdversarialLoss(Pointwise(), cutmix=1.0, cutmix_mode="add", consistency=1.0)
    sum(loss.discriminator_terms(real, fake).values()).backward()
    assert fake.grad is None
    sum(loss.generator_terms(fake).values()).backward()
    assert fake.grad.abs().sum() > 0


def test_the_generator_never_sees_cutmix():
    _, fake = _pictures()
    assert set(AdversarialLoss(Pointwise(), cutmix=1.0).generator_terms(fake)) == {"encoder", "decoder"}


class WithBatchNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 1, 1))
        self.batches = []

    def forward(self, images, condition=None):
        self.batches.append(len(images))
        return Verdict({"image": self.body(images).mean((1, 2, 3))})


def test_batch_norm_sees_real_and_fake_apart():
    real, fake = _pictures()
    discriminator = WithBatchNorm()
    AdversarialLoss(discriminator).discriminator_terms(real, fake)
    assert discriminator.batches == [4, 4]


def test_conditions_go_with_their_pictures():
    real, fake = _pictures()
    discriminator = UNetDiscriminator(32, width=2, classes=3).eval()
    condition = Condition(vector=torch.eye(3)[[0, 1, 2, 1]])
    terms = AdversarialLoss(discriminator, "wasserstein").discriminator_terms(real, fake, condition)
    r, f = discriminator(real, condition).heads, discriminator(fake, condition).heads
    for name in terms:
        torch.testing.assert_close(terms[name], f[name].mean() - r[name].mean(), rtol=1e-4, atol=1e-4)


def test_relativistic_compares_pairs():
    real, fake = _pictures()
    discriminator = Pointwise()
    loss = AdversarialLoss(discriminator, "relativistic")
    difference = discriminator(real).heads["encoder"] - discriminator(fake).heads["encoder"]
    torch.testing.assert_close(
        loss.discriminator_terms(real, fake)["encoder"], F.softplus(-difference).mean(), rtol=1e-4, atol=1e-6
    )
    torch.testing.assert_close(
        loss.generator_terms(fake, real=real)["encoder"], F.softplus(difference).mean(), rtol=1e-4, atol=1e-6
    )
    same = loss.discriminator_terms(real, real)["encoder"].item()
    assert math.isclose(same, math.log(2), rel_tol=1e-6)
    with pytest.raises(ValueError, match="real=real"):
        loss.generator_terms(fake)


def test_augmentation_is_applied_to_every_picture_the_discriminator_sees():
    real, fake = _pictures(2, 8)
    seen = []

    def augment(images):
        seen.append(images)
        return images * 0

    class Record(Pointwise):
        def forward(self, images, condition=None):
            assert not images.any()
            return super().forward(images)

    loss = AdversarialLoss(Record(), augment=augment)
    loss.discriminator_terms(real, fake)
    loss.generator_terms(fake)
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cutmix": 1.5}, "between 0 and 1"),
        ({"cutmix_mode": "mix"}, "'replace' or 'add'"),
        ({"penalty_every": 0}, "from 1 up"),
        ({"objective": "relativistic", "cutmix": 0.5}, "one by one"),
        ({"consistency": 1.0}, "on CutMix pictures"),
    ],
)
def test_impossible_options(options, message):
    with pytest.raises(UserError, match=message):
        AdversarialLoss(Pointwise(), **options)


def test_unknown_objective():
    with pytest.raises(ValueError, match="no objective 'bce'"):
        AdversarialLoss(Pointwise(), "bce")


def test_cutmix_without_a_per_pixel_head_is_refused():
    real, fake = _pictures(2, 8)
    with pytest.raises(UserError, match="logit for every pixel"):
        AdversarialLoss(WithBatchNorm(), cutmix=1.0).discriminator_terms(real, fake)


def test_terms_are_float32_under_autocast():
    real, fake = _pictures()
    loss = AdversarialLoss(UNetDiscriminator(32, width=2), cutmix=1.0, consistency=1.0, r1=1.0)
    with torch.autocast("cpu", torch.bfloat16):
        terms = loss.discriminator_terms(real, fake)
    assert {term.dtype for term in terms.values()} == {torch.float32}
