"""*Compare*: runs side by side, on the same seeds or the same picture, and their numbers under them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from ganvas.compare import Group, unlike
from ganvas.engine.system import Batch
from ganvas.errors import UserError
from ganvas.inspect.subject import NotMade, Subject
from ganvas.inspect.translations import examples
from ganvas.report.page import plain_text
from ganvas.report.quantities import Row, rows_of
from ganvas.report.read import RunRecord
from ganvas.run import Run
from ganvas.studio.actions import Ask, Line, Name, Seed, action
from ganvas.studio.pages.translate import Direction, inputs, resized
from ganvas.studio.panel import panel
from ganvas.studio.pictures import MOST_BYTES, Upload, decoded, tensor_of, uris
from ganvas.studio.studio import Opened, Studio

TITLE, ADDRESS = "Compare", "compare"
WORDS = "Runs side by side: what they make of the same seeds or of the same picture, and their numbers."

MOST = 4
"""Runs at a time."""

PICTURES = 16
"""Of each run at a time."""

LONGEST_SIDE = 512
"""Of a picture that is translated, pixels."""

EXAMPLES = 16
"""Training pictures to choose from."""


class Drawing(Ask):
    """Pictures of one run, for its row."""

    run: Name
    seed: Seed
    n: Annotated[int, Field(ge=1, le=PICTURES)]
    label: Annotated[str, Field(max_length=200)] | None = None
    text: Line = ""


class Example(Ask):
    """A training picture of a run."""

    run: Name
    number: Annotated[int, Field(ge=0, lt=EXAMPLES)]
    direction: Direction


class Translating(Ask):
    """What one run makes of a picture."""

    run: Name
    picture: Upload
    direction: Direction


class Measuring(Ask):
    """The numbers of runs."""

    runs: Annotated[list[Name], Field(min_length=1, max_length=MOST)]


def fits(studio: Studio) -> bool:
    """Whether there are two that make pictures in the same way."""
    return any(len(names) > 1 for names in kinds(studio).values())


def kinds(studio: Studio) -> dict[str, list[str]]:
    """The names of runs that can stand side by side, by what they make pictures of."""
    found: dict[str, list[str]] = {}
    for opened in studio.opened.values():
        if kind := kind_of(opened):
            found.setdefault(kind, []).append(opened.name)
    return found


def kind_of(opened: Opened) -> str:
    """What a run makes pictures of; runs of one kind take the same. Empty if it makes none."""
    if opened.draws:
        return "noise"
    scale = opened.untrained.scale
    known = opened.translates and opened.config.size > 1
    if not known or any(inputs(opened, direction) not in (1, 3) for direction in opened.untrained.directions):
        return ""
    return "other pictures" if scale == 1 else f"pictures that are {scale} times smaller"


def build(studio: Studio) -> None:
    """The page."""
    together = kinds(studio)
    runs = [
        studio.find(name).facts() | {"kind": kind}
        for kind, names in together.items()
        if len(names) > 1
        for name in names
    ]
    actions = [action(function, studio) for function in (draw, translate, numbers)]
    if not studio.public:
        actions.append(action(example, studio))
    facts = {"runs": runs, "most": MOST, "bytes": MOST_BYTES, "examples": 0 if studio.public else EXAMPLES}
    panel("compare", actions, facts)


def draw(studio: Studio, asked: Drawing) -> dict[str, Any]:
    """Pictures of seeds that follow each other: of one run, of a class or caption where it has such."""
    with studio.at_work(asked.run) as run:
        given: dict[str, Any] = {}
        if asked.label is not None:
            given["classes"] = asked.label
        if asked.text.strip() and "text" in run.needs:
            given["text"] = asked.text.strip()
        pictures = run.sample(asked.n, asked.seed, **given)
        step = run.step
    names = [f"seed {seed}" for seed in range(asked.seed, asked.seed + asked.n)]
    return {"pictures": uris(pictures), "names": names, "step": step}


def translate(studio: Studio, asked: Translating) -> dict[str, Any]:
    """What one run makes of a picture, which is made as small as those that it learnt from, or is enlarged."""
    opened = translating(studio, asked.run)
    scale = opened.untrained.scale
    pixels = decoded(asked.picture, inputs(opened, asked.direction), LONGEST_SIDE // scale)
    if scale == 1:
        pixels = resized(pixels, opened.config.size)
    with studio.at_work(asked.run) as run:
        made = run.translate(tensor_of(pixels), direction=asked.direction)
        step = run.step
    return {"pictures": uris(made), "names": [f"{made.shape[3]} × {made.shape[2]} pixels"], "step": step}


def translating(studio: Studio, name: str) -> Opened:
    """A run that translates.

    Raises:
        UserError: It does not.
    """
    opened = studio.find(name)
    if not opened.translates:
        raise UserError(f"{name} translates no pictures")
    return opened


def example(studio: Studio, asked: Example) -> dict[str, Any]:
    """A picture of a run's own data that can be translated, and what it belongs to if that is known."""
    opened = translating(studio, asked.run)
    with studio.at_work(asked.run) as run:
        found = opened.keep("pictures to compare on", lambda: examples_of(run))
        paired = run.system.sides == "paired"
    given, truth = found["source"], found["image"]
    if asked.direction == "BtoA":
        given, truth = truth, given
    number = asked.number % len(given)
    return {"picture": uris(given[number, None])[0], "truth": uris(truth[number, None])[0] if paired else ""}


