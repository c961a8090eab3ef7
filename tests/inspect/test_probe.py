"""Probing a discriminator: which activations are taken, against the layers themselves; accuracies that are known."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ganvas.discriminators import Condition
from ganvas.discriminators.conv import ConvDiscriminator
from ganvas.discriminators.resnet import ResNetDiscriminator
from ganvas.discriminators.unet import UNetDiscriminator
from ganvas.errors import UserError
from ganvas.inspect import activations, probe, randomised
from ganvas.nn.layers import Conv2d
from ganvas.nn.maxout import Maxout


def labelled(each=30, classes=3, side=16, seed=0):
    """Noise with classes that have nothing to do with it."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(classes).repeat(each)
    return torch.randn(len(labels), 1, side, side, generator=random).clamp(-1, 1), labels


def test_activations_are_the_convolutions_pooled_to_four_by_four():
    """Of DCGAN's discriminator, against its convolutions called one after the other; pooling against unfolding."""
    torch.manual_seed(0)
    network = ConvDiscriminator(32, width=4).train()
    images = torch.randn(37, 3, 32, 32)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = activations(network, images)
    expected, h = [], images
    with torch.no_grad():
        network.eval()
        for block in network.blocks:
            convolved = block[0](h)
            cell = convolved.shape[-1] // 4
            cells = convolved.unflatten(3, (4, cell)).unflatten(2, (4, cell))
            expected.append(cells.amax((3, 5)).flatten(1))
            h = F.leaky_relu(block(h), 0.2)
    torch.testing.assert_close(found, torch.cat(expected, 1))
    assert found.shape == (37, (4 + 8 + 16) * 16)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("kind", [UNetDiscriminator, ResNetDiscriminator])
def test_layers_that_are_folded_are_not_left_out(kind):
    """Every convolution gives its channels times 16 numbers, those that are only called folded in training too."""
    network = kind(32, width=4, classes=3).train()
    modes = [module.training for module in network.modules()]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    condition = Condition(vector=torch.zeros(5, 3))
    found = activations(network, torch.randn(5, 3, 32, 32), condition)
    channels = sum(layer.out_channels for layer in network.modules() if isinstance(layer, Conv2d))
    assert found.shape == (5, channels * 16)
    assert [module.training for module in network.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())  # spectral norms too
    assert not any(module._forward_hooks for module in network.modules())


def test_maps_smaller_than_the_grid_and_networks_without_convolutions():
    narrow = nn.Sequential(nn.Conv2d(1, 2, 8, 4), nn.Flatten(), nn.Linear(2 * 3 * 3, 1))

    class Wrapped(nn.Module):
        def __init__(self, network):
            super().__init__()
            self.network = network

        def forward(self, images, condition=None):
            return self.network(images)

    images = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(activations(Wrapped(narrow), images), narrow[0](images).detach().flatten(1))
    deep = nn.Sequential(nn.Flatten(), Maxout(256, 6, 3), nn.ReLU(), nn.Linear(6, 5), nn.Dropout(), nn.Linear(5, 1))
    found = activations(Wrapped(deep), images)
    first = deep[1](images.flatten(1)).detach()
    torch.testing.assert_close(found, torch.cat([first, deep[3](F.relu(first)).detach()], 1))
    with pytest.raises(UserError, match="neither convolutions nor linear layers"):
        activations(Wrapped(nn.Sequential(nn.Flatten(), nn.Linear(256, 1))), images)


def test_fresh_weights_have_the_variance_of_he():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(32, 64, 4), nn.BatchNorm2d(64), nn.GroupNorm(2, 64), nn.Linear(1024, 100))
    network[1].running_mean.fill_(7)
    for layer in network:
        nn.init.constant_(layer.bias, 3)
        nn.init.constant_(layer.weight, 3)
    fresh = randomised(network).requires_grad_(False)
    for kept, new in zip(network.parameters(), fresh.parameters(), strict=True):
        assert new is not kept and set(kept.flatten().tolist()) == {3} and not torch.equal(new, kept)
    for place, inputs in ((0, 32 * 16), (3, 1024)):
        assert float(fresh[place].weight.var()) == pytest.approx(2 / inputs, rel=0.03)
        assert abs(float(fresh[place].weight.mean())) < 1e-3 and float(fresh[place].bias.abs().max()) == 0
    assert float(fresh[1].running_mean.abs().max()) == 0 and float(fresh[1].weight.min()) == 1
    assert float(fresh[2].weight.max()) == 1
    assert torch.equal(randomised(network)[0].weight, fresh[0].weight)
    assert not torch.equal(randomised(network, seed=1)[0].weight, fresh[0].weight)


