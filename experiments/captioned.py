"""What experiments on pictures of one coloured shape share: captions of the 24 classes, and judges of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import torch

import ganvas
from ganvas.data import DataOptions, open_data
from ganvas.data.builtin.shapes import CLASSES, COLOURS, SHAPES
from ganvas.data.sampler import to_float
from ganvas.engine.collapse import diversity
from ganvas.engine.system import Batch
from ganvas.metrics.judges import Classifier, split, train_classifier
from ganvas.text.encoders import find_encoder

UNSEEN = ("red circle", "blue rectangle", "green triangle", "yellow circle")
"""Combinations that studies on new combinations leave out of training."""

REAL = "shapes"
"""What judges are trained on, and checked on: all 24 classes."""

CAPTION = "a {name}"
"""What is asked for; training has other words for the same too."""


@dataclasses.dataclass(frozen=True)
class Judge:
    """A classifier of the 24 classes, trained on four fifths of all real pictures, and how it does on the others."""

    network: Classifier
    accuracy: float
    real: torch.Tensor
    labels: torch.Tensor

    def shares(self, pictures: torch.Tensor, asked: torch.Tensor) -> dict[str, torch.Tensor]:
        """For each picture 1 or 0: whether class, colour and shape are those asked for."""
        seen = torch.cat([self.network.classes(part) for part in torch.split(pictures, 512)])
        each = len(SHAPES)
        return {
            "class": (seen == asked).double(),
            "colour": (seen // each == asked // each).double(),
            "shape": (seen % each == asked % each).double(),
        }

    def of_real(self, name: str) -> torch.Tensor:
        """The real pictures of a class."""
        return self.real[self.labels == CLASSES.index(name)]


def train_judge(size: int) -> Judge:
    """Of pictures of this side; the same each time."""
    data = open_data(REAL, DataOptions(flip=False), size=size)
    real, labels = to_float(torch.from_numpy(np.array(data.images))), torch.from_numpy(data.labels)
    labels = torch.tensor([CLASSES.index(name) for name in data.classes])[labels]
    trained, rest = split(len(real), 0.2, 0)
    network = train_classifier(real[trained], labels[trained], len(CLASSES), epochs=8)
    return Judge(network, network.accuracy_on(real[rest], labels[rest]), real[rest], labels[rest])


def vectors(names: list[str]) -> torch.Tensor:
    """Embedded captions of classes, (N, 384), by the encoder that `ganvas train` takes by default."""
    return find_encoder("minilm").encode([CAPTION.format(name=name) for name in names])


def drawn(run: Path, conditions: Batch, seed: int = 0) -> torch.Tensor:
    """Samples of a run under conditions, the first of which has this seed."""
    return ganvas.load(run).sample(len(next(iter(conditions.values()))), seed=seed, conditions=conditions)


def asked(per_class: int) -> torch.Tensor:
    """Each class so many times."""
    return torch.arange(len(CLASSES)).repeat_interleave(per_class)


def diversity_ratio(pictures: torch.Tensor, labels: torch.Tensor, judge: Judge) -> float:
    """Mean difference of pictures of one class in pixels, as a share of that of real ones; a mean over the classes."""
    ratios = [diversity(pictures[labels == k]) / diversity(judge.of_real(CLASSES[k])) for k in labels.unique().tolist()]
    return float(np.mean(ratios))


def midpoints(names: list[tuple[str, str]]) -> torch.Tensor:
    """Embedded captions half way between two classes."""
    first, second = (vectors([pair[i] for pair in names]) for i in (0, 1))
    return (first + second) / 2


def neighbours_in_colour() -> list[tuple[str, str]]:
    """Every pair of classes with the same shape and the next colour."""
    colours = list(COLOURS)
    pairs = list(zip(colours, [*colours[1:], colours[0]], strict=True))
    return [(f"{a} {shape}", f"{b} {shape}") for a, b in pairs for shape in SHAPES]
