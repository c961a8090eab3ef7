"""What every system must do, found by its file: nobody has to remember to add a test."""

import dataclasses
import inspect
import json
import typing

import pytest
import torch

from ganvas import UserError, systems
from ganvas.engine.folder import from_plain, plain, setting_names
from ganvas.engine.system import Update
from ganvas.launch import describe, override
from ganvas.losses.objectives import ObjectiveName
from ganvas.nn.weights import update_scope

NAMES = systems.names()
FROM_DATA = {"embedding": 12, "keypoints": 4}
"""What captions and keypoints of data would say."""


def smoke(name, preset="smoke", **changes):
    """A system in its smallest preset, with its own discriminator or what `changes` say."""
    torch.manual_seed(0)
    found = systems.find_preset(name, preset)
    known = {key: value for key, value in FROM_DATA.items() if getattr(found.config, key, 0) == "auto"}
    return systems.find(name).SYSTEM(override(found, known | changes).config)


def batch_for(system, count=4):
    size, channels = system.config.size, system.config.channels
    batch = {"image": torch.rand(count, channels, size, size) * 2 - 1, **sources(system, count)}
    batch |= described(system, count)
    if "label" in system.needs:
        batch["label"] = torch.arange(count) % system.classes
    assert system.needs <= set(batch)
    return batch


def sources(system, count):
    """What a system that translates is given, the first pictures the same however many there are."""
    if not system.sides:
        return {}
    size, generator = system.config.size // system.scale, torch.Generator().manual_seed(0)
    return {"source": torch.rand(count, system.config.source_channels, size, size, generator=generator) * 2 - 1}


def described(system, count):
    """Captions, boxes and keypoints of a system that draws by them, the first pictures' the same however many."""
    generator, config = torch.Generator().manual_seed(1), system.config
    corners = torch.rand(count, 2, generator=generator) / 2
    visible = (torch.rand(count, getattr(config, "keypoints", 1), 1, generator=generator) > 0.3).float()
    visible[:, -1] = 0  # so that there is something to draw
    there = {
        "text": lambda: torch.randn(count, config.embedding, generator=generator),
        "boxes": lambda: torch.cat([corners, 0.1 + torch.rand(count, 2, generator=generator) * 0.4], 1),
        "keypoints": lambda: visible * torch.cat([torch.rand(*visible.shape[:2], 2, generator=generator), visible], 2),
    }
    return {name: make() for name, make in there.items() if name in system.needs}


def ready(system):
    """As a run does before it samples: with conditions of some pictures, under which statistics are estimated."""
    system.begin([batch_for(system, 8)])
    system.prepare_sampling()
    system.eval()


def groups(system, step=0):
    return [group if isinstance(group, tuple) else (group,) for group in system.updates(step)]


def smallest():
    """Every system, in each of its presets for tests."""
    return [(name, preset) for name in NAMES for preset in systems.find(name).PRESETS if preset.startswith("smoke")]


def variants():
    """Every system as it is; with classes; and, where it has the settings, every discriminator and every objective."""
    for name, preset in smallest():
        config = systems.find_preset(name, preset).config
        yield name, preset, {}
        if getattr(config, "classes", None) == 0:
            yield name, preset, {"classes": 3}
        hints = typing.get_type_hints(type(config))
        known = setting_names(config)
        for discriminator in typing.get_args(hints["discriminator"]) if "discriminator" in known else [None]:
            plain = {} if discriminator is None else {"discriminator": discriminator}
            if "cutmix" in known:
                plain |= {"cutmix": 0.0, "consistency": 0.0}
            for objective in typing.get_args(ObjectiveName) if "objective" in known else []:
                yield name, preset, plain | {"objective": objective}
            if discriminator == "unet":
                yield name, preset, plain | {"cutmix": 1.0, "consistency": 1.0}
                yield name, preset, plain | {"cutmix": 1.0, "consistency": 1.0, "cutmix_mode": "add"}
            if "history" in known:
                yield name, preset, plain | {"history": 8}
            if "r1" in known:
                penalties = {"r1": 1.0, "r2": 1.0, "gradient_penalty": 1.0, "penalty_every": 1}
                yield name, preset, plain | penalties | {"diffaugment": "color,translation,cutout"}


@pytest.mark.parametrize(("name", "preset", "changes"), list(variants()))
def test_updates_are_finite_and_move_their_networks_and_no_others(name, preset, changes):
    try:
        system = smoke(name, preset, **changes)
    except UserError as refusal:  # such as a gradient penalty with a history
        pytest.skip(str(refusal))
    optimizers = system.optimizers()
    for step in range(2):
        batch = batch_for(system)
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
                        assert parameter.grad is None, f"{update.name} left a gradient in {key}"
                if any(term.item() for term in terms.values()):  # a hinge may be satisfied, its loss and gradient 0
                    assert any(not torch.equal(before[k], p) for k, p in system.named_parameters() if id(p) in moving)


