"""What a run computes as a function of tensors with names: what programs without ganvas are given."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.engine.system import Batch, System
from ganvas.errors import UserError
from ganvas.nn.dropout import NoiseDropout
from ganvas.run import Run
from ganvas.translation.translator import Translator

DRAWN = (2, 1, 5)
"""Numbers of pictures that are drawn to compare; each from seeds of its own."""

TRANSLATED = ((2, (24, 2), (20, 3)), (1, (37, 2), (53, 1)), (3, (9, 1), (9, 1)))
"""Of those that are translated to compare: how many, then of height and width the least in pixels and in multiples."""

BATCH = "B"
"""The dimension that may be any."""


@dataclass(frozen=True)
class Example:
    """Inputs, and what the run makes of them.

    Attributes:
        inputs: By name, in order.
        image: (B, C, H, W) in [-1, 1].
        what: For people to read.
    """

    inputs: Batch
    image: Tensor
    what: str


@dataclass(frozen=True)
class Network:
    """A run's sampling or translation.

    Attributes:
        module: Takes the inputs in order and gives pictures.
        inputs: Shapes of the inputs, by name.
        output: That of the pictures.
        multiple: What heights and widths of `source` are multiples of.
        dims: For `torch.export`, which dimensions of each input may be any, nested as `forward` takes them.
        examples: To compare with.
        about: What there is to know of the inputs, in one sentence.
    """

    module: nn.Module
    inputs: dict[str, str]
    output: str
    multiple: int
    dims: tuple[Any, ...]
    examples: list[Example]
    about: str


def network_of(run: Run, direction: str = "AtoB", noise: bool = True) -> Network:
    """The function that a run is.

    Args:
        run: On the CPU, in fp32.
        direction: Of a run that translates.
        noise: Whether the dropout that some runs translate with is part of it.

    Raises:
        UserError: It makes numbers instead of pictures, translates at random, or has not learnt this direction.
    """
    if run.config.size == 1:
        raise UserError(f"{run.path} makes points, not pictures: `ganvas sample {run.path} --out FILE.csv` draws them")
    return _translation(run, direction, noise) if run.system.sides else _drawing(run)


class _Drawing(nn.Module):
    """Pictures from latents and what the system needs beside them."""

    def __init__(self, system: System, names: Sequence[str]) -> None:
        super().__init__()
        self.system = system
        self.names = names

    def forward(self, latent: Float[Tensor, "B Z"], *conditions: Tensor) -> Float[Tensor, "B C H W"]:
        with torch.no_grad():
            return self.system.from_latents(latent, dict(zip(self.names, conditions, strict=True)))


class _Translation(nn.Module):
    """A translation as a function of the pictures alone."""

    def __init__(self, system: System, direction: str) -> None:
        super().__init__()
        self.system = system
        self.direction = direction

    def forward(self, source: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H2 W2"]:
        with torch.no_grad():
            # One seed for all, since a list of one a picture would fix their number: none of them is looked at.
            return self.system.translate(source, [0], self.direction)


def conditions_of(system: System, seeds: Sequence[int]) -> Batch:
    """What `System.sample` draws the pictures of these seeds from beside latents, where nothing is asked for."""
    found: Batch = {}
    if system.classes:
        found["label"] = torch.tensor([seed % system.classes for seed in seeds])
    return system.standing.filled(seeds, found) if hasattr(system, "standing") else found


def _drawing(run: Run) -> Network:
    system = run.system
    assert system.prior is not None
    examples, start = [], 0
    for count in DRAWN:
        seeds = range(start, start + count)
        inputs = {"latent": system.prior.seeded(seeds), **conditions_of(system, seeds)}
        examples.append(Example(inputs, run.sample(count, start), f"{count}"))
        start += count
    first = examples[0].inputs
    batch = torch.export.Dim("b")
    spread = f"{system.prior.kind}, centre {system.prior.centre:g}, scale {system.prior.scale:g}"
    names = [name for name in first if name != "latent"]
    about = f"latent: {spread}; run.system.prior.seeded(seeds) gives those of seeds"
    about += "; label: number of the class" * ("label" in first) + "; text: vectors of the encoder" * ("text" in first)
    about += "; boxes: x, y, width, height in shares of the picture" * ("boxes" in first)
    about += "; keypoints: x, y in shares of the picture and 1, or 0, 0, 0" * ("keypoints" in first)
    shapes = {name: " ".join([BATCH, *map(str, value.shape[1:])]) for name, value in first.items()}
    output = " ".join([BATCH, *map(str, examples[0].image.shape[1:])])
    module = _Drawing(system, names).eval()
    dims: tuple[Any, ...] = ({0: batch}, ({0: batch},) * len(names)) if names else ({0: batch},)
    return Network(module, shapes, output, 1, dims, examples, about)


def _translation(run: Run, direction: str, noise: bool) -> Network:
    translator = run.translator(direction)
    if not noise:
        translator = replace(translator, system=without_noise(translator.system))
    # The first leads the exporter, which takes lengths of 1 inside the network for constants: two multiples at least.
    sources = [
        _noise(n, translator.inputs, *(max(translator.padded(pixels), k * translator.multiple) for pixels, k in sizes))
        for n, *sizes in TRANSLATED
    ]
    if not torch.equal(*(translator(sources[0], [seed] * len(sources[0])) for seed in (0, 1))):
        raise UserError(
            f"{run.path} translates at random, each seed otherwise, which ONNX does not hold: give --without-noise to "
            "leave its dropout out"
        )
    examples = [_translated(translator, source) for source in sources]
    multiple, r = translator.multiple, "" if translator.scale == 1 else f"{translator.scale}"
    height, width = (multiple * torch.export.Dim(name) for name in "hw")
    return Network(
        _Translation(translator.system, translator.direction).eval(), {"source": f"{BATCH} {translator.inputs} H W"},
        f"{BATCH} {translator.outputs} {r}H {r}W", multiple, ({0: torch.export.Dim("b"), 2: height, 3: width},),
        examples, f"{translator.direction}; heights and widths of source are multiples of {multiple}",
    )  # fmt: skip


def without_noise(system: System) -> System:
    """A copy of a system that translates without its dropout, as if nothing were drawn at random."""
    system = copy.deepcopy(system)
    for module in list(system.modules()):
        for name, child in module.named_children():
            if isinstance(child, NoiseDropout):
                setattr(module, name, nn.Identity())
    return system


def _translated(translator: Translator, source: Tensor) -> Example:
    height, width = source.shape[2:]
    return Example({"source": source}, translator(source, range(len(source))), f"{width}x{height}")


def _noise(count: int, channels: int, height: int, width: int) -> Float[Tensor, "B C H W"]:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(height)) * 2 - 1
