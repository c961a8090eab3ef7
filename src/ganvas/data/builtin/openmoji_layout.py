"""`openmoji-layout`: OpenMoji drawn somewhere on a soft background, with box, keypoints and captions.

They are CC BY-SA 4.0: say so beside whatever is made from them. Nobody marked these pictures: they are made by us, and
so are the marks. Each emoji is drawn four times, each time at another place, size and background; both are fixed by its
code points. The box is that of the drawing, the keypoints `top`, `bottom`, `left` and `right` are its outermost points:
both are measured once, on `MEASURED` pixels, and are right to a pixel in pictures of up to 360 pixels. All of the
emoji is inside and all keypoints are visible. Captions are those of `openmoji-captions` and say nothing of the place.

    openmoji-layout                               animals-nature and food-drink: 1,152 pictures of 288 emoji
    openmoji-layout:train                         nine of ten emoji, chosen by a hash of the code points
    openmoji-layout:test                          the others
    openmoji-layout:test+activities               of another category
"""

from __future__ import annotations

import functools
import io
import math
import random
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ganvas.data.builtin.openmoji import LICENCE, NOT_BY_DEFAULT, Renderers, drawing, emoji, slug, versions
from ganvas.data.builtin.openmoji_captions import captions
from ganvas.data.builtin.openmoji_outlines import PARTS, TEST_SHARE, digest_of
from ganvas.data.options import DataOptions, worker_count
from ganvas.data.parallel import in_order
from ganvas.data.source import Item, Progress, Source
from ganvas.errors import UserError

BY_DEFAULT = ("animals-nature", "food-drink")
VARIANTS = 4
SIZES = (0.35, 0.8)
"""The longer side of the box, as a share of the picture's."""

MEASURED = 288
"""Pixels: the side that an emoji is drawn with to find its outermost points."""

SVG = "http://www.w3.org/2000/svg"
METHOD = 1
"""Part of every token. Raise it when a change of the code changes the pixels."""


@dataclass(frozen=True)
class Outline:
    """Where the drawing of an emoji is in its own square, as shares of that.

    Attributes:
        box: x, y, width and height.
        points: x and y of each outermost point, by its name.
    """

    box: tuple[float, float, float, float]
    points: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Scene:
    """One picture: an emoji and where it is.

    Attributes:
        path: Its SVG.
        left: Where its own square begins, as a share of the picture.
        top: The same from above.
        side: The side of that square, the same.
        background: What is behind it, in SVG, of a picture that is 1 wide and high.
    """

    path: Path
    left: float
    top: float
    side: float
    background: str

    def svg(self, *, emoji: bool = True) -> str:
        """The picture, or only what is behind the emoji."""
        parts = [f'<svg xmlns="{SVG}" viewBox="0 0 1 1">', self.background]
        if emoji:
            ElementTree.register_namespace("", SVG)
            root = ElementTree.fromstring(self.path.read_text(encoding="utf-8"))
            place = {"x": self.left, "y": self.top, "width": self.side, "height": self.side}
            root.attrib.update({key: f"{value:.6f}" for key, value in place.items()})
            parts.append(ElementTree.tostring(root, encoding="unicode"))
        return "".join([*parts, "</svg>"])


def open_source(parts: str, options: DataOptions) -> Source:
    """The pictures with emoji of the chosen categories.

    Args:
        parts: `train`, `test` and category names as `openmoji.slug` writes them, joined by `+`; empty for the default.
        options: `workers` is used. Every picture is square, and its size is asked for when it is drawn.

    Raises:
        UserError: A package is missing, or there is no such part.
    """
    folder, every = emoji()
    there = sorted({slug(one.category) for one in every} - {*NOT_BY_DEFAULT})
    chosen = [part.strip().lower() for part in parts.split("+") if part.strip()]
    if unknown := [part for part in chosen if part not in there and part not in PARTS]:
        raise UserError(f"openmoji-layout has no part {unknown[0]!r}; there are {', '.join([*PARTS, *there])}.")
    splits = [part for part in PARTS if part in chosen] or PARTS
    classes = [name for name in there if name in chosen] or list(BY_DEFAULT)
    found = []
    for one in sorted(every, key=lambda one: (slug(one.category), one.unified)):
        path, category = drawing(folder, one), slug(one.category)
        split = PARTS[int(digest_of(one.unified)[:8], 16) < TEST_SHARE * 2**32]
        if path is not None and category in classes and split in splits:
            found.append((one, path, category))
    renderers = Renderers()
    items = []
    with in_order(
        functools.partial(_measured, renderers), (path for _, path, _ in found), worker_count(options)
    ) as all_of:
        for (one, path, category), outline in zip(found, all_of, strict=True):
            for variant in range(VARIANTS):
                scene = _scene(path, outline, random.Random(f"{one.unified} {variant}"))
                columns = {"text": captions(one), "codepoints": one.unified, **_marks(scene, outline)}
                read = functools.partial(_drawn, renderers, scene)
                items.append(Item(f"{category}/{one.unified}-{variant}", read, classes.index(category), columns))

    def tokens(progress: Progress) -> list[str]:
        return [f"openmoji-layout-{METHOD}-{versions()}:{item.name}" for item in items]

    name = "openmoji-layout" + (f":{'+'.join(dict.fromkeys(chosen))}" if chosen else "")
    return Source(
        name, items, tokens, classes=classes, licence=LICENCE, coordinates="relative", release=renderers.close
    )


