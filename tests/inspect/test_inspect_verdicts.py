"""What a discriminator says and the numbers made of it, against closed cases, brute force and scipy."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from scipy import stats
from torch import nn

from ganvas.discriminators import Condition, Verdict
from ganvas.discriminators.resnet import ResNetDiscriminator
from ganvas.discriminators.unet import UNetDiscriminator
from ganvas.inspect.verdicts import disagreement, localisation, ranks, separation, verdicts
from ganvas.losses.cutmix import cutmix_mask


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("classes", [0, 3])
def test_the_heads_of_the_unet_without_a_trace_in_it(classes):
    """A forward pass in training mode would advance the power iterations, so the weights after would differ."""
    torch.manual_seed(0)
    network = UNetDiscriminator(32, width=4, classes=classes).train()
    network.decoder.eval()  # a mode of its own, which must be put back
    before, modes = state(network), [module.training for module in network.modules()]
    images = torch.rand(5, 3, 32, 32) * 2 - 1
    condition = Condition(vector=torch.eye(3)[[0, 1, 2, 0, 1]]) if classes else None
    encoder, decoder = verdicts(network, images, condition)
    assert (encoder.shape, decoder.shape) == ((5,), (5, 32, 32))
    assert not encoder.requires_grad and not decoder.requires_grad
    after = state(network)
    assert [name for name in before if not torch.equal(before[name], after[name])] == []
    assert [module.training for module in network.modules()] == modes
    assert all(parameter.grad is None for parameter in network.parameters())
    expected = network.eval()(images, condition).heads
    torch.testing.assert_close(encoder, expected["encoder"].detach())
    torch.testing.assert_close(decoder, expected["decoder"][:, 0].detach())
    again = verdicts(network, images, condition)
    assert torch.equal(again[0], encoder) and torch.equal(again[1], decoder)
    if classes:
        other = verdicts(network, images, Condition(vector=torch.eye(3)[[1, 2, 0, 1, 2]]))
        assert not torch.allclose(other[0], encoder) and not torch.allclose(other[1], decoder)


def test_a_discriminator_without_a_decoder_has_no_map():
    encoder, decoder = verdicts(ResNetDiscriminator(32, width=4), torch.zeros(2, 3, 32, 32))
    assert encoder.shape == (2,) and decoder is None


class Says(nn.Module):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, images, condition=None):
        return self.answer


def test_heads_are_told_apart_by_their_shape():
    """One picture of one pixel is where (B,) and (B, 1, H, W) are easiest to mix up; patches are neither."""
    patches = Verdict({"patch": torch.zeros(4, 1, 8, 8)})
    assert verdicts(Says(patches), torch.zeros(4, 3, 32, 32)) == (None, None)
    one = Verdict({"pixel": torch.full((1, 1, 1, 1), 2.0), "image": torch.full((1,), 3.0)})
    encoder, decoder = verdicts(Says(one), torch.zeros(1, 3, 1, 1))
    assert encoder.tolist() == [3.0] and decoder.tolist() == [[[2.0]]]
    with pytest.raises(TypeError, match="answers with a Tensor"):
        verdicts(Says(torch.zeros(4)), torch.zeros(4, 3, 8, 8))


def test_localisation_of_perfect_inverted_and_constant_maps():
    torch.manual_seed(0)
    mask = torch.cat([cutmix_mask(32, 16, 16), torch.ones(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)])
    signs = mask[:, 0] * 2 - 1
    assert localisation(3 * signs, mask).tolist() == [1.0] * 34
    assert localisation(-0.1 * signs, mask).tolist() == [0.0] * 34
    assert torch.equal(localisation(3 * signs, mask), localisation(3 * signs, mask[:, 0]))
    share = mask.mean((1, 2, 3))
    both = (share > 0) & (share < 1)
    assert 20 < both.sum() < 34
    # Real everywhere: the real class reaches its share, the fake class nothing.
    torch.testing.assert_close(localisation(torch.ones(34, 16, 16), mask)[both], share[both] / 2)
    torch.testing.assert_close(localisation(-torch.ones(34, 16, 16), mask)[both], (1 - share[both]) / 2)


def test_localisation_by_hand():
    """Mask: left half real. Predicted real: the left column and half of the next. 4 x 4 pixels."""
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :2] = 1
    logits = torch.full((1, 4, 4), -1.0)
    logits[0, :, 0] = 1
    logits[0, :2, 1] = 0.01
    logits[0, 0, 3] = 5
    # real: 6 of 8 + 1; fake: 7 of 8 + 2
    torch.testing.assert_close(localisation(logits, mask), torch.tensor([(6 / 9 + 7 / 10) / 2]))


def test_disagreement_against_scipy():
    generator = torch.Generator().manual_seed(0)
    encoder = torch.randn(60, generator=generator)
    decoder = torch.round(encoder + torch.randn(60, generator=generator), decimals=0) + 0.25  # many ties
    found = disagreement(encoder, decoder)
    assert found.n == 60
    opposite = sum((e > 0) != (d > 0) for e, d in zip(encoder.tolist(), decoder.tolist(), strict=True))
    assert found.share == opposite / 60 and 0 < found.share < 1
    assert found.pearson == pytest.approx(stats.pearsonr(encoder, decoder).statistic, abs=1e-6)
    assert found.spearman == pytest.approx(stats.spearmanr(encoder, decoder).statistic, abs=1e-12)


def test_disagreement_of_closed_cases():
    encoder = torch.tensor([-2.0, -1.0, 1.0, 2.0])
    same, reverse = disagreement(encoder, encoder**3), disagreement(encoder, -encoder)
    assert (same.share, same.spearman) == (0.0, pytest.approx(1)) and same.pearson < 1
    assert (reverse.share, reverse.pearson, reverse.spearman) == (1.0, pytest.approx(-1), pytest.approx(-1))
    # One third is not a binary fraction: its mean is not exactly itself.
    constant = disagreement(encoder, torch.full((4,), 1 / 3))
    assert constant.share == 0.5 and math.isnan(constant.pearson) and math.isnan(constant.spearman)


def test_ranks_with_ties():
    assert ranks(torch.tensor([3.0, 1.0, 3.0, -5.0, 3.0])).tolist() == [3.0, 1.0, 3.0, 0.0, 3.0]


def test_separation_against_every_pair():
    generator = torch.Generator().manual_seed(1)
    real, fake = torch.randn(17, generator=generator) + 0.5, torch.randn(23, generator=generator)
    real, fake = real.round(decimals=1), fake.round(decimals=1)  # ties
    pairs = [1.0 if r > f else 0.5 if r == f else 0.0 for r, f in itertools.product(real.tolist(), fake.tolist())]
    assert 0.5 in pairs
    assert separation(real, fake) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert separation(real, real - 100) == 1.0 and separation(real - 100, real) == 0.0
    assert separation(torch.zeros(3), torch.zeros(5)) == 0.5
