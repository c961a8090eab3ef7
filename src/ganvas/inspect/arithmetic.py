"""Arithmetic on latents: concepts as means over seeds, added and subtracted (Radford et al. 2016, section 6.3.2)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.engine.seeding import seed_for
from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.inspect.latents import at_latents, label_of, prior_of, system_of
from ganvas.inspect.sheet import Row, draw_sheet, fitting
from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.nn.latent import Prior
from ganvas.run import Run

EXAMPLE = "smiling woman=3,17,42 - neutral woman=1,9,12 + neutral man=5,6,7"
LEAST = 3
"""Exemplars of a concept."""
NEARBY = 0.25
"""Of the prior's scale: how far the neighbours of a result are from it, at most, in each coordinate."""

_TERM = re.compile(r"\s*([+-]?)\s*([^=+\-\s][^=]*?)\s*=\s*(\d+(?:\s*,\s*\d+)*)\s*")


@dataclass(frozen=True)
class Group:
    """A concept: seeds whose pictures show it.

    Attributes:
        name: What the pictures have in common.
        seeds: Three or more. The mean of their latents stands for the concept.
        sign: 1 if it is added, -1 if subtracted.
    """

    name: str
    seeds: tuple[int, ...]
    sign: int = 1

    def __post_init__(self) -> None:
        """Checks the group.

        Raises:
            UserError: It has fewer than three seeds, or one below 0; or the sign is neither.
        """
        if len(set(self.seeds)) < max(LEAST, len(self.seeds)):
            given = ", ".join(map(str, self.seeds)) or "none"
            raise UserError(
                f"{self.name!r} needs {LEAST} or more different seeds, not {given}: single exemplars are unstable, "
                "the mean of several stands for what they share"
            )
        if min(self.seeds) < 0 or self.sign not in (1, -1):
            raise UserError(f"{self.name!r} needs seeds of 0 or more and a sign of 1 or -1")


@dataclass(frozen=True)
class Arithmetic:
    """What came of it; pictures are in [-1, 1], on the CPU.

    Attributes:
        z: The sum, as `prior` has latents.
        exemplars: For each group, one picture a seed.
        means: A picture at each group's mean latent.
        block: Pictures at `z`, the fifth, and at eight latents near it, to be laid out 3 x 3.
    """

    z: Float[Tensor, " Z"]
    exemplars: tuple[Float[Tensor, "N C H W"], ...]
    means: Float[Tensor, "G C H W"]
    block: Float[Tensor, "nine C H W"]


def arithmetic(
    run: Run | System, groups: Sequence[Group], conditions: Mapping[str, Tensor] | None = None
) -> Arithmetic:
    """Adds and subtracts concepts in latent space, as figure 7 of Radford et al. 2016.

    Args:
        run: A run, or a system in eval mode.
        groups: One or more.
        conditions: What all pictures are conditioned on, each (1, ...); see `at_latents`.

    Raises:
        UserError: There is no group, or the system draws from no noise.
    """
    system = system_of(run)
    prior = prior_of(system)
    if not groups:
        raise UserError(f'arithmetic needs groups of seeds, such as "{EXAMPLE}"')
    z = combined(prior, groups)
    exemplars = [at_latents(system, prior.seeded(group.seeds), conditions) for group in groups]
    means = torch.stack([mean_latent(prior, group) for group in groups])
    return Arithmetic(
        z, tuple(exemplars), at_latents(system, means, conditions), at_latents(system, around(prior, z), conditions)
    )


def mean_latent(prior: Prior, group: Group) -> Float[Tensor, " Z"]:
    """The mean of a group's latents."""
    return prior.seeded(group.seeds).double().mean(0).float()


def combined(prior: Prior, groups: Sequence[Group]) -> Float[Tensor, " Z"]:
    """The sum of the groups' means, each with its sign."""
    means = [group.sign * prior.seeded(group.seeds).double().mean(0) for group in groups]
    return torch.stack(means).sum(0).float()


def around(prior: Prior, z: Float[Tensor, " Z"]) -> Float[Tensor, "nine Z"]:
    """`z`, the fifth, among eight latents at z + U(-0.25, 0.25) in units of the prior's scale, the same every time."""
    generator = torch.Generator().manual_seed(seed_for("latents around another", len(z)))
    noise = (torch.rand(9, len(z), generator=generator) * 2 - 1) * NEARBY * prior.scale
    noise[4] = 0
    return z + noise


def read_groups(text: str) -> tuple[Group, ...]:
    """Groups as the command line has them: `NAME=SEED,SEED,SEED`, with + or - before all but the first.

    Raises:
        UserError: The text is not such, or a group has fewer than three seeds.
    """
    groups: list[Group] = []
    at = 0
    while at < len(text) or not groups:
        found = _TERM.match(text, at)
        if found is None or (groups and not found[1]):
            raise UserError(f'arithmetic is not understood at {text[at:].strip() or "its end"!r}: write "{EXAMPLE}"')
        seeds = tuple(int(seed) for seed in found[3].split(","))
        groups.append(Group(found[2], seeds, -1 if found[1] == "-" else 1))
        at = found.end()
    return tuple(groups)


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws a row a group, with its mean and its exemplars, and the sum among its neighbours.

    Raises:
        NotMade: No groups were named, there is no checkpoint, or the system draws from no noise.
    """
    groups = subject.asked.groups
    if not groups:
        raise NotMade(f'no groups of seeds were named; look at samples, choose some, and give --arithmetic "{EXAMPLE}"')
    prior = subject.prior
    label = label_of(subject.system, subject.asked.label, groups[0].seeds[0])
    found = arithmetic(subject.system, groups, label)
    columns = max(3, min(1 + max(len(group.seeds) for group in groups), fitting(subject.run.config.size, 9)))
    rows = []
    for i, (group, exemplars) in enumerate(zip(groups, found.exemplars, strict=True)):
        cells = torch.cat([found.means[i : i + 1], exemplars])[:columns]
        seeds = ["mean", *(f"seed {seed}" for seed in group.seeds)][:columns]
        sign = "-" if group.sign < 0 else "+" if i else ""
        rows.append(Row(f"{sign} {_short(group.name)}".strip(), cells, seeds, apart=True))
    for i, name in enumerate(("", "result, in the\nmiddle, among\nits neighbours", "")):
        rows.append(Row(name, found.block[3 * i : 3 * i + 3], apart=i == 0))
    title = f"{subject.name}, step {subject.run.step}: arithmetic on latents"
    draw_sheet(path, title, rows, [""] * columns, subject.texts)
    usual = prior.scale * (len(found.z) / (3 if prior.kind == "uniform" else 1)) ** 0.5
    length = float((found.z - prior.centre).norm()) / usual
    formula = " ".join(f"{'-' if group.sign < 0 else '+'} {group.name}" for group in groups).removeprefix("+ ")
    caption = (
        f"{formula}. Each row: the picture at the mean of a group's latents, then the pictures of its seeds. Below, "
        "the picture at the sum of the means, in the middle, and at eight latents near it, each number of which is off "
        f"by up to {NEARBY} of the prior's scale. The sum is {length:.2f} times as long as latents usually are."
    )
    if label:
        caption += f" All are of the class {subject.run.classes[int(label['label'])]}."
    named = [{"name": group.name, "seeds": [*group.seeds], "sign": group.sign} for group in groups]
    return Drawn(caption, numbers={"groups": named, "length": length})


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