@pytest.mark.parametrize(("name", "preset"), smallest())
def test_every_parameter_of_an_update_gets_a_gradient(name, preset):
    """A part that is built and never used would be carried around in every checkpoint."""
    system = smoke(name, preset)
    learning = {key for key, parameter in system.named_parameters() if parameter.requires_grad}  # the rest is inherited
    reached = set()
    for step in range(3):
        batch = batch_for(system)
        for group in groups(system, step):
            for update in group:
                for parameter in system.parameters():
                    parameter.grad = None
                sum(update.loss(batch).values()).backward()
                reached |= {key for key, parameter in system.named_parameters() if parameter.grad is not None}
    assert reached == learning


@pytest.mark.parametrize(("name", "preset"), smallest())
def test_a_picture_depends_on_its_seed_alone(name, preset):
    system = smoke(name, preset).eval()
    with torch.no_grad():
        ready(system)
        given = sources(system, 6) | described(system, 6)
        many = system.sample(range(6), given)
        alone = {name: value[4:5] for name, value in given.items()}
        one = system.sample([4], alone if not system.classes else {"label": torch.tensor([4 % system.classes])})
    size, channels = system.config.size, system.config.channels
    assert many.shape == (6, channels, size, size) and many.dtype == torch.float32
    assert many.abs().max() <= 1
    torch.testing.assert_close(many[4:5], one, rtol=1e-4, atol=1e-5)
    assert not torch.equal(many[0], many[1])


@pytest.mark.parametrize(("name", "preset"), smallest())
def test_samples_are_drawn_at_their_latents(name, preset):
    system = smoke(name, preset).eval()
    if system.prior is None:
        pytest.skip("the system draws from no noise")
    conditions = described(system, 3) | ({"label": torch.tensor([1, 1, 0])} if system.classes else {})
    with torch.no_grad():
        ready(system)
        sampled = system.sample([3, 0, 7], conditions)
        drawn = system.from_latents(system.prior.seeded([3, 0, 7]), conditions)
    assert torch.equal(sampled, drawn)


@pytest.mark.parametrize(("name", "preset"), smallest())
def test_truncation_narrows_the_pictures(name, preset):
    system = smoke(name, preset).eval()
    if system.prior is None:
        pytest.skip("the system draws from no noise")
    # Of one class, where there are classes: those differ by more than the latent makes of them.
    label = {"label": torch.zeros(16, dtype=torch.int64)} if system.classes else {}
    label |= {name: value.expand(16, *value.shape[1:]) for name, value in described(system, 1).items()}
    with torch.no_grad():
        ready(system)
        spread = [system.sample(range(16), label, truncation).std(0).mean() for truncation in (None, 0.5, 1e-3)]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("name", NAMES)
def test_presets(name):
    """Every system has the presets that tests and demos stand on; all of them build."""
    module = systems.find(name)
    assert {"smoke", "demo"} <= set(module.PRESETS)
    assert module.PAPER.startswith("arXiv:") and module.__doc__ and module.PAPER.split(":")[1] in module.__doc__
    found = [describe(name, preset, module.PRESETS[preset])["networks"] for preset in module.PRESETS]
    assert all(networks["generator"]["parameters"] > 0 for networks in found)
    # SRResNet's presets have none.
    assert any(networks.get("discriminator", {"parameters": 0})["parameters"] > 0 for networks in found)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_strict_and_explained(name):
    config = systems.find(name).Config
    with pytest.raises(ValueError, match="no_such_setting"):
        config(no_such_setting=1)
    groups = [type(field.default) for field in dataclasses.fields(config) if dataclasses.is_dataclass(field.default)]
    for kind in [config, *groups]:
        source = inspect.getsource(kind)
        for field in dataclasses.fields(kind):
            after = source.split(f"    {field.name}:", 1)[1].split("\n", 2)[1]
            assert after.strip().startswith('"""'), f"{name}.{field.name} has no docstring"


@pytest.mark.parametrize("name", NAMES)
def test_no_two_settings_share_a_name(name):
    """Each is a flag of its own on the command line."""
    for preset in systems.find(name).PRESETS.values():
        names = [n for part in (preset.config, preset.training, preset.data) for n in setting_names(part)]
        assert len(names) == len(set(names))


@pytest.mark.parametrize("name", NAMES)
def test_settings_survive_being_written_down(name):
    for preset in systems.find(name).PRESETS.values():
        assert from_plain(type(preset.config), json.loads(json.dumps(plain(preset.config)))) == preset.config
