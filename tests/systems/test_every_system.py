"""What every system must do, found by its file: nobody has to remember to add a test."""

import dataclasses

import pytest
import torch

from ganvas import systems
from ganvas.engine.system import Update
from ganvas.nn.weights import update_scope

NAMES = systems.names()


def smoke(name, **changes):
    """A system in its smallest preset, with its own discriminator or what `changes` say."""
    module = systems.find(name)
    torch.manual_seed(0)
    return module.SYSTEM(dataclasses.replace(module.PRESETS["smoke"].config, **changes))


def batch_for(system, count=4):
    size, channels = system.config.size, system.config.channels
    batch = {"image": torch.rand(count, channels, size, size) * 2 - 1}
    if "label" in system.needs:
        batch["label"] = torch.arange(count) % system.config.classes
    assert system.needs <= set(batch)
    return batch


def groups(system, step=0):
    return [group if isinstance(group, tuple) else (group,) for group in system.updates(step)]


def variants():
    """Every system as it is, with classes, and with the U-Net discriminator, where it has the setting."""
    for name in NAMES:
        module = systems.find(name)
        config = module.PRESETS["smoke"].config
        fields = {field.name for field in dataclasses.fields(config)}
        yield name, {}
        if "classes" in fields and not config.classes:
            yield name, {"classes": 3}
        if "discriminator" in fields:
            yield name, {"discriminator": "unet", "cutmix": 1.0, "consistency": 1.0}
            yield name, {"discriminator": "resnet", "cutmix": 0.0, "consistency": 0.0, "objective": "hinge"}


@pytest.mark.parametrize(("name", "changes"), list(variants()))
def test_updates_are_finite_and_move_their_networks_and_no_others(name, changes):
    system = smoke(name, **changes)
    optimizers = system.optimizers()
    batch = batch_for(system)
    for step in range(2):
        for group in groups(system, step):
            for update in group:
                assert isinstance(update, Update)
                before = {key: value.clone() for key, value in system.named_parameters()}
                moving = {id(p) for network in update.networks for p in network.parameters()}
                for parameter in system.parameters():
                    parameter.requires_grad_(id(parameter) in moving)
                    parameter.grad = None
                with update_scope():
                    terms = update.loss(batch)
                    assert terms and all(term.shape == () and term.isfinite() for term in terms.values())
                    sum(terms.values()).backward()
                optimizers[update.name].step()
                for key, parameter in system.named_parameters():
                    changed = not torch.equal(before[key], parameter)
                    if id(parameter) not in moving:
                        assert not changed, f"{update.name} moved {key}"
                assert any(not torch.equal(before[k], p) for k, p in system.named_parameters() if id(p) in moving)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_of_an_update_gets_a_gradient(name):
    """A part that is built and never used would be carried around in every checkpoint."""
    system = smoke(name)
    reached = set()
    for step in range(3):
        for group in groups(system, step):
            for update in group:
                for parameter in system.parameters():
                    parameter.grad = None
                sum(update.loss(batch_for(system)).values()).backward()
                reached |= {key for key, parameter in system.named_parameters() if parameter.grad is not None}
    assert reached == {key for key, _ in system.named_parameters()}


@pytest.mark.parametrize(("name", "changes"), list(variants()))
def test_a_picture_depends_on_its_seed_alone(name, changes):
    system = smoke(name, **changes).eval()
    with torch.no_grad():
        system.prepare_sampling()
        system.eval()
        many = system.sample(range(6), {})
        one = system.sample([4], {})
    size, channels = system.config.size, system.config.channels
    assert many.shape == (6, channels, size, size) and many.dtype == torch.float32
    assert many.abs().max() <= 1
    torch.testing.assert_close(many[4:5], one, rtol=1e-4, atol=1e-5)
    assert (many[0] - many[1]).abs().max() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_truncation_narrows_the_pictures(name):
    system = smoke(name).eval()
    with torch.no_grad():
        system.prepare_sampling()
        spread = [system.sample(range(16), {}, truncation).std(0).mean() for truncation in (None, 0.5, 1e-3)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("name", NAMES)
def test_presets(name):
    """Every system has the presets that tests and demos stand on; all of them build."""
    module = systems.find(name)
    assert {"smoke", "demo"} <= set(module.PRESETS)
    assert module.PAPER.startswith("arXiv:") and module.__doc__ and module.PAPER.split(":")[1] in module.__doc__
    for preset in module.PRESETS.values():
        with torch.device("meta"):
            module.SYSTEM(preset.config)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_strict_and_explained(name):
    import inspect

    config = systems.find(name).Config
    with pytest.raises(ValueError, match="no_such_setting"):
        config(no_such_setting=1)
    source = inspect.getsource(config)
    for field in dataclasses.fields(config):
        after = source.split(f"    {field.name}:", 1)[1].split("\n", 2)[1]
        assert after.strip().startswith('"""'), f"{name}.{field.name} has no docstring"