def examples_of(run: Run) -> Batch:
    """`source` and `image` of training pictures.

    Raises:
        UserError: There are none.
    """
    try:
        return examples(Subject(run, None, EXAMPLES, 0), EXAMPLES)
    except NotMade as why:
        raise UserError(f"there is no picture of the data: {why}") from why


def numbers(studio: Studio, asked: Measuring) -> dict[str, Any]:
    """Scores, parameters, steps and time of runs, a column each, and what keeps them from being compared."""
    opened = [studio.find(name) for name in dict.fromkeys(asked.runs)]
    records = [record_of(one) for one in opened]
    rows, warnings = rows_of([[record] for record in records])
    groups = [Group(one.name, [record]) for one, record in zip(opened, records, strict=True)]
    about = [
        ("system", [f"{one.settings.system} {one.settings.preset}" for one in opened]),
        ("data", [Path(one.settings.source).name for one in opened]),
        ("steps", [f"{record.step:,}" for record in records]),
        ("parameters", [f"{sum(parameters(one).values()):,}" for one in opened]),
    ]
    about += [(f"  {name}", cells) for name, cells in by_network(opened)]
    return {
        "names": [one.name for one in opened],
        "about": about,
        "scores": [of_row(row, len(opened)) for row in rows if row.kind == "score"],
        "others": [of_row(row, len(opened)) for row in rows if row.kind != "score"],
        "warnings": [*unlike(groups), *warnings],
        "thinned": any(one.progress.thinned > 1 for one in opened),
    }


def record_of(opened: Opened) -> RunRecord:
    """What a run has logged, under the name that the page knows it by."""
    while opened.progress.read() < 1:
        pass
    return dataclasses.replace(opened.progress.record(), path=Path(opened.name))


def of_row(row: Row, count: int) -> dict[str, Any]:
    """A row of the table, and how a score was measured."""
    protocol = [[name, plain_text(value)] for name, value in (row.protocol or {}).items()]
    return {
        "name": row.name,
        "better": row.better,
        "cells": [row.cell(place) for place in range(count)],
        "protocol": protocol,
    }


def parameters(opened: Opened) -> dict[str, int]:
    """Parameters of each network."""
    found, seen = {}, set[int]()
    for name, network in opened.untrained.named_children():
        # A network that a loss refers to as well is counted where it comes first.
        own = {id(parameter): parameter.numel() for parameter in network.parameters()}
        count = sum(number for key, number in own.items() if key not in seen)
        seen |= own.keys()
        if count:
            found[name] = count
    return found


def by_network(opened: Sequence[Opened]) -> list[tuple[str, list[str]]]:
    """A row for each network that one of the runs has."""
    counts = [parameters(one) for one in opened]
    names = dict.fromkeys(name for of in counts for name in of)
    return [(name, [f"{of[name]:,}" if name in of else "-" for of in counts]) for name in names]
