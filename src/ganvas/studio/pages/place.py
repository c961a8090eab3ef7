"""*Text and layout*: pictures of a caption, with their object in a box or its parts at keypoints that are moved."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor

from ganvas.conditions import box_of, completed, keypoints_of, repeated
from ganvas.engine.system import Batch
from ganvas.errors import UserError
from ganvas.run import Run
from ganvas.studio.actions import Ask, Line, Name, Seed, Share, action
from ganvas.studio.panel import panel
from ganvas.studio.pictures import uris
from ganvas.studio.studio import Opened, Studio
from ganvas.text.encoders import Encoder

TITLE, ADDRESS = "Text and layout", "place"
WORDS = "Say what is to be drawn, and move where."

MOST = 16
"""Pictures at once."""

ASKED_FOR = frozenset({"text", "boxes", "keypoints"})

CAPTIONS = 64
"""Captions whose vectors are kept, so that only what is new is encoded."""

Shares = Annotated[list[Share], Field(min_length=4, max_length=4)]
Point = Annotated[list[Share], Field(min_length=2, max_length=2)]


class Drawing(Ask):
    """Pictures of seeds that follow each other, all of one caption and one layout; what is left out the run chooses.

    With a second caption they are of what lies between the two, `share` of the way to the second.
    """

    run: Name
    seed: Seed
    n: Annotated[int, Field(ge=1, le=MOST)]
    text: Line = ""
    to_text: Line = ""
    share: Share = 0.0
    box: Shares | None = None
    keypoints: Annotated[list[Point | None], Field(max_length=100)] | None = None
    complete: Name | None = None


def fits(studio: Studio) -> bool:
    """Whether a run draws of captions or layouts."""
    return bool(studio.fitting(told))


def told(opened: Opened) -> bool:
    """Whether it is told what to draw by a caption, or where."""
    return opened.draws and not ASKED_FOR.isdisjoint(opened.untrained.needs)


def build(studio: Studio) -> None:
    """The page."""
    runs = [
        opened.facts()
        | {"captions": encodes(opened), "completions": [other.name for other in completions(studio, opened)]}
        | {"of": list(opened.settings.data["classes"])[:12]}
        for opened in studio.fitting(told)
    ]
    panel("place", [action(draw, studio)], {"runs": runs})


def draw(studio: Studio, asked: Drawing) -> dict[str, Any]:
    """Pictures, and where in each the box and the parts are, also those that nobody has placed."""
    seeds = list(range(asked.seed, asked.seed + asked.n))
    with studio.at_work(asked.run) as run:
        given, doubts = given_of(run, asked)
        conditions = run.system.standing.filled(seeds, repeated(given, asked.n))
        if asked.complete is not None and asked.keypoints is not None:
            with studio.at_work(asked.complete) as other:
                found = completed(run, other, conditions["keypoints"], conditions["text"], seeds)
            conditions["keypoints"] = found
        pictures = run.sample(asked.n, asked.seed, conditions=conditions)
        step = run.step
    return {
        "pictures": uris(pictures),
        "names": [f"seed {seed}" for seed in seeds],
        "boxes": conditions["boxes"].tolist() if "boxes" in conditions else None,
        "keypoints": conditions["keypoints"].tolist() if "keypoints" in conditions else None,
        "doubts": doubts,
        "said": f"Step {step:,}",
    }


def given_of(run: Run, asked: Drawing) -> tuple[Batch, str]:
    """What is asked for as tensors of one picture, and what is doubtful about the captions.

    Raises:
        UserError: It cannot be, or there is a second caption without a first.
    """
    found: Batch = {}
    doubts = ""
    texts = [text for text in (asked.text.strip(), asked.to_text.strip()) if text]
    if texts:
        if not asked.text.strip():
            raise UserError("a way to the second caption begins at a first one: write that too")
        encoder = encoder_of(run)
        vectors = [vector_of(encoder, text) for text in texts]
        found["text"] = torch.lerp(vectors[0], vectors[-1], asked.share)[None]
        doubts = encoder.doubts(texts)
    if asked.box is not None:
        found["boxes"] = box_of(run, asked.box)[None]
    if asked.keypoints is not None:
        found["keypoints"] = keypoints_of(run, asked.keypoints)[None]
    return found, doubts


def completions(studio: Studio, opened: Opened) -> list[Opened]:
    """The open runs that complete keypoints as this run takes them: of the same parts, with captions of one encoder."""
    ours = opened.settings.data
    if "keypoints" not in opened.untrained.needs:
        return []
    return [
        other
        for other in studio.opened.values()
        if hasattr(other.untrained, "complete")
        and other.settings.data["parts"] == ours["parts"]
        and other.settings.data["encoder"]["hash"] == ours["encoder"]["hash"]
    ]


def encodes(opened: Opened) -> bool:
    """Whether captions can be written: not where a run learnt from a file of vectors."""
    known = opened.settings.data.get("encoder")
    return bool(known) and Path(known["name"]).suffix.lower() not in (".npy", ".safetensors")


_encoders: dict[str, Encoder] = {}


def encoder_of(run: Run) -> Encoder:
    """The encoder of a run, one for all runs that have the same: each takes memory and seconds.

    Raises:
        UserError: See `Run.encoder`.
    """
    known = (run.settings.data.get("encoder") or {}).get("hash", "")
    if known not in _encoders:
        _encoders[known] = run.encoder
    return _encoders[known]


@lru_cache(CAPTIONS)
def vector_of(encoder: Encoder, text: str) -> Float[Tensor, " E"]:
    """The vector of a caption."""
    return encoder.encode([text])[0]
