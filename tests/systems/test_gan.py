"""GAN: parameter counts, published schedules and first weights, the two orders, the one-dimensional game."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

import ganvas
from ganvas.data import open_data
from ganvas.data.options import DataOptions
from ganvas.engine.system import Update
from ganvas.errors import UserError
from ganvas.nn.latent import FAKE
from ganvas.nn.maxout import Maxout
from ganvas.systems import find_preset, gan
from ganvas.viz.density import best_discriminator, density_picture, even_latents


def small(**changes):
    return dataclasses.replace(gan.PRESETS["smoke"].config, **changes)


def count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_parameter_counts_of_the_published_networks():
    """SPECS: MNIST generator and discriminator."""
    with torch.device("meta"):
        system = gan.GAN(find_preset("gan", "mnist").config)
    assert (count(system.generator), count(system.discriminator)) == (2_503_984, 1_231_441)


def test_published_settings():
    preset = find_preset("gan", "mnist")
    config, descent = preset.config, preset.config.descent
    assert (descent.rate, descent.rate_divisor, descent.least_rate) == (0.1, 1.000004, 1e-6)
    assert (descent.momentum, descent.final_momentum, descent.momentum_steps) == (0.5, 0.7, 250 * 500)
    assert (config.input_dropout, config.hidden_dropout) == (0.2, 0.5)  # 0.8 and 0.5 are kept
    assert config.order == "simultaneous" and preset.training.batch == 100
    assert gan.GAN(config).prior.scale == pytest.approx(3**0.5)


def test_maxout_takes_the_largest_piece_of_each_unit():
    layer = Maxout(3, 2, 4)
    x = torch.randn(5, 3)
    every = nn.functional.linear(x, layer.weight, layer.bias)
    for unit in range(2):
        torch.testing.assert_close(layer(x)[:, unit], every[:, 4 * unit : 4 * unit + 4].max(1).values)


def test_first_weights():
    system = gan.GAN(find_preset("gan", "mnist").config)
    for network, size in ((system.generator, 0.05), (system.discriminator, 0.005)):
        for layer in network.modules():
            if isinstance(layer, nn.Linear):
                weight, bias = layer.weight.detach(), layer.bias.detach()
                assert 0.95 * size < float(weight.abs().max()) <= size and float(bias.abs().max()) == 0


def test_the_generator_starts_from_the_mean_picture():
    """With weights of 0 the first picture is the mean of the data, in [-1, 1]."""
    system = gan.GAN(small(size=32))
    images = torch.rand(10, 4, 3, 32, 32) * 1.6 - 0.9
    system.begin({"image": batch} for batch in images)
    for layer in system.generator.modules():
        if isinstance(layer, nn.Linear):
            nn.init.zeros_(layer.weight)
    picture = system.sample([0], {})[0]
    torch.testing.assert_close(picture, images.flatten(0, 1).mean(0), rtol=1e-4, atol=1e-4)
    black = torch.full((2, 3, 32, 32), -1.0)  # a pixel that never changes has no finite logit
    system.begin([{"image": black}])
    assert system.generator.output.bias.isfinite().all()


def test_simultaneous_updates_share_their_noise_and_alternating_ones_do_not():
    batch = {"image": torch.randn(4, 3, 32, 32)}
    system = gan.GAN(small())
    ((discriminator, generator),) = system.updates(0)
    assert isinstance(discriminator, Update)
    discriminator.loss(batch)
    fake = batch[FAKE]
    generator.loss(batch)
    assert batch[FAKE] is fake and fake.requires_grad
    system = gan.GAN(small(order="alternating", discriminator_steps=3))
    discriminator, generator = system.updates(0)
    assert (discriminator.repeats, generator.repeats) == (3, 1)
    batch = {"image": torch.randn(4, 3, 32, 32)}
    discriminator.loss(batch)
    assert FAKE not in batch


def test_the_reused_fakes_give_the_generator_the_gradient_of_fresh_ones():
    """Against a second forward pass on the same latents, in float64."""
    torch.manual_seed(0)
    system = gan.GAN(small(hidden_dropout=0.0, input_dropout=0.0)).double()
    batch = {"image": torch.randn(4, 3, 32, 32, dtype=torch.float64)}
    parameters = list(system.generator.parameters())
    system.generator.requires_grad_(False)
    torch.manual_seed(1)
    z = system.prior.draw(4)
    torch.manual_seed(1)
    system.generator.double()
    original = system.prior.draw
    object.__setattr__(system.prior, "draw", lambda count, device: original(count, device).double())
    system.discriminator_loss(batch, 0)["image"].backward()
    assert all(parameter.grad is None for parameter in parameters)
    system.generator.requires_grad_(True)
    system.discriminator.zero_grad()
    reused = torch.autograd.grad(system.generator_loss(batch)["image"], parameters)
    loss = system.adversarial.generator_terms(system.generator(z.double(), None))["image"]
    for a, b in zip(reused, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_the_discriminators_loss_is_halved_and_the_generators_is_not():
    """At chance, logit 0: the halved sum of two cross-entropies is log 2, and so is the generator's."""
    system = gan.GAN(small())
    nn.init.zeros_(system.discriminator.output.weight)
    nn.init.zeros_(system.discriminator.output.bias)
    batch = {"image": torch.randn(4, 3, 32, 32)}
    assert float(system.discriminator_loss(batch, 0)["image"]) == pytest.approx(np.log(2), rel=1e-6)
    assert float(system.generator_loss(batch)["image"]) == pytest.approx(np.log(2), rel=1e-6)