def outline_of(mask: NDArray[np.bool_]) -> Outline:
    """The box and the outermost points of a mask (N, N) that holds something.

    A point is the centre of a pixel of the mask: of those farthest out the one in the middle.
    """
    rows, columns = np.nonzero(mask)
    side = len(mask)
    points = {}
    for name, out, along in (
        ("top", -rows, columns), ("bottom", rows, columns), ("left", -columns, rows), ("right", columns, rows),
    ):  # fmt: skip
        farthest = np.flatnonzero(out == out.max())
        middle = farthest[np.argsort(along[farthest])[len(farthest) // 2]]
        points[name] = (float(columns[middle] + 0.5) / side, float(rows[middle] + 0.5) / side)
    left, top = int(columns.min()) / side, int(rows.min()) / side
    box = (left, top, int(columns.max() + 1) / side - left, int(rows.max() + 1) / side - top)
    return Outline(box, points)


def _measured(renderers: Renderers, path: Path) -> Outline:
    png = renderers.render(path.read_text(encoding="utf-8"), MEASURED)
    with Image.open(io.BytesIO(png)) as picture:
        return outline_of(np.asarray(picture.convert("RGBA"))[:, :, 3] >= 128)


def _scene(path: Path, outline: Outline, draw: random.Random) -> Scene:
    x, y, width, height = outline.box
    side = draw.uniform(*SIZES) / max(width, height)
    # Anywhere, but with the whole of the drawing inside.
    left, top = (draw.uniform(0, 1 - length * side) - start * side for start, length in ((x, width), (y, height)))
    return Scene(path, left, top, side, _background(draw))


def _marks(scene: Scene, outline: Outline) -> dict[str, object]:
    """The box and the keypoints as shares of the picture."""

    def placed(x: float, y: float) -> list[float]:
        return [round(scene.left + scene.side * x, 6), round(scene.top + scene.side * y, 6)]

    x, y, width, height = outline.box
    size = [round(scene.side * length, 6) for length in (width, height)]
    keypoints = {name: [*placed(*point), 1] for name, point in outline.points.items()}
    return {"bbox": [*placed(x, y), *size], "keypoints": keypoints}


def _background(draw: random.Random) -> str:
    """A plain colour, a slope from one to another in some direction or from a centre, or ground below a sky."""
    colours = [f"hsl({draw.uniform(0, 360):.1f},{draw.uniform(15, 70):.1f}%,{draw.uniform(62, 94):.1f}%)" for _ in "12"]
    return draw.choice([_plain, _slope, _glow, _horizon])(colours, draw)


def _plain(colours: list[str], draw: random.Random) -> str:
    return f'<rect width="1" height="1" fill="{colours[0]}"/>'


def _slope(colours: list[str], draw: random.Random) -> str:
    angle = draw.uniform(0, 2 * math.pi)
    x, y = 0.5 * math.cos(angle), 0.5 * math.sin(angle)
    ends = f'x1="{0.5 - x:.4f}" y1="{0.5 - y:.4f}" x2="{0.5 + x:.4f}" y2="{0.5 + y:.4f}"'
    return _filled("linearGradient", ends, colours)


def _glow(colours: list[str], draw: random.Random) -> str:
    centre = f'cx="{draw.uniform(0.2, 0.8):.4f}" cy="{draw.uniform(0.2, 0.8):.4f}" r="{draw.uniform(0.5, 0.9):.4f}"'
    return _filled("radialGradient", centre, colours)


def _horizon(colours: list[str], draw: random.Random) -> str:
    ground = f'<rect y="{draw.uniform(0.4, 0.8):.4f}" width="1" height="1" fill="{colours[1]}"/>'
    return _plain(colours, draw) + ground


def _filled(kind: str, where: str, colours: list[str]) -> str:
    stops = "".join(f'<stop offset="{i}" stop-color="{colour}"/>' for i, colour in enumerate(colours))
    # A name that no emoji uses.
    return f'<{kind} id="behind" {where}>{stops}</{kind}><rect width="1" height="1" fill="url(#behind)"/>'


def _drawn(renderers: Renderers, scene: Scene, side: int) -> bytes:
    return renderers.render(scene.svg(), side)
