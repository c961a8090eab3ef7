"""SRResNet and SRGAN against the counts, layers and equations of the paper."""

import dataclasses
import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganvas.errors import UserError
from ganvas.losses.options import Adversarial
from ganvas.losses.perceptual import VGG
from ganvas.systems import srgan
from ganvas.systems.srgan import SRGAN, Config, Generator, StridedDiscriminator, total_variation

SMALL = Config(size=32, width=4, blocks=2)


def count(network):
    return sum(p.numel() for p in network.parameters())


def small(**changes):
    torch.manual_seed(0)
    return SRGAN(dataclasses.replace(SMALL, **changes))


def pair(scale=4, channels=3, batch=2):
    generator = torch.Generator().manual_seed(1)
    return {
        "source": torch.rand(batch, channels, 32 // scale, 32 // scale, generator=generator) * 2 - 1,
        "image": torch.rand(batch, channels, 32, 32, generator=generator) * 2 - 1,
    }


def test_parameter_counts_are_those_of_the_handbook():
    """SPECS 4: convolutions with biases, one PReLU slope a layer; the discriminator at 96 px without before norms."""
    with torch.device("meta"):
        assert count(Generator(Config())) == 1_549_462
        assert count(StridedDiscriminator(96, channels=3, width=64)) == 23_563_649
        # leftthomas' port with 5 blocks and one slope a layer has 734,219: nothing else changes with B.
        assert count(Generator(Config(blocks=5))) == 734_219


def test_the_generator_is_figure_4():
    """Against a plain rewriting: small pictures in [0, 1], norm after each convolution of the trunk, two skips."""
    network = small().generator.double().eval()
    for module in network.modules():  # statistics other than 0 and 1, so that a missing norm shows
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    state = network.state_dict()

    def convolve(name, x, padding):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def normal(name, x):
        mean, var = (state[f"{name}.running_{which}"].view(1, -1, 1, 1) for which in ("mean", "var"))
        scaled = (x - mean) / (var + 1e-5).sqrt()
        return scaled * state[f"{name}.weight"].view(1, -1, 1, 1) + state[f"{name}.bias"].view(1, -1, 1, 1)

    def slope(name, x):
        return torch.where(x > 0, x, x * state[f"{name}.weight"])

    source = pair()["source"].double()
    first = h = slope("first.1", convolve("first.0", (source + 1) / 2, 4))
    for block in range(2):
        name = f"blocks.{block}.layers"
        inner = slope(f"{name}.2", normal(f"{name}.1", convolve(f"{name}.0", h, 1)))
        h = h + normal(f"{name}.4", convolve(f"{name}.3", inner, 1))
    h = first + normal("last.1", convolve("last.0", h, 1))
    for place in (0, 2):
        h = slope(f"raised.{place + 1}", F.pixel_shuffle(convolve(f"raised.{place}.0", h, 1), 2))
    torch.testing.assert_close(network(source), convolve("output", h, 4))


@pytest.mark.parametrize("upsample", ["subpixel", "resize", "transposed"])
@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_pictures_of_any_size_grow_by_exactly_the_scale(scale, upsample):
    system = small(size=48, scale=scale, upsample=upsample).eval()
    for height, width in ((1, 1), (1, 5), (7, 3), (19, 26)):
        found = system.translate(torch.zeros(1, 3, height, width), [0])
        assert found.shape == (1, 3, scale * height, scale * width)


def test_the_largest_of_the_sizes_asked_for():
    with torch.no_grad():
        found = small(scale=2, blocks=1).eval().translate(torch.zeros(1, 3, 191, 257), [0])
    assert found.shape == (1, 3, 382, 514)


def test_the_discriminator_takes_crops_of_any_size():
    for size in (16, 33, 50, 96):
        verdict = StridedDiscriminator(size, channels=3, width=2)(torch.randn(3, 3, size, size))
        assert verdict.heads["image"].shape == (3,) and len(verdict.features) == 8
    layers = StridedDiscriminator(96, channels=3, width=64).layers
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    assert [c.stride[0] for c in convolutions] == [1, 2] * 4
    assert [c.out_channels for c in convolutions] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [c.bias is not None for c in convolutions] == [True] + [False] * 7


def test_content_is_equation_4():
    """The normaliser is r^2 W H: squares of the three channels are summed."""
    system, batch = small(content_weight=3.0), pair()
    with torch.no_grad():
        terms = system.generator_loss(batch)
        fake = system.generator(batch["source"])
    expected = (fake - batch["image"]).square().sum() / (2 * 32 * 32)
    torch.testing.assert_close(terms["mse"], 3 * expected)


def test_l_gen_is_equation_6_with_its_weight():
    system, batch = small(), pair()
    with torch.no_grad():
        terms = system.generator_loss(batch)
        logits = system.discriminator(system.generator(batch["source"])).heads["image"]
    (name,) = terms.keys() - {"mse"}
    torch.testing.assert_close(terms[name], -1e-3 * torch.log(torch.sigmoid(logits)).mean())
    with torch.no_grad():
        found = sum(small().discriminator_loss(pair(), 0).values())
        real = system.discriminator(batch["image"]).heads["image"]
    expected = -torch.log(torch.sigmoid(real)).mean() - torch.log(1 - torch.sigmoid(logits)).mean()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "vgg19.pt"
    torch.save(VGG("vgg19").state_dict(), path)
    return path


@pytest.mark.parametrize("layer", [(2, 2), (5, 4)])
def test_content_of_features_is_equation_5(weights, layer):
    """Divided by 12.75 squared: times 0.00615, for which the paper's ports write 0.006."""
    system, batch = small(content="vgg", vgg_layer=layer, vgg_weights=weights), pair()
    with torch.no_grad():
        found = system.generator_loss(batch)["vgg"]
        fake, real = system.generator(batch["source"]), batch["image"]
        a, b = (VGG.load("vgg19", weights)(images, [layer])[0] for images in (fake, real))
    expected = 0.00615 * (a - b).square().sum() / (2 * a.shape[2] * a.shape[3])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=0)


