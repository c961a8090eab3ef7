"""*Translate*: a picture that is drawn or uploaded, and beside it what a run makes of it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image
from pydantic import Field
from torch import Tensor

from ganvas.data.decode import background_colour, pixels_of
from ganvas.engine.system import Batch
from ganvas.inspect.subject import NotMade, Subject
from ganvas.inspect.translations import examples
from ganvas.nn.dropout import NoiseDropout
from ganvas.studio.actions import Ask, Name, Seed, action
from ganvas.studio.panel import panel
from ganvas.studio.pictures import MOST_BYTES, Upload, decoded, uri_of, uris
from ganvas.studio.studio import Opened, Studio
from ganvas.translation.tiles import Tiling, translate_tiled, translate_whole
from ganvas.viz.grids import to_bytes

TITLE, ADDRESS = "Translate", "translate"
WORDS = "Draw or upload a picture and see what the run makes of it."

MOST = 1024
"""Pixels: the longest side of what is translated; larger pictures are made smaller."""

EXAMPLES = 12
"""Training pictures that are offered to start from."""

Direction = Literal["AtoB", "BtoA"]


class Beginning(Ask):
    """A way to translate."""

    run: Name
    direction: Direction


class Taking(Ask):
    """A picture to start from."""

    run: Name
    direction: Direction
    picture: Upload


class Translating(Ask):
    """A picture to translate, `side` pixels on its shorter side."""

    run: Name
    direction: Direction
    picture: Upload
    side: Annotated[int, Field(ge=1, le=MOST)]
    seed: Seed = 0


def fits(studio: Studio) -> bool:
    """Whether a run turns pictures into others of the same size."""
    return bool(studio.fitting(drawable))


def drawable(opened: Opened) -> bool:
    """Whether what it translates can be drawn: pictures, gray or in colours."""
    if not opened.translates or opened.untrained.scale > 1 or opened.config.size == 1:
        return False
    return all(inputs(opened, direction) in (1, 3) for direction in opened.untrained.directions)


def inputs(opened: Opened, direction: str) -> int:
    """Channels of what is translated in a direction."""
    return int(opened.config.source_channels if direction == "AtoB" else opened.config.channels)


def build(studio: Studio) -> None:
    """The page."""
    runs = [
        opened.facts()
        | {"inputs": {direction: inputs(opened, direction) for direction in opened.untrained.directions}}
        | {"random": at_random(opened), "ground": ground(opened)}
        for opened in studio.fitting(drawable)
    ]
    actions = [action(translate, studio), action(take, studio)]
    if not studio.public:
        actions.append(action(begin, studio))
    panel("translate", actions, {"runs": runs, "data": not studio.public, "most": MOST, "bytes": MOST_BYTES})


def translate(studio: Studio, asked: Translating) -> dict[str, Any]:
    """What becomes of a picture."""
    opened = studio.find(asked.run)
    pixels = resized(decoded(asked.picture, inputs(opened, asked.direction), MOST), asked.side)
    height, width, _ = pixels.shape
    with studio.at_work(asked.run) as run:
        translator = run.translator(asked.direction)
        tiling = Tiling.fitting(None, None, None, translator.multiple)
        if tiling.whole(height, width):
            drawn = translate_whole(translator, [pixels], [asked.seed])[0]
        else:
            drawn = translate_tiled(translator, pixels, asked.seed, tiling)
        step = run.step
    shown = drawn[:, :, :3] if drawn.shape[2] >= 3 else drawn[:, :, :1]
    return {"picture": uri_of(shown), "words": f"{width}x{height} pixels, step {step:,}"}


def take(studio: Studio, asked: Taking) -> dict[str, Any]:
    """An upload as it is shown and translated: upright, on white, gray where the run takes gray, bounded."""
    pixels = decoded(asked.picture, inputs(studio.find(asked.run), asked.direction), MOST)
    height, width, _ = pixels.shape
    return {"picture": uri_of(pixels), "width": width, "height": height}


def begin(studio: Studio, asked: Beginning) -> dict[str, Any]:
    """Training pictures to start from, and the colour that most of them is, which is what a sheet is blank in."""
    opened = studio.find(asked.run)
    found = training_pictures(studio, opened)
    if isinstance(found, str):
        return {"pictures": [], "ground": ground(opened), "note": found}
    given = found["source" if asked.direction == "AtoB" else "image"]
    return {"pictures": uris(given), "ground": commonest(given), "note": ""}


def training_pictures(studio: Studio, opened: Opened) -> Batch | str:
    """A few pictures of both sides of the training data, kept; words if there are none."""
    with studio.at_work(opened.name) as run:
        _ = run.system
    # Others may compute meanwhile: data that has to be prepared again takes long.
    found: Batch | str = opened.keep("examples", lambda: examples_of(Subject(run, None, EXAMPLES, 0)))
    return found


def examples_of(subject: Subject) -> Batch | str:
    """Pictures of both sides of the training data; words if there are none."""
    try:
        return examples(subject, subject.n)
    except NotMade as why:
        return f"There are no training pictures to start from: {why}."


def resized(pixels: UInt8[np.ndarray, "H W C"], side: int) -> UInt8[np.ndarray, "h w C"]:
    """A picture whose shorter side has so many pixels, as training resizes; fewer if the longer one had over `MOST`."""
    height, width, channels = pixels.shape
    factor = min(side / min(height, width), MOST / max(height, width))
    size = max(1, round(width * factor)), max(1, round(height * factor))
    if size == (width, height):
        return pixels
    image = Image.fromarray(pixels[:, :, 0] if channels == 1 else pixels)
    return pixels_of(image.resize(size, Image.Resampling.LANCZOS), channels)


def ground(opened: Opened) -> str:
    """What lies behind the pictures of the data, `#rrggbb`."""
    return in_hex(background_colour(opened.settings.chosen.data))


def commonest(images: Float[Tensor, "B C H W"]) -> str:
    """The colour that most pixels of some pictures have, `#rrggbb`."""
    pixels = to_bytes(images)
    colours, counts = np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0, return_counts=True)
    colour = colours[counts.argmax()]
    return in_hex(colour if len(colour) == 3 else colour.repeat(3))


def in_hex(colour: tuple[int, ...] | UInt8[np.ndarray, "3"]) -> str:
    """`#rrggbb`."""
    return "#" + "".join(f"{value:02x}" for value in colour)


def at_random(opened: Opened) -> bool:
    """Whether a seed makes a difference: noise inside of the generator is at work when it translates."""
    kept = any(isinstance(module, NoiseDropout) for module in opened.untrained.modules())
    return kept and getattr(opened.config, "test_dropout", True)
