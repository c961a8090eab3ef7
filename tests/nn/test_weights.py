"""Spectral norm against singular values and against PyTorch's own; what scopes share."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from ganvas.nn.layers import Conv2d, Linear
from ganvas.nn.weights import SpectralNorm, effective_weight, reference_scope, update_scope, weight_scope


def test_sigma_converges_to_the_largest_singular_value():
    weight = torch.randn(7, 5, 3, 3, dtype=torch.float64)
    norm = SpectralNorm(weight).double()
    for _ in range(500):
        sigma = norm.sigma(weight)
    expected = torch.linalg.svdvals(weight.flatten(1))[0]
    torch.testing.assert_close(sigma, expected, rtol=1e-9, atol=0)
    layer = Conv2d(5, 7, spectral=True).double()
    layer.weight.data = weight
    layer.norm = norm
    top = torch.linalg.svdvals(effective_weight(layer, layer.weight, layer.norm).flatten(1))[0]
    torch.testing.assert_close(top, torch.ones_like(top), rtol=1e-9, atol=0)


def test_value_and_gradient_equal_pytorch_spectral_norm():
    """PyTorch iterates u, then v, and starts with v; the same singular vectors must give the same numbers."""
    ours = Linear(6, 4, spectral=True).double().eval()
    theirs = nn.Linear(6, 4).double()
    theirs.load_state_dict({"weight": ours.weight.detach(), "bias": ours.bias.detach()})
    parametrizations.spectral_norm(theirs)
    theirs.eval()
    builtin = theirs.parametrizations.weight[0]
    ours.norm.u.copy_(builtin._u)
    builtin._v.copy_(F.normalize(ours.weight.detach().t() @ ours.norm.u, dim=0))
    x = torch.randn(3, 6, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))
    cotangent = torch.randn(3, 4, dtype=torch.float64)
    (a,) = torch.autograd.grad(ours(x), ours.weight, cotangent)
    (b,) = torch.autograd.grad(theirs(x), theirs.parametrizations.weight.original, cotangent)
    torch.testing.assert_close(a, b)


def _iterations(layer, forwards):
    """How often u moves in some forward passes."""
    moved, before = 0, layer.norm.u.clone()
    for _ in range(forwards):
        layer(torch.randn(2, 5))
        moved += int(not torch.equal(before, layer.norm.u))
        before = layer.norm.u.clone()
    return moved


def test_power_iteration_once_an_update():
    layer = Linear(5, 4, spectral=True)
    with update_scope():
        with weight_scope():
            assert _iterations(layer, 3) == 1
        with weight_scope():
            assert _iterations(layer, 3) == 0
    with update_scope(), weight_scope():
        assert _iterations(layer, 1) == 1
    assert _iterations(Linear(5, 4, spectral=True), 3) == 3  # as published, outside any scope
    with reference_scope(), update_scope(), weight_scope():
        assert _iterations(Linear(5, 4, spectral=True), 3) == 3
    assert _iterations(layer.eval(), 3) == 0


def test_weights_are_shared_only_where_they_may():
    layer = Linear(5, 4, spectral=True)
    with weight_scope():
        first = effective_weight(layer, layer.weight, layer.norm)
        assert effective_weight(layer, layer.weight, layer.norm) is first
        with torch.no_grad():
            constant = effective_weight(layer, layer.weight, layer.norm)
        assert first.requires_grad and not constant.requires_grad
        with torch.autocast("cpu", torch.bfloat16):
            half = effective_weight(layer, layer.weight, layer.norm)
        assert half.dtype == torch.bfloat16 and first.dtype == torch.float32
    with weight_scope():
        assert effective_weight(layer, layer.weight, layer.norm) is not first


def test_backward_survives_a_later_power_iteration():
    layer = Linear(5, 4, spectral=True)
    loss = layer(torch.randn(2, 5)).sum()
    layer(torch.randn(2, 5))
    loss.backward()
    assert layer.weight.grad is not None
