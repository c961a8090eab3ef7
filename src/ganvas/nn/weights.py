"""The weight that a layer really multiplies by: spectrally normalised, folded, cast; worked out once, used often.

A discriminator update runs the same layers on real, fake and mixed pictures. Three scopes say what is shared:

* `update_scope()`: one optimiser step. The power iteration of spectral norm advances once in it, not once a
  forward pass, so the result depends on neither the number of forward passes nor of micro-batches.
* `weight_scope()`: one graph (one `backward`). Effective weights are kept and used again inside it.
* `reference_scope()`: nothing is shared or folded, every layer computes what the papers write. Tests compare
  against it and benchmarks measure the gain.

Outside any scope a layer behaves like the published code: one power iteration a forward pass in training mode.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class _Scope:
    iterated: set[nn.Module] | None = None
    weights: dict[Hashable, Tensor] | None = None
    reference: bool = False


_OUTSIDE = _Scope()
_scope: ContextVar[_Scope] = ContextVar("ganvas_weight_scope", default=_OUTSIDE)


@contextmanager
def _entered(scope: _Scope) -> Iterator[None]:
    token = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(token)


@contextmanager
def update_scope() -> Iterator[None]:
    """Advance every spectral norm's power iteration at most once until the scope ends."""
    outer = _scope.get()
    if outer.reference:
        yield
        return
    with _entered(_Scope(iterated=set() if outer.iterated is None else outer.iterated)):
        yield


@contextmanager
def weight_scope() -> Iterator[None]:
    """Keep effective weights until the scope ends; leave it before `backward` frees their graph."""
    outer = _scope.get()
    if outer.reference:
        yield
        return
    iterated = set() if outer.iterated is None else outer.iterated
    with _entered(_Scope(iterated=iterated, weights={} if outer.weights is None else outer.weights)):
        yield


@contextmanager
def reference_scope() -> Iterator[None]:
    """Compute as the papers write: unfolded, and one power iteration at every forward pass."""
    with _entered(_Scope(reference=True)):
        yield


def is_reference() -> bool:
    """Whether layers must compute unfolded."""
    return _scope.get().reference


class SpectralNorm(nn.Module):
    """Estimate of a weight's largest singular value by power iteration (Miyato et al. 2018, algorithm 1).

    Gradients flow through the weight in sigma = u^T W v; u and v are constants.

    Args:
        weight: The weight to normalise, (out, ...); only its shape is used.
        eps: Added to norms before dividing.
    """

    u: Tensor

    def __init__(self, weight: Tensor, eps: float = 1e-12) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("u", F.normalize(torch.randn(weight.shape[0], device=weight.device), dim=0))

    def sigma(self, weight: Tensor) -> Tensor:
        """The largest singular value of `weight` (out, ...) seen as a matrix; a scalar, float32 or wider."""
        matrix = weight.flatten(1)
        scope = _scope.get()
        with torch.no_grad():
            v = F.normalize(matrix.t() @ self.u, dim=0, eps=self.eps)
            if self.training and (scope.iterated is None or self not in scope.iterated):
                self.u.copy_(F.normalize(matrix @ v, dim=0, eps=self.eps))
                if scope.iterated is not None:
                    scope.iterated.add(self)
            # A copy: a later power iteration must not change what this graph's backward reads.
            u = self.u.clone()
        return torch.dot(u, matrix @ v)


def autocast_dtype(weight: Tensor) -> torch.dtype:
    """The type that convolutions and matrix products run in here."""
    device = weight.device.type
    if torch.is_autocast_enabled(device):
        return torch.get_autocast_dtype(device)
    return weight.dtype


def effective_weight(
    layer: nn.Module,
    weight: Tensor,
    norm: SpectralNorm | None,
    fold: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """`weight` divided by its spectral norm, folded, in the type of the surrounding autocast region.

    Args:
        layer: Whose weight it is; the key under which a scope keeps it.
        weight: The parameter, (out, in, ...).
        norm: Its spectral norm, if any.
        fold: Turns the normalised kernel into that of an equal, cheaper operation (`ganvas.nn.folding`).
    """
    kept = _scope.get().weights
    dtype = autocast_dtype(weight)
    key = (id(layer), fold, dtype, torch.is_grad_enabled() and weight.requires_grad)
    if kept is not None and key in kept:
        return kept[key]
    with torch.autocast(weight.device.type, enabled=False):
        result = weight
        if norm is not None:
            result = result / norm.sigma(weight)
        if fold is not None:
            result = fold(result)
        result = result.to(dtype)
    if kept is not None and result is not weight:
        kept[key] = result
    return result
