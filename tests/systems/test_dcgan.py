"""DCGAN: parameter counts, and each of the paper's rules as it can be switched off."""

import dataclasses

import pytest
import torch
from torch import nn

from ganvas.discriminators import Condition
from ganvas.discriminators.conv import ConvDiscriminator, conv_widths
from ganvas.errors import UserError
from ganvas.nn.latent import FAKE
from ganvas.systems import dcgan, find_preset


def small(**changes):
    return dcgan.DCGAN(dataclasses.replace(dcgan.PRESETS["smoke"].config, **changes))


def kinds(network, kind):
    return [module for module in network.modules() if isinstance(module, kind)]


@pytest.mark.parametrize(
    ("preset", "generator", "discriminator"),
    [("lsun64", 18_885_760, 17_232_768), ("faces64", 18_885_760, 17_232_768), ("common64", 3_576_704, 2_765_568)],
)
def test_parameter_counts(preset, generator, discriminator):
    """SPECS: the published 5x5 networks and the common 4x4 ones."""
    with torch.device("meta"):
        system = dcgan.DCGAN(find_preset("dcgan", preset).config)
    counts = [sum(p.numel() for p in network.parameters()) for network in (system.generator, system.discriminator)]
    assert counts == [generator, discriminator]


def test_published_settings():
    preset = find_preset("dcgan", "faces64")
    adam = preset.config.adam
    assert (adam.generator_rate, adam.discriminator_rate, adam.beta1, adam.beta2) == (2e-4, 2e-4, 0.5, 0.999)
    assert adam.weight_decay == 1e-5 and preset.config.in_turn and preset.training.batch == 128
    assert not preset.data.flip  # no augmentation
    prior = dcgan.DCGAN(dataclasses.replace(preset.config, size=32, width=4)).prior
    assert (prior.kind, prior.scale, prior.centre, prior.dim) == ("uniform", 1.0, 0.0, 100)


@pytest.mark.parametrize("size", [32, 64, 128, 256])
@pytest.mark.parametrize("kernel", [4, 5])
@pytest.mark.parametrize("method", ["transposed", "resize", "subpixel"])
def test_any_power_of_two(size, kernel, method):
    system = small(size=size, kernel=kernel, width=2, upsample=method).eval()
    with torch.no_grad():
        picture = system.sample([0], {})
        assert picture.shape == (1, 3, size, size)
        assert system.discriminator(picture, None).heads["image"].shape == (1,)
    assert conv_widths(size, 1) == [1, 2, 4, 8, 16, 16][: size.bit_length() - 3]


@pytest.mark.parametrize("size", [33, 48, 16])
def test_other_sizes_are_refused(size):
    with pytest.raises((UserError, ValueError), match=r"power of two|greater than or equal to 32"):
        small(size=size)


def test_batch_norm_is_absent_where_the_paper_says():
    """Not at the generator's output, not at the discriminator's input."""
    system = small()
    generator, discriminator = system.generator, system.discriminator
    assert not isinstance(generator.layers[-1], nn.BatchNorm2d)
    assert not kinds(discriminator.blocks[0], nn.BatchNorm2d)
    assert all(kinds(block, nn.BatchNorm2d) for block in discriminator.blocks[1:])
    everywhere = small(batch_norm="all")
    assert isinstance(everywhere.generator.layers[-1], nn.BatchNorm2d)
    assert all(kinds(block, nn.BatchNorm2d) for block in everywhere.discriminator.blocks)
    nowhere = small(batch_norm="none")
    assert not kinds(nowhere, nn.modules.batchnorm._BatchNorm)
    convolutions = [*kinds(nowhere, nn.Conv2d), *kinds(nowhere, nn.ConvTranspose2d)]
    assert all(convolution.bias is not None for convolution in convolutions)


def test_pooling_in_place_of_strides():
    assert not kinds(small().discriminator, nn.MaxPool2d)
    pooled = small(downsample="pool").discriminator
    assert len(kinds(pooled, nn.MaxPool2d)) == 3
    assert {convolution.stride for convolution in kinds(pooled, nn.Conv2d)} == {(1, 1)}
    assert pooled(torch.randn(2, 3, 32, 32), None).features[-1].shape[2:] == (4, 4)