def test_features_are_no_part_of_the_system(weights):
    """Neither learnt, nor saved, nor counted; and only the generator moves by them."""
    system = small(content="vgg", vgg_layer=(2, 2), vgg_weights=weights)
    assert set(system.optimizers()) == {"generator", "discriminator"}
    assert system.seen and not any("vgg" in key or "seen" in key for key in system.state_dict())
    system.generator_loss(pair())["vgg"].backward()
    assert all(p.grad is not None for p in system.generator.parameters())
    assert all(p.grad is None for p in system.features().parameters())


def test_total_variation_of_a_ramp():
    """A slope of 0.1 across and 0.2 down: the length of the gradient, over all places but the last row and column."""
    rows, columns = torch.arange(8.0), torch.arange(6.0)
    image = (0.2 * rows[:, None] + 0.1 * columns).expand(1, 3, 8, 6)
    inner, bottom, right = 7 * 5 * math.hypot(0.1, 0.2), 5 * 0.1, 7 * 0.2
    expected = 3 * (inner + bottom + right) / 48
    assert total_variation(image).item() == pytest.approx(expected, abs=1e-3)
    flat = torch.zeros(1, 3, 4, 4, requires_grad=True)
    total_variation(flat).backward()
    assert torch.equal(flat.grad, torch.zeros_like(flat))


def test_the_generator_is_run_once_a_step():
    system, batch, calls = small(), pair(), []
    system.generator.register_forward_hook(lambda *_: calls.append(1))
    for update in system.updates(0):
        sum(update.loss(batch).values()).backward()
    assert len(calls) == 1


def test_presets_are_the_columns_of_the_papers_table():
    presets = srgan.PRESETS
    table = {name: presets[name].config for name in presets if name.startswith(("srresnet-", "srgan-"))}
    content = {name: (config.content, config.vgg_layer) for name, config in table.items()}
    assert content["srresnet-vgg22"] == content["srgan-vgg22"] == ("vgg", (2, 2))
    assert content["srgan-vgg54"] == ("vgg", (5, 4))
    assert content["srresnet-mse"][0] == content["srgan-mse"][0] == "mse"
    for name, config in table.items():
        assert config.adversarial_weight == (1e-3 if name.startswith("srgan") else 0)
        assert config.total_variation == (2e-8 if name == "srresnet-vgg22" else 0)
        assert (config.blocks, config.size, config.scale, presets[name].training.batch) == (16, 96, 4, 16)
    system = SRGAN(table["srgan-mse"])
    optimizers = system.optimizers()
    rates = []
    for step in (0, 99_999, 100_000):
        system.schedule(step, optimizers)
        rates.append(optimizers["generator"].param_groups[0]["lr"])
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5]) and optimizers["generator"].defaults["betas"] == (0.9, 0.999)


@pytest.mark.parametrize("discriminator", ["unet", "patch", "conv", "resnet"])
def test_other_discriminators_judge_enlargements(discriminator):
    system, batch = small(discriminator=discriminator), pair()
    for update in system.updates(0):
        terms = update.loss(batch)
        assert all(term.isfinite() for term in terms.values())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 30}, "--size 30 is not a multiple of --scale 4"),
        ({"channels": 1}, "--source-channels"),
        ({"content_weight": 0.0, "adversarial_weight": 0.0}, "nothing to learn"),
        ({"content": "vgg", "vgg": "vgg16"}, "vgg16 has no convolution 5.4"),
        ({"adversarial_weight": 0.0, "adversarial": Adversarial(history=2)}, "no adversarial loss"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes, words):
    with pytest.raises(UserError, match=words):
        small(**changes)


def test_missing_weights_are_told_before_training(tmp_path):
    with pytest.raises(UserError, match="there is no file"):
        small(content="vgg", vgg_weights=tmp_path / "none.pt").optimizers()
    assert small(content="vgg", vgg_weights="none.pt").config.vgg_weights.is_absolute()
