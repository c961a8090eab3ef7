"""*Latent space*: walks from seed to seed, and sums of concepts that seeds stand for."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field
from torch import Tensor

from ganvas.engine.system import Batch
from ganvas.errors import UserError
from ganvas.inspect.arithmetic import LEAST, Group, arithmetic
from ganvas.inspect.latents import at_latents, label_of, prior_of
from ganvas.inspect.walks import FPS, SIDE, default_kind, trail
from ganvas.run import Run
from ganvas.studio.actions import Ask, Line, Name, Seed, action
from ganvas.studio.panel import panel
from ganvas.studio.pictures import uris
from ganvas.studio.studio import Opened, Studio
from ganvas.viz.animation import enlarged, gif
from ganvas.viz.grids import to_bytes

TITLE, ADDRESS = "Latent space", "latent"
WORDS = "Walk from seed to seed, or add and subtract what seeds have in common."

PALETTE = 24
"""Seeds that are shown to choose from at a time."""

MOST_VALUES = 12_000_000
"""Pixels of all frames of a walk."""


class Choosing(Ask):
    """Seeds to choose from."""

    run: Name
    first: Seed
    label: Annotated[int, Field(ge=0)] | None = None


class Walking(Ask):
    """A walk through seeds."""

    run: Name
    seeds: Annotated[list[Seed], Field(min_length=2, max_length=12)]
    steps: Annotated[int, Field(ge=1, le=48)]
    kind: Literal["spherical", "linear"] | None = None
    closed: bool = True
    label: Annotated[int, Field(ge=0)] | None = None


class Concept(Ask):
    """Seeds that have something in common."""

    name: Line
    seeds: Annotated[list[Seed], Field(max_length=24)]
    sign: Literal[1, -1]


class Adding(Ask):
    """A sum of concepts."""

    run: Name
    groups: Annotated[list[Concept], Field(min_length=1, max_length=6)]
    label: Annotated[int, Field(ge=0)] | None = None


def fits(studio: Studio) -> bool:
    """Whether a run draws from noise that there are latents of."""
    return bool(studio.fitting(walkable))


def walkable(opened: Opened) -> bool:
    """Whether there are latents between which to walk."""
    return opened.draws and opened.untrained.prior is not None


def build(studio: Studio) -> None:
    """The page."""
    runs = [opened.facts() for opened in studio.fitting(walkable)]
    actions = [action(function, studio) for function in (choose, walk, animation, add)]
    panel("latent", actions, {"runs": runs, "palette": PALETTE, "least": LEAST, "fps": FPS})


def choose(studio: Studio, asked: Choosing) -> dict[str, Any]:
    """Pictures of seeds, all of one class where one is chosen."""
    with studio.at_work(asked.run) as run:
        pictures = run.sample(PALETTE, asked.first, classes=asked.label)
    seeds = list(range(asked.first, asked.first + PALETTE))
    return {"pictures": uris(pictures), "seeds": seeds}


def walk(studio: Studio, asked: Walking) -> dict[str, Any]:
    """The frames of a walk."""
    with studio.at_work(asked.run) as run:
        frames, kind = frames_of(run, asked)
    closed = " and back" if asked.closed else ""
    return {"frames": uris(frames), "said": f"{len(frames)} pictures, {kind}, through {listed(asked.seeds)}{closed}"}


def animation(studio: Studio, asked: Walking) -> dict[str, Any]:
    """The same as a GIF, which says where its pictures come from."""
    with studio.at_work(asked.run) as run:
        frames, _ = frames_of(run, asked)
        texts = {"Software": "ganvas", "Source": f"{run.settings.system}, {asked.run}, step {run.step}"}
        texts |= {"Copyright": run.settings.data["licence"]} if run.settings.data["licence"] else {}
    shown = frames[:, :3] if frames.shape[1] >= 3 else frames[:, :1]
    data = gif(enlarged(to_bytes(shown), SIDE), FPS, texts)
    return {"gif": f"data:image/gif;base64,{base64.b64encode(data).decode()}"}


def add(studio: Studio, asked: Adding) -> dict[str, Any]:
    """What becomes of a sum of concepts, with the pictures that each stands for."""
    groups = [Group(group.name.strip() or f"group {n + 1}", tuple(group.seeds), group.sign)
              for n, group in enumerate(asked.groups)]  # fmt: skip
    with studio.at_work(asked.run) as run:
        found = arithmetic(run, groups, conditions_of(run, asked.label, groups[0].seeds[0]))
    rows = [
        {"name": f"{'+-'[group.sign < 0]} {group.name}", "pictures": uris(pictures), "mean": uris(mean[None])[0]}
        for group, pictures, mean in zip(groups, found.exemplars, found.means, strict=True)
    ]  # fmt: skip
    return {"rows": rows, "block": uris(found.block)}


def frames_of(run: Run, asked: Walking) -> tuple[Tensor, str]:
    """Pictures along a walk, and which way it goes.

    Raises:
        UserError: It has too many pictures.
    """
    prior = prior_of(run.system)
    count = len(asked.seeds) * asked.steps
    if count * run.config.size**2 > MOST_VALUES:
        most = MOST_VALUES // run.config.size**2
        raise UserError(f"{count} pictures are more than the {most} of this size that a walk may have here")
    kind = asked.kind or default_kind(prior)
    points = trail(prior.seeded(asked.seeds), asked.steps, kind, closed=asked.closed, centre=prior.centre)
    return at_latents(run.system, points, conditions_of(run, asked.label, asked.seeds[0])), kind


def conditions_of(run: Run, label: int | None, seed: int) -> Batch:
    """What all pictures are conditioned on, each (1, ...): what the first seed has, unless a class is chosen."""
    found: Batch = label_of(run.system, label, seed)
    if hasattr(run.system, "standing"):
        found = run.system.standing.filled([seed], found)
    return found


def listed(seeds: Sequence[int]) -> str:
    """Seeds for people to read."""
    return ", ".join(map(str, seeds))