def test_fully_connected_hidden_layers_and_average_pooling():
    assert small().generator.hidden is None and small().discriminator.hidden is None
    system = small(hidden=24)
    assert system.generator.hidden[0].out_features == 24 and system.discriminator.hidden.out_features == 24
    average = small(head="average").discriminator
    assert average.head.in_features == 16 and small().discriminator.head.in_features == 16 * 16
    verdict = average.eval()(torch.randn(2, 3, 32, 32), None)
    means = verdict.features[-1].mean((2, 3))
    torch.testing.assert_close(verdict.heads["image"], (means @ average.head.weight.T).squeeze(1))


def test_activations():
    assert kinds(small().generator, nn.ReLU) and not kinds(small().generator, nn.LeakyReLU)
    assert kinds(small(generator_activation="tanh").generator, nn.Tanh)
    x = torch.randn(4, 3, 32, 32)
    leaky, cut = (small(discriminator_activation=name).discriminator(x, None) for name in ("leaky-relu", "relu"))
    assert min(float(feature.min()) for feature in leaky.features) < 0
    assert min(float(feature.min()) for feature in cut.features) == 0


def test_the_published_start_normalises_units_and_the_common_one_maps():
    assert small(kernel=5).generator.norm.num_features == 16 * 4 * 4
    assert small(kernel=4).generator.norm.num_features == 16


def test_in_turn_one_network_a_step_the_generator_first():
    """Published code: even updates move the generator, odd ones the discriminator."""
    system = small(in_turn=True)
    assert [[update.name for update in system.updates(step)] for step in range(3)] == [
        ["generator"], ["discriminator"], ["generator"]
    ]  # fmt: skip
    assert [update.name for update in small().updates(1)] == ["discriminator", "generator"]


def test_both_updates_of_a_step_see_the_same_fakes():
    system, batch = small(), {"image": torch.randn(4, 3, 32, 32)}
    system.generator.requires_grad_(False)
    system.discriminator_loss(batch, 0)
    assert not any(parameter.requires_grad for parameter in system.generator.parameters())  # as it was
    fake = batch[FAKE]
    passes = []
    system.generator.register_forward_hook(lambda *args: passes.append(1))
    system.generator.requires_grad_(True)
    loss = system.generator_loss(batch)["image"]
    assert batch[FAKE] is fake and not passes  # no second pass
    gradients = torch.autograd.grad(loss, list(system.generator.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)


def test_the_losses_at_chance():
    """The discriminator's is the sum of two means, 2 log 2, not halved; the generator's log 2."""
    system = small()
    nn.init.zeros_(system.discriminator.head.weight)
    batch = {"image": torch.randn(4, 3, 32, 32)}
    assert float(system.discriminator_loss(batch, 0)["image"]) == pytest.approx(1.386294, abs=1e-5)
    assert float(system.generator_loss(batch)["image"]) == pytest.approx(0.693147, abs=1e-5)


def test_the_discriminator_by_hand():
    """Two blocks' worth of plain PyTorch with the same weights."""
    torch.manual_seed(0)
    network = ConvDiscriminator(16, channels=1, width=2, classes=3).eval()
    x, label = torch.randn(2, 1, 16, 16), torch.eye(3)[:2]
    first, second = network.blocks
    h = nn.functional.leaky_relu(nn.functional.conv2d(x, first[0].weight, None, 2, 1), 0.2)
    h = nn.functional.conv2d(h, second[0].weight, None, 2, 1) / (1 + 1e-5) ** 0.5 * second[1].weight[:, None, None]
    h = nn.functional.leaky_relu(h + second[1].bias[:, None, None], 0.2).flatten(1)
    expected = h @ network.head.weight[0] + (h * (label @ network.projection.weight.T)).sum(1)
    torch.testing.assert_close(network(x, Condition(vector=label)).heads["image"], expected, rtol=1e-4, atol=1e-6)
