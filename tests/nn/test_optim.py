"""Schedules of rates and momenta against their closed forms; what is refused."""

import pytest
import torch
from torch import nn

from ganvas.errors import UserError
from ganvas.nn.optim import Adams, Descent, FusedAdam, chosen


def networks():
    return nn.Linear(2, 3), nn.Linear(3, 1)


def test_descent_follows_the_published_schedules():
    """Goodfellow's configuration: rate 0.1 / 1.000004^t, not under 1e-6; momentum 0.5 to 0.7 over 250 epochs of 500."""
    optimizers = Descent().optimizers(*networks())
    for step, momentum in ((0, 0.5), (62_500, 0.6), (125_000, 0.7), (10**7, 0.7)):
        Descent().schedule(step, optimizers)
        rate = 0.1
        for _ in range(min(step, 200)):
            rate /= 1.000004
        for optimizer in optimizers.values():
            group = optimizer.param_groups[0]
            assert group["momentum"] == pytest.approx(momentum)
            if step <= 200:
                assert group["lr"] == pytest.approx(rate, rel=1e-12)
    assert optimizers["generator"].param_groups[0]["lr"] == 1e-6
    Descent().schedule(100_000, optimizers)
    assert optimizers["generator"].param_groups[0]["lr"] == pytest.approx(0.1 * 0.6703, rel=1e-3)  # exp(-0.4)


def test_descent_moves_as_momentum_says():
    """v = 0.5 v + g; w = w - rate v, by hand over two steps of a constant gradient."""
    net = nn.Linear(1, 1, bias=False)
    start = float(net.weight)
    optimizer = Descent(rate=0.1).optimizers(net, nn.Linear(1, 1))["generator"]
    for _ in range(2):
        net.weight.grad = torch.ones(1, 1)
        optimizer.step()
    assert float(net.weight) == pytest.approx(start - 0.1 * (1 + 1.5))


def test_adam_rates_fall_to_zero_where_asked():
    adam = Adams(generator_rate=1e-3, discriminator_rate=4e-3, decay_from=100, decay_steps=50)
    optimizers = adam.optimizers(*networks())
    found = []
    for step in (0, 100, 125, 150, 1000):
        adam.schedule(step, optimizers)
        found.append([optimizers[name].param_groups[0]["lr"] for name in ("generator", "discriminator")])
    assert found == [[1e-3, 4e-3], [1e-3, 4e-3], [5e-4, 2e-3], [0, 0], [0, 0]]
    constant = Adams()
    constant.schedule(10**6, constant.optimizers(*networks()))
    assert constant.optimizers(*networks())["generator"].param_groups[0]["lr"] == 2e-4


def test_weight_decay_is_added_to_the_gradient():
    """Coupled, as an L2 penalty: with a zero gradient Adam's first step is -rate * sign(weight)."""
    net = nn.Linear(4, 1, bias=False)
    before = net.weight.detach().clone()
    optimizer = Adams(weight_decay=0.1, generator_rate=1e-3).optimizers(net, nn.Linear(1, 1))["generator"]
    net.weight.grad = torch.zeros(1, 4)
    optimizer.step()
    torch.testing.assert_close(net.weight.detach(), before - 1e-3 * before.sign(), rtol=0, atol=1e-6)


def test_settings_of_the_optimiser_that_is_not_used_are_refused():
    assert chosen("sgd", Descent(rate=1.0), Adams()) == Descent(rate=1.0)
    with pytest.raises(UserError, match="do nothing with --optimizer sgd"):
        chosen("sgd", Descent(), Adams(beta1=0.9))
    with pytest.raises(UserError, match="--rate and the momenta"):
        chosen("adam", Descent(rate=1.0), Adams())


@pytest.mark.parametrize("weights", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("gradients", [torch.contiguous_format, torch.channels_last])
def test_fused_adam_is_adam_in_every_memory_order(weights, gradients):
    """Against PyTorch's unfused Adam on contiguous tensors; its fused one moves wrong numbers in one of the four."""
    torch.manual_seed(0)
    first, bias = torch.randn(8, 6, 4, 4), torch.randn(8)
    mine = [nn.Parameter(first.clone().contiguous(memory_format=weights)), nn.Parameter(bias.clone())]
    theirs = [nn.Parameter(first.clone()), nn.Parameter(bias.clone())]
    optimizers = [
        FusedAdam(mine, 0.1, (0.5, 0.9), 1e-8, 0.01),
        torch.optim.Adam(theirs, 0.1, (0.5, 0.9), 1e-8, 0.01, foreach=False),
    ]
    for step in range(4):
        optimizers[1].param_groups[0]["lr"] = optimizers[0].param_groups[0]["lr"] = 0.1 / (step + 1)
        for p, q in zip(mine, theirs, strict=True):
            q.grad = torch.randn_like(q)
            p.grad = q.grad.contiguous(memory_format=gradients) if q.dim() == 4 else q.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for p, q in zip(mine, theirs, strict=True):
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)
        assert p.stride() == p.detach().clone().stride() == optimizers[0].state[p]["exp_avg"].stride()


def test_rates_are_halved_again_and_again():
    """2^-(step // N), the schedule of GAN-CLS; together with a linear decay their product."""
    rates = Adams(generator_rate=4e-4, discriminator_rate=2e-4, halve_every=100)
    optimizers = rates.optimizers(*networks())
    for step, share in ((0, 1), (99, 1), (100, 0.5), (199, 0.5), (350, 0.125)):
        rates.schedule(step, optimizers)
        assert optimizers["generator"].param_groups[0]["lr"] == pytest.approx(4e-4 * share)
        assert optimizers["discriminator"].param_groups[0]["lr"] == pytest.approx(2e-4 * share)
    both = Adams(generator_rate=4e-4, halve_every=100, decay_from=100, decay_steps=100)
    both.schedule(150, optimizers)
    assert optimizers["generator"].param_groups[0]["lr"] == pytest.approx(4e-4 * 0.5 * 0.5)


def test_frozen_weights_are_left_to_themselves():
    generator, discriminator = networks()
    generator.bias.requires_grad_(False)
    (group,) = Adams().optimizers(generator, discriminator)["generator"].param_groups
    assert [id(p) for p in group["params"]] == [id(generator.weight)]
