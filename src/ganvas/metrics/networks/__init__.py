"""Feature networks, one file each. A file's name is its network's name; there is no other list.

A network's module has `load(weights, device, precision)`, which gives a `FeatureNetwork`. A user's own network comes in
a TorchScript or ONNX file: see `ganvas.metrics.networks._file`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from pathlib import Path
from typing import Literal

import torch

from ganvas.errors import UserError
from ganvas.metrics.networks import _file
from ganvas.metrics.networks._base import FeatureNetwork, Features

__all__ = ["FeatureNetwork", "Features", "find", "names"]


def names() -> list[str]:
    """Names of the networks that have a file here, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_"))


def find(
    name: str, *, weights: Path | None = None, device: torch.device, precision: Literal["fp32", "bf16"] = "fp32"
) -> FeatureNetwork:
    """A feature network, ready to use. The global random state stays as it is.

    Args:
        name: One of `names()`, or the path of a file that ends in .pt, .ts, .torchscript or .onnx.
        weights: The weights, for networks that do not bring theirs and shall not download them: see each one's file.
        device: Where to compute.
        precision: Number format of the network's layers. Published scores are fp32's.

    Raises:
        UserError: If there is no such network, or a library, the weights or a download it needs is missing.
    """
    with torch.random.fork_rng(devices=[]):  # networks are built with random weights first
        if Path(name).suffix.lower() in _file.ENDINGS:
            path = Path(name)
            if weights is not None:
                raise UserError(f"{path} brings its own weights: leave --weights out")
            if path.stem in names():
                raise UserError(f"{path} has the name of another network, {path.stem}: scores take theirs; rename it")
            return _file.load(path, device, precision)
        if name not in names():
            close = difflib.get_close_matches(name, names(), 1, 0.5)
            meant = f"did you mean {close[0]}? Known" if close else "known"
            raise UserError(
                f"there is no feature network {name!r}: {meant} are {', '.join(names())}, "
                f"and files ending in {', '.join(_file.ENDINGS)}"
            )
        module = importlib.import_module(f"{__name__}.{name}")
        network: FeatureNetwork = module.load(weights, device, precision)
        return network
