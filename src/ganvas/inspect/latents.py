"""Pictures at latents that no seed leads to: of any run or system that draws from noise."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.nn.latent import Prior
from ganvas.run import Run

BATCH = 32
"""Pictures that pass through a network at once."""


def system_of(source: Run | System) -> System:
    """The networks of a run, with their averaged weights; a system is taken as it is."""
    return source.system if isinstance(source, Run) else source


def prior_of(system: System) -> Prior:
    """Where a system's latents come from.

    Raises:
        UserError: It draws from no noise.
    """
    if system.prior is None:
        raise UserError("the system draws from no noise, so there are no latents to go to")
    return system.prior


def at_latents(
    system: System, z: Float[Tensor, "B Z"], conditions: Mapping[str, Tensor] | None = None
) -> Float[Tensor, "B C H W"]:
    """Pictures at given latents, float32 in [-1, 1], on the CPU.

    Args:
        system: In eval mode.
        z: Latents, in the space of `system.prior`.
        conditions: What all are conditioned on, each (1, ...), or each picture, (B, ...). Without a `label`, a system
            of classes draws the first.
    """
    given = dict(conditions or {})
    if system.classes and "label" not in given:
        given["label"] = torch.zeros(1, dtype=torch.int64)
    given = {name: value.expand(len(z), *value.shape[1:]) for name, value in given.items()}
    device = next(system.parameters()).device
    pictures = []
    with torch.no_grad():
        for start in range(0, len(z), BATCH):
            part = slice(start, start + BATCH)
            conditioned = {name: value[part].to(device) for name, value in given.items()}
            pictures.append(system.from_latents(z[part].to(device), conditioned).float().cpu())
    return torch.cat(pictures)


def label_of(system: System, label: int | None, seed: int) -> dict[str, Tensor]:
    """The class to draw, as conditions: the one asked for, else that in which sampling draws the seed.

    Raises:
        UserError: There is no such class.
    """
    if not system.classes:
        if label is not None:
            raise UserError("the system draws no classes, so none can be asked for")
        return {}
    if label is not None and not 0 <= label < system.classes:
        raise UserError(f"there is no class {label}: the system has {system.classes}, counted from 0")
    return {"label": torch.tensor([seed % system.classes if label is None else label])}
