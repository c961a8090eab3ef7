"""The loop: who moves when, with which gradients, from which random numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from toy_runs import differing, greatest_difference, make_loop, number_steps, stats, tensors

from ganvas.engine.record import NonFinite
from ganvas.engine.system import Batch, System, Terms, Update
from ganvas.errors import UserError
from ganvas.nn.layers import Linear
from ganvas.systems import find


def toy(**config: Any) -> System:
    torch.manual_seed(0)
    module = find("toy")
    system: System = module.SYSTEM(module.Config(**config))
    return system


def weights(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def test_each_update_moves_its_own_networks_and_no_others(tmp_path: Path) -> None:
    system = toy()
    seen: dict[str, tuple[bool, bool]] = {}
    loop = make_loop(tmp_path, system)
    networks = {"discriminator": system.discriminator, "generator": system.generator}
    move = loop.move

    def watched(update: Update, gradients: Any) -> None:
        before = {name: weights(network) for name, network in networks.items()}
        move(update, gradients)
        moved = {name for name in networks if differing(before[name], weights(networks[name]))}
        seen[update.name] = moved
        frozen = [p for name, network in networks.items() if name != update.name for p in network.parameters()]
        assert not any(parameter.requires_grad for parameter in frozen)

    loop.move = watched  # type: ignore[method-assign]
    loop.step()
    assert seen == {"discriminator": {"discriminator"}, "generator": {"generator"}}


def test_what_a_system_froze_itself_stays_frozen(tmp_path: Path) -> None:
    system = toy()
    system.discriminator[0].requires_grad_(False)
    before = weights(system.discriminator[0])
    loop = make_loop(tmp_path, system)
    loop.run()
    assert not differing(before, weights(system.discriminator[0]))


@pytest.mark.parametrize("spectral", [False, True])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_accumulated_micro_batches_equal_the_whole_batch(tmp_path: Path, optimizer: str, spectral: bool) -> None:
    """Against one backward pass over the whole batch; latents come from the batch, so both see the same.

    With spectral norm they are equal only if the power iteration advances once an update.
    """
    results = []
    for micro_batch in (0, 2):
        system = toy(drawing="batch", optimizer=optimizer)
        if spectral:
            system.discriminator[4] = Linear(system.discriminator[4].in_features, 1, spectral=True)
        system.double()
        loop = make_loop(tmp_path / str(micro_batch), system, micro_batch=micro_batch)
        batch = loop.data.batch
        loop.data.batch = lambda *a, batch=batch, **k: {n: v.double() for n, v in batch(*a, **k).items()}  # type: ignore
        loop.step()
        results.append({n: v for n, v in system.state_dict().items() if n != "count"})
    assert greatest_difference(*results) < 1e-12


def test_simultaneous_updates_take_both_gradients_before_either_moves(tmp_path: Path) -> None:
    """Against gradients taken by hand at the first weights."""
    system = toy(drawing="batch", order="simultaneous", optimizer="sgd")
    loop = make_loop(tmp_path, system)
    batch = loop.data.batch(0)
    expected = {}
    for name, loss in (("discriminator", system.discriminator_loss), ("generator", None)):
        terms = loss(batch) if loss else system.generator_loss(batch, step=0)
        network = getattr(system, name)
        gradients = torch.autograd.grad(sum(terms.values()), list(network.parameters()))
        expected[name] = [p.detach() - 0.1 * g for p, g in zip(network.parameters(), gradients, strict=True)]
    loop.step()
    for name, values in expected.items():
        for parameter, value in zip(getattr(system, name).parameters(), values, strict=True):
            torch.testing.assert_close(parameter.detach(), value)

    alternating = toy(drawing="batch", optimizer="sgd")
    make_loop(tmp_path / "alternating", alternating).step()
    assert differing(weights(alternating.generator), weights(system.generator))


def test_updates_of_a_step_share_batches_and_repeats_draw_new_ones(tmp_path: Path) -> None:
    system = toy(discriminator_steps=3)
    batches: list[tuple[str, int]] = []
    updates = system.updates

    def spying(step: int) -> Any:
        for update in updates(step):

            def loss(batch: Batch, update: Update = update) -> Terms:
                batches.append((update.name, id(batch)))
                return update.loss(batch)

            yield Update(update.name, update.networks, loss, update.repeats)

    system.updates = spying  # type: ignore[method-assign]
    loop = make_loop(tmp_path, system, micro_batch=4)
    loop.step()
    assert loop.data.asked == [(0, 0, 0), (0, 1, 0), (0, 2, 0)]  # type: ignore[attr-defined]
    discriminator = [number for name, number in batches if name == "discriminator"]
    generator = [number for name, number in batches if name == "generator"]
    assert len(set(discriminator)) == 6
    assert generator == discriminator[:2]


def test_random_numbers_outside_do_not_reach_the_training(tmp_path: Path) -> None:
    results = []
    for noise in (1, 2):
        system = toy(norm=True)
        loop = make_loop(tmp_path / str(noise), system)
        for _ in range(2):
            torch.manual_seed(noise)
            loop.step()
        results.append(weights(system))
    assert not differing(*results)


def test_attempts_draw_other_numbers(tmp_path: Path) -> None:
    results = []
    for attempt in (0, 1):
        system = toy()
        loop = make_loop(tmp_path / str(attempt), system)
        loop.state.attempt = attempt
        loop.step()
        results.append(weights(system))
    assert differing(*results)


def test_the_average_follows_its_formula(tmp_path: Path) -> None:
    system = toy(norm=True)
    loop = make_loop(tmp_path, system, ema=0.75, ema_start=2)
    expected = None
    for step in range(5):
        loop.step()
        now = system.generator[0].weight.detach()
        expected = now.clone() if step < 2 else 0.75 * expected + 0.25 * now
    average = loop.state.average.copies["generator"]
    torch.testing.assert_close(average[0].weight, expected)
    torch.testing.assert_close(average[2].running_mean, system.generator[2].running_mean)


def test_losses_in_the_log_are_means_of_their_interval(tmp_path: Path) -> None:
    means = []
    for every in (1, 4):
        loop = make_loop(tmp_path / str(every), toy(), log_every=every)
        loop.run()
        means.append(_numbers(tmp_path / str(every)))
    assert number_steps(tmp_path / "4") == [4]
    for name in ("discriminator/real", "generator/adversarial", "generator/gradient_norm"):
        assert means[1][0][name] == pytest.approx(sum(entry[name] for entry in means[0]) / 4, rel=1e-5)


def _numbers(folder: Path) -> list[dict[str, Any]]:
    return [entry for entry in stats(folder) if "event" not in entry]


def test_batches_that_cannot_be_cut_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--micro-batch 3 does not divide"):
        make_loop(tmp_path, toy(), micro_batch=3)


def test_a_nan_that_passes_is_overcome(tmp_path: Path) -> None:
    """The step is tried again with other numbers from the last checkpoint, and the run ends as it should."""
    system = toy()
    system.nan_at = {7: 1}
    loop = make_loop(tmp_path, system, steps=16, log_every=1)
    assert loop.run()
    assert number_steps(tmp_path) == list(range(1, 17))
    assert loop.state.attempt == 1
    assert loop.state.failures == 0  # far enough past it
    assert all(value.isfinite().all() for value in tensors(tmp_path).values())


def test_a_nan_that_stays_ends_with_the_reason(tmp_path: Path) -> None:
    system = toy(bad_step=7)
    loop = make_loop(tmp_path, system, steps=16, retries=2)
    with pytest.raises(UserError, match="generator/adversarial is not finite at step 8, also after 2 retries"):
        loop.run()
    assert sum(step == 7 for step, _, _ in loop.data.asked) == 3  # type: ignore[attr-defined]
    assert all(value.isfinite().all() for value in tensors(tmp_path).values())
    assert loop.checkpoints.steps()[-1] == 5


def test_a_gradient_that_is_not_finite_never_reaches_the_weights(tmp_path: Path) -> None:
    system = toy(optimizer="sgd")
    system.nan_at = {0: 1}
    loop = make_loop(tmp_path, system)
    loop.save()
    before = weights(system.generator)
    with pytest.raises(NonFinite):
        loop.step()
    assert not differing(before, weights(system.generator))