def test_dropout_is_active_in_the_discriminator_whoever_learns():
    system = gan.GAN(small()).train()
    fake = torch.randn(4, 3, 32, 32)
    losses = {float(system.adversarial.generator_terms(fake)["image"]) for _ in range(8)}
    assert len(losses) > 1
    system.eval()
    assert len({float(system.adversarial.generator_terms(fake)["image"]) for _ in range(3)}) == 1


def test_dropout_keeps_the_mean():
    """Inverted dropout: what is kept is scaled by 1 / 0.8 and 1 / 0.5."""
    config = small(maxout_units=(), input_dropout=0.2)
    network = gan.MaxoutDiscriminator(config).train()
    nn.init.constant_(network.output.weight, 1 / 3072)
    nn.init.zeros_(network.output.bias)
    torch.manual_seed(0)
    logits = network(torch.ones(2000, 3, 32, 32)).heads["image"]
    assert float(logits.mean()) == pytest.approx(1.0, abs=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator_activations": ("relu",)}, "1 activations for 2"),
        ({"discriminator_steps": 2}, "--order alternating"),
        ({"optimizer": "adam", "descent": gan.Descent(rate=1.0)}, "--rate"),
        ({"discriminator": "unet", "size": 28}, "32 px or more, not of 28"),
        ({"discriminator": "conv", "size": 28}, "power of two"),
        ({"adversarial": gan.Adversarial(cutmix=0.5)}, "needs the unet discriminator"),
    ],
)
def test_impossible_settings(changes, message):
    with pytest.raises(UserError, match=message):
        gan.GAN(small(**changes))


def test_the_best_discriminator_is_the_ratio_of_the_densities():
    real, fake = torch.tensor([0.3, 0.0, 0.0, 1e-320]), torch.tensor([0.1, 0.2, 0.0, 0.0])
    torch.testing.assert_close(
        best_discriminator(real.double(), fake.double()).float(), torch.tensor([0.75, 0.0, 0.5, 0.5]), atol=1e-6, rtol=0
    )


def test_even_latents_are_the_priors_quantiles():
    """Against the closed forms: the middle is the mean, and a uniform prior's are equally spaced."""
    uniform = even_latents(gan.Prior(1, "uniform", 2.0, 1.0), 5).flatten()
    torch.testing.assert_close(uniform, torch.tensor([-0.6, 0.2, 1.0, 1.8, 2.6]))
    normal = even_latents(gan.Prior(1), 1001).flatten()
    assert abs(float(normal[500])) < 1e-6 and float(normal.std()) == pytest.approx(1.0, abs=0.01)


def test_the_game_of_figure_1_is_drawn_and_its_samples_are_numbers(tmp_path):
    run = ganvas.train(
        "gan", "density1d", data="normal1d", out=tmp_path / "run", steps=20, grid_every=10, checkpoint_every=20,
        device="cpu",
    )  # fmt: skip
    pictures = sorted(path.name for path in (tmp_path / "run" / "samples").iterdir())
    assert pictures == [f"step-{step:08d}.png" for step in (0, 10, 20)]
    assert run.sample(5, seed=3).shape == (5, 1, 1, 1)
    run.save_samples(tmp_path / "numbers.csv", 5, seed=3)
    numbers = np.loadtxt(tmp_path / "numbers.csv", delimiter=",", ndmin=2)
    np.testing.assert_allclose(numbers, run.sample(5, seed=3).flatten(1).numpy(), rtol=1e-6)
    with pytest.raises(UserError, match=r"numbers, not pictures.*\.csv"):
        run.save_samples(tmp_path / "numbers.png", 5)


def test_the_drawn_densities_are_right():
    """A linear generator of a normal latent makes a normal density: the picture is that of equal densities."""
    data = open_data("normal1d", DataOptions(), size=1, channels=1)

    class Linear(nn.Module):
        def __init__(self, mean, deviation):
            super().__init__()
            self.at = nn.Parameter(torch.tensor([mean, deviation]))

        def forward(self, z, label):
            return (self.at[0] + self.at[1] * z)[:, :, None, None]

    discriminator = gan.MaxoutDiscriminator(find_preset("gan", "density1d").config)
    same = density_picture(Linear(4.0, 0.5), discriminator, gan.Prior(1), data)
    other = density_picture(Linear(2.0, 0.5), discriminator, gan.Prior(1), data)
    assert same.shape == (480, 640, 3)
    red = lambda picture: ((picture[..., 0] > 180) & (picture[..., 1] < 110) & (picture[..., 2] < 110)).sum(1)  # noqa: E731
    # Where the densities are equal the best discriminator says 1/2 wherever there is data: one row holds its line.
    assert red(same[60:]).max() > 100
    assert (same != other).any()
