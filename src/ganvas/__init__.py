"""Train, measure, show and ship generative adversarial networks, each one a file that reads like its paper.

run = ganvas.train("unetgan", "demo", data="photos/", out="runs/photos")   # or ganvas.load("runs/photos")
images = run.sample(16, seed=0)                                            # (16, 3, H, W) in [-1, 1]
scores = ganvas.evaluate(run, data="photos/")                              # named, each with its protocol
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ganvas.errors import UserError

if TYPE_CHECKING:
    from ganvas.launch import resume, train
    from ganvas.losses.adversarial import AdversarialLoss
    from ganvas.metrics.evaluate import evaluate
    from ganvas.run import Run, load
    from ganvas.shipping.export import export
    from ganvas.translation.command import translate

__all__ = ["AdversarialLoss", "Run", "UserError", "evaluate", "export", "load", "resume", "train", "translate"]

_HOMES = {
    "AdversarialLoss": "ganvas.losses.adversarial",
    "Run": "ganvas.run",
    "evaluate": "ganvas.metrics.evaluate",
    "export": "ganvas.shipping.export",
    "load": "ganvas.run",
    "resume": "ganvas.launch",
    "train": "ganvas.launch",
    "translate": "ganvas.translation.command",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for, and PyTorch with it, no earlier than that."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
