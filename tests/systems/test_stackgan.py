"""StackGAN against SPECS section 8: counts, conditioning augmentation in closed form, earlier stages."""

import math

import pytest
import torch
from PIL import Image

import ganvas
from ganvas import UserError, systems
from ganvas.engine.checkpoint import Checkpoints
from ganvas.systems.stackgan import ConditioningAugmentation, Config, StackGAN, kl_divergence

NARROW = {
    "latent": 8, "condition": 8, "width": 8, "discriminator_width": 8, "text_units": 8, "embedding": 12,
    "residual_blocks": 1,
}  # fmt: skip


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def small(**changes):
    torch.manual_seed(0)
    return StackGAN(Config(**NARROW | changes))


def test_parameters():
    """SPECS section 14: no convolution has a bias, the linear layers have one."""
    with torch.device("meta"):
        first, second = StackGAN(Config(embedding=1024)), StackGAN(Config(embedding=1024, sizes=(64, 256)))
    assert parameters(first.generator) == parameters(second.generator.stages[0]) == 14_264_192
    assert parameters(first.discriminator) == 4_029_824
    assert parameters(second.generator.stages[1]) == 26_290_080
    assert parameters(second.discriminator) == 48_603_520


def test_the_divergence_is_that_of_torch_distributions():
    mean, log_sigma = torch.randn(5, 7), torch.randn(5, 7)
    ours = kl_divergence(mean, log_sigma)
    normal = torch.distributions.Normal
    theirs = torch.distributions.kl_divergence(normal(mean, log_sigma.exp()), normal(torch.zeros(()), torch.ones(())))
    torch.testing.assert_close(ours, theirs.mean())
    assert kl_divergence(torch.zeros(2, 3), torch.zeros(2, 3)) == 0
    assert kl_divergence(torch.full((2, 3), 0.1), torch.zeros(2, 3)) > 0
    assert kl_divergence(torch.zeros(2, 3), torch.full((2, 3), -0.1)) > 0
    # sigma = e: (e^2 - 1) / 2 - 1
    assert float(kl_divergence(torch.zeros(1, 1), torch.ones(1, 1))) == pytest.approx((math.e**2 - 1) / 2 - 1)


def test_conditions_have_the_mean_and_variance_that_the_caption_gives():
    torch.manual_seed(0)
    layer = ConditioningAugmentation(12, Config(condition=4, embedding=12, condition_activation="none"))
    text = torch.randn(1, 12)
    mean, log_sigma = layer.layer(text).detach().chunk(2, 1)
    found, divergence = layer(text.expand(100_000, -1), torch.randn(100_000, 4))
    torch.testing.assert_close(found.mean(0, keepdim=True), mean, rtol=0, atol=0.02)
    torch.testing.assert_close(found.var(0, keepdim=True), (2 * log_sigma).exp(), rtol=0.03, atol=0)
    torch.testing.assert_close(divergence, kl_divergence(mean, log_sigma))


def test_without_augmentation_the_condition_is_a_function_of_the_caption():
    layer = ConditioningAugmentation(12, Config(condition=4, embedding=12, augment_condition=False))
    text = torch.randn(3, 12)
    first, divergence = layer(text, torch.randn(3, 4))
    assert torch.equal(first, layer(text, torch.randn(3, 4))[0]) and divergence == 0 and first.shape == (3, 4)


def test_the_published_activation_is_of_mean_and_log_sigma():
    layer = ConditioningAugmentation(12, Config(condition=4, embedding=12))
    text, epsilon = torch.randn(3, 12), torch.randn(3, 4)
    mean, log_sigma = torch.nn.functional.leaky_relu(layer.layer(text), 0.2).chunk(2, 1)
    torch.testing.assert_close(layer(text, epsilon)[0], mean + log_sigma.exp() * epsilon)


def test_the_divergence_is_a_term_of_the_generator_alone_with_its_weight():
    batch = {"image": torch.rand(4, 3, 32, 32), "text": torch.randn(4, 12)}
    system = small(sizes=(32,), kl_weight=2.0)
    assert "kl" not in system.discriminator_loss(batch, step=0)
    terms = system.generator_loss(batch)
    torch.testing.assert_close(terms["kl"], 2 * batch["kl"])
    assert "kl" not in small(sizes=(32,), augment_condition=False).generator_loss({**batch, "fake": batch["image"]})