def test_a_discriminator_that_knows_the_class_is_told_from_one_that_does_not():
    """Pictures of noise with the class in one map: always right; the pixels, and weights that look past it, guess."""
    images, labels = labelled(each=60)

    class Sees(nn.Module):
        def __init__(self, useful):
            super().__init__()
            self.look = nn.Conv2d(1, 1, 1)
            self.useful = useful

        def forward(self, images, condition=None):
            mark = images[:, :, :1, :1] if self.useful else torch.zeros_like(images[:, :, :1, :1])
            return self.look(mark.expand(-1, -1, 16, 16))

    hidden = images.clone()
    hidden[:, 0, 0, 0] = 0.01 * (labels - 1)  # one pixel of 256, and a faint one
    found = probe(Sees(True), hidden, labels, per_class=10, seeds=range(4), fresh=Sees(False))
    assert found.trained.mean == 1.0
    assert found.random.mean == pytest.approx(1 / 3) and abs(found.pixels.mean - 1 / 3) < 0.12
    assert found.pixels.low < found.pixels.mean < found.pixels.high and found.pixels.n == 4
    assert (found.chance, found.features, found.per_class, found.tested) == (1 / 3, 16, 10, 150)


def test_shuffled_labels_are_guessed():
    """No leak from the labelled to the tested pictures: features of all kinds are worth nothing."""
    images, labels = labelled(each=100, classes=2)
    torch.manual_seed(0)
    found = probe(ConvDiscriminator(16, channels=1, width=4), images, labels, per_class=20, seeds=range(5))
    for value in (found.trained, found.random, found.pixels):
        assert abs(value.mean - 0.5) < 0.08


def test_labelled_and_tested_pictures_are_disjoint_and_drawn_by_seed():
    from ganvas.inspect.probe import _labelled

    classes = torch.tensor([0] * 7 + [4] * 9 + [2] * 5).numpy()
    first, again, other = (_labelled(classes, 3, seed) for seed in (0, 0, 1))
    assert first.tolist() == again.tolist() != other.tolist()
    assert len(set(first.tolist())) == 9 and sorted(classes[first].tolist()) == [0] * 3 + [2] * 3 + [4] * 3


def test_the_condition_reaches_the_discriminator_part_by_part():
    class Asked(nn.Module):
        def __init__(self):
            super().__init__()
            self.look = nn.Conv2d(1, 1, 1)
            self.given = []

        def forward(self, images, condition=None):
            self.given.append(condition.vector)
            return self.look(images)

    network = Asked()
    vector = torch.arange(45.0)[:, None]
    activations(network, torch.zeros(45, 1, 8, 8), Condition(vector=vector))
    assert torch.equal(torch.cat(network.given), vector) and len(network.given[0]) == 32


def test_what_cannot_be_probed(monkeypatch):
    images, labels = labelled(each=12)
    network = ConvDiscriminator(16, channels=1, width=4)
    for few in ({"per_class": 12}, {"per_class": 0}, {"per_class": 5, "seeds": ()}):
        with pytest.raises(UserError, match="need two or more classes with more pictures than that"):
            probe(network, images, labels, **few)
    with pytest.raises(UserError, match="not 1 with 36"):
        probe(network, images, labels * 0, per_class=5)
    monkeypatch.setitem(sys.modules, "sklearn.svm", None)
    with pytest.raises(UserError, match=r'pip install "ganvas\[analysis\]"'):
        probe(network, images, labels, per_class=5)
