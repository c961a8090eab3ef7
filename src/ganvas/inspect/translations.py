"""What a run that translates makes of pictures of its data, and what its discriminator says of each place."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from ganvas.data import open_data
from ganvas.data.resizing import enlarge
from ganvas.discriminators import Condition
from ganvas.discriminators.maps import WithMaps
from ganvas.engine.seeding import seed_generators
from ganvas.engine.system import Batch, System
from ganvas.errors import UserError
from ganvas.inspect.sheet import Row, draw_sheet, fitting
from ganvas.inspect.subject import Drawn, NotMade, Subject

MOST = 12
"""Pictures on the sheet."""


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws sources, translations and true counterparts in rows, for every direction.

    Raises:
        NotMade: The system does not translate pictures, or there is no data or no checkpoint.
    """
    run = subject.run
    try:
        system = run.system
    except UserError as error:
        raise NotMade(str(error)) from error
    if not system.sides:
        raise NotMade("the system draws pictures from noise; it translates none")
    if run.config.size == 1:
        raise NotMade("the system translates numbers, not pictures")
    batch = examples(subject, fitting(run.config.size, MOST))
    rows: list[Row] = []
    for direction in system.directions:
        rows += _rows(system, batch, direction, subject.seed)
    title = f"{subject.name}, step {run.step}: translations"
    draw_sheet(path, title, rows, [""] * len(batch["source"]), subject.texts, scale="D: probability real")
    caption = "Pictures of the data, cut and mirrored as in training, what they are translated into"
    caption += ", and what they belong to." if system.sides == "paired" else "."
    if any(row.cells.ndim == 3 for row in rows):
        caption += " Maps are the sigmoid of the discriminator's logits, each where its patch lies, bright for real."
    return Drawn(caption)


def examples(subject: Subject, count: int) -> Batch:
    """`source` and `image` of pictures of a translating run's data, cut and mirrored as in training.

    Args:
        subject: The run, and where its data is.
        count: How many, if there are as many.

    Raises:
        NotMade: The data is not there.
    """
    run = subject.run
    config, options = run.config, run.settings.chosen.data
    try:
        data = open_data(
            subject.source, options, size=config.size, channels=config.channels,
            source_channels=config.source_channels, sides=run.system.sides, scale=run.system.scale,
        )  # fmt: skip
    except UserError as error:
        raise NotMade(f"the pictures are not there: {error}") from error
    count = min(count, len(data))
    return data.sampler(batch=count, seed=subject.seed, options=options, device="cpu", size=config.size).batch(0)


def _rows(system: System, batch: Batch, direction: str, seed: int) -> list[Row]:
    """The rows of one direction; a map where the discriminator of its end has more than one logit a picture."""
    given, truth = batch["source"], batch["image"]
    if direction == "BtoA":
        given, truth = truth, given
    device = next(system.parameters()).device
    seed_generators(seed, device)
    with torch.no_grad():
        output = system.translate(given.to(device), range(seed, seed + len(given)), direction).float().cpu()
    shown_source = enlarge(given, system.scale, "nearest")
    rows = [Row(direction[0], shown_source, apart=True), Row(f"{direction[0]} to {direction[-1]}", output)]
    judge = _judge(system, direction[-1])
    shown = _map(judge, output, given, device)
    if shown is not None:
        rows.append(Row("D", shown))
    if system.sides == "paired":
        rows.append(Row(f"true {direction[-1]}", truth))
        shown = _map(judge, truth, given, device)
        if shown is not None:
            rows.append(Row("D", shown))
    return rows


def _judge(system: System, side: str) -> nn.Module:
    """The discriminator of a side; nothing to be asked where there is none."""
    network: nn.Module = system.discriminator
    return network[side] if isinstance(network, nn.ModuleDict) else network


def _map(
    judge: nn.Module, images: Float[Tensor, "B C H W"], source: Tensor, device: torch.device
) -> Float[Tensor, "B H W"] | None:
    """Probabilities from 0 to 1 at every place; None if there is no discriminator, or none with several logits."""
    if isinstance(judge, nn.Identity):
        return None
    condition = Condition(maps=source.to(device)) if isinstance(judge, WithMaps) else None
    with torch.no_grad():
        heads = judge(images.to(device), condition).heads.values()
    local = next((head for head in heads if head.dim() == 4), None)
    if local is None:
        return None
    return F.interpolate(torch.sigmoid(local.float()), images.shape[2:], mode="nearest")[:, 0].cpu()