def test_the_first_stage_gets_no_gradient_in_the_second():
    system = small(sizes=(32, 64))
    batch = {"image": torch.rand(4, 3, 64, 64), "text": torch.randn(4, 12)}
    frozen, learning = system.generator.stages
    before = {key: value.clone() for key, value in frozen.named_parameters()}
    optimizers = system.optimizers()
    assert not {id(p) for group in optimizers["generator"].param_groups for p in group["params"]} & {
        id(p) for p in frozen.parameters()
    }
    for update in system.updates(0):
        sum(update.loss(batch).values()).backward()
        optimizers[update.name].step()
    assert all(p.grad is None and not p.requires_grad for p in frozen.parameters())
    assert all(torch.equal(before[key], value) for key, value in frozen.named_parameters())
    assert all(p.grad is not None for p in learning.parameters())


def test_each_stage_draws_its_condition_anew():
    """Fresh noise for the second stage changes its picture, not the first's."""
    system = small(sizes=(32, 64)).eval()
    latents = torch.randn(1, 8 + 8 + 8).repeat(2, 1)
    latents[1, 16:] = torch.randn(8)
    drawn = []
    system.generator.stages[0].register_forward_hook(lambda module, given, found: drawn.append(found[0]))
    with torch.no_grad():
        pictures = system.from_latents(latents, {"text": torch.randn(1, 12).repeat(2, 1)})
    torch.testing.assert_close(drawn[0][0], drawn[0][1])
    assert not torch.allclose(pictures[0], pictures[1])


@pytest.fixture
def captioned(tmp_path, monkeypatch):
    """Eight pictures with embedded captions, no encoder needed."""
    import numpy as np

    monkeypatch.setenv("GANVAS_CACHE", str(tmp_path / "cache"))
    folder, random = tmp_path / "pictures", np.random.default_rng(0)
    folder.mkdir()
    for i in range(8):
        Image.fromarray(random.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / f"{i}.png")
    np.save(tmp_path / "captions.npy", random.standard_normal((8, 12)).astype(np.float32))
    return {"data": folder, "embeddings": tmp_path / "captions.npy", "device": "cpu", "precision": "fp32"}


def test_stages_are_trained_one_upon_another(captioned, tmp_path):
    """Two runs joined by init_from, and a third stage on both: what is frozen is bit for bit what was trained."""
    narrow = {"steps": 2}
    ganvas.train("stackgan", "smoke", out=tmp_path / "one", sizes=(32,), **narrow, **captioned)
    first = {"sizes": (32, 64), **narrow, **captioned}
    ganvas.train("stackgan", "smoke", out=tmp_path / "two", init_from=tmp_path / "one", **first)
    ganvas.train("stackgan", "smoke", out=tmp_path / "three", init_from=tmp_path / "two",
                 **first | {"sizes": (32, 64, 128)})  # fmt: skip
    runs = [Checkpoints(tmp_path / name / "checkpoints").load() for name in ("one", "two", "three")]
    averaged = [run.weights("average") for run in runs]
    names = {key for key, _ in small(sizes=(32,)).generator.named_parameters()}
    assert names
    for key in (f"generator.{name}" for name in names):
        assert torch.equal(averaged[0][key], averaged[1][key]) and torch.equal(averaged[0][key], averaged[2][key])
    assert torch.equal(runs[0].weights("system")["standing.scale"], runs[1].weights("system")["standing.scale"])
    assert ganvas.load(tmp_path / "three").sample(2).shape == (2, 3, 128, 128)


def test_a_later_stage_without_the_earlier_ones_is_refused(captioned, tmp_path):
    with pytest.raises(UserError, match="goes on from a run of the stages before it: give --init-from RUN"):
        ganvas.train("stackgan", "smoke-stage2", out=tmp_path / "two", **captioned)
    ganvas.train("stackgan", "smoke", out=tmp_path / "one", steps=1, **captioned)
    with pytest.raises(UserError, match=r"with the same settings: generator\.stages\.0"):
        ganvas.train("stackgan", "smoke-stage2", out=tmp_path / "other", condition=6,
                     init_from=tmp_path / "one", **captioned)  # fmt: skip


def test_stages_that_do_not_grow_are_refused():
    for sizes, said in (
        ((64, 32), "from the smallest pictures up"),
        ((), "from the smallest"),
        ((48,), "powers of two"),
    ):
        with pytest.raises(UserError, match=said):
            small(sizes=sizes)


def test_presets_name_their_stages():
    presets = systems.find("stackgan").PRESETS
    assert presets["cub256"].config.sizes == (64, 256) and presets["demo-stage3"].config.size == 128


def test_captions_of_another_length_are_refused(captioned, tmp_path):
    with pytest.raises(UserError, match="--embedding is 7 but the data has 12 numbers in an embedded caption"):
        ganvas.train("stackgan", "smoke", out=tmp_path / "one", embedding=7, **captioned)
