"""BigGAN and U-Net GAN: parameter counts of the papers' settings, class conditions, spectral norms."""

import pytest
import torch

from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.nn.weights import SpectralNorm
from ganvas.systems import biggan, find_preset, unetgan


def counts(system, preset):
    with torch.device("meta"):
        built: System = {"biggan": biggan, "unetgan": unetgan}[system].SYSTEM(find_preset(system, preset).config)
    return tuple(sum(p.numel() for p in network.parameters()) for network in (built.generator, built.discriminator))


@pytest.mark.parametrize(
    ("system", "preset", "generator", "discriminator"),
    [
        ("biggan", "imagenet128", 70_433_988, 87_982_370),
        ("biggan", "ffhq256", 39_043_203, 43_401_409),
        ("biggan", "celeba128", 33_732_739, 38_419_137),
        ("biggan", "coco-animals128", 32_239_491, 38_429_377),
        # The published U-Net discriminators count 65 unused parameters more.
        ("unetgan", "ffhq256", 39_043_203, 44_067_651 - 65),
        ("unetgan", "celeba128", 33_732_739, 31_481_667 - 65),
        ("unetgan", "coco-animals128", 32_239_491, 31_492_547 - 65),
    ],
)
def test_parameter_counts(system, preset, generator, discriminator):
    assert counts(system, preset) == (generator, discriminator)


def test_unetgan_presets_have_the_published_values():
    presets = unetgan.PRESETS
    rates = {
        name: (
            presets[name].config.adam.generator_rate,
            presets[name].config.adam.discriminator_rate,
            presets[name].training.batch,
        )
        for name in ("ffhq256", "celeba128", "coco-animals128")
    }
    assert rates == {
        "ffhq256": (1e-4, 5e-4, 20), "celeba128": (5e-5, 2e-4, 50), "coco-animals128": (5e-5, 2e-4, 80)
    }  # fmt: skip
    for preset in (presets["ffhq256"], presets["celeba128"]):
        assert preset.config.adam.adam_eps == 1e-6 and preset.training.ema_start == 21_000
    assert (
        presets["coco-animals128"].config.adam.adam_eps == 1e-8 and presets["coco-animals128"].training.ema_start == 0
    )
    assert {preset.config.adversarial.consistency for preset in presets.values()} == {1.0}


def test_the_label_changes_the_picture_and_reaches_it_alone():
    torch.manual_seed(0)
    system = biggan.BigGAN(biggan.Config(size=32, width=4, latent=8, classes=3)).eval()
    with torch.no_grad():
        a = system.sample([0, 1], {"label": torch.tensor([0, 1])})
        b = system.sample([0, 1], {"label": torch.tensor([0, 2])})
    torch.testing.assert_close(a[0], b[0])
    assert (a[1] - b[1]).abs().max() > 1e-3


def test_hierarchical_latent_reaches_every_block():
    torch.manual_seed(0)
    config = biggan.Config(size=32, width=4, latent=16, classes=3, shared_embedding=8, attention=16)
    generator = biggan.BigGAN(config).generator
    z = torch.randn(4, 16, requires_grad=True)
    generator(z, torch.tensor([0, 1, 2, 0])).square().sum().backward()
    assert (z.grad.abs().sum(0) > 0).all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shared_embedding": 8}, "needs classes"),
        ({"shared_embedding": 8, "classes": 2, "latent": 9}, "multiple"),
        ({"attention": 50}, "resolution of .8, 16.: not 50"),
        ({"attention": 16, "width": 1}, "multiple of 8 channels"),
        ({"classes": "auto"}, "number of classes is not known"),
    ],
)
def test_impossible_settings(changes, message):
    with pytest.raises(UserError, match=message):
        biggan.BigGAN(biggan.Config(**({"size": 32, "width": 4} | changes)))


def test_cutmix_with_the_plain_discriminator_is_refused():
    with pytest.raises(UserError, match="CutMix needs the unet discriminator"):
        unetgan.UNetGAN(unetgan.Config(size=32, width=4, discriminator="resnet"))


def test_what_is_spectrally_normalised():
    """All convolutions and linear layers of both networks but the U-Net's last and the self-modulation."""
    system = unetgan.UNetGAN(unetgan.Config(size=32, width=4, latent=8))
    plain = []
    for name, module in system.named_modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear) and not isinstance(
            getattr(module, "norm", None), SpectralNorm
        ):
            plain.append(name)
    assert [name for name in plain if ".gain." not in name and ".bias." not in name] == ["discriminator.pixel_head"]
