"""`openmoji-outlines`: pairs of an outline and the coloured emoji that it belongs to, drawn at any size.

They are CC BY-SA 4.0: say so beside whatever is made from them.

The outline is the drawing without its coloured groups, black lines on the background. The emoji are those of
`openmoji` but for the one sign that is drawn without lines; flags, of which only a frame would be left, and skin-tone
swatches are not to be had. 1,628 pairs, in an order that is shuffled but always the same, so that its halves are alike.

    openmoji-outlines                                    all
    openmoji-outlines:train                              nine of ten, chosen by a hash of the code points: 1,474
    openmoji-outlines:test                               the others: 154
    openmoji-outlines:train+animals-nature+food-drink    of two categories

Variants of one emoji (a man, a woman) have code points of their own and may be on both sides of that split.
"""

from __future__ import annotations

import functools
import hashlib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from ganvas.data.builtin.openmoji import LICENCE, NOT_BY_DEFAULT, Renderers, drawing, emoji, slug, versions
from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Progress, Source
from ganvas.errors import UserError

COLOURED = frozenset({"color", "hair", "skin", "skin-shadow", "color-foreground"})
"""Groups that are not outline. They may lie in one another, and beside the lines in groups without a name."""

NO_LINES = frozenset({"1F195"})
"""Emoji whose group of lines is empty."""

TEST_SHARE = 0.1
PARTS = ("train", "test")


def outline(svg: str) -> str:
    """The drawing without its coloured groups.

    Raises:
        ElementTree.ParseError: It is no XML.
    """
    ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
    root = ElementTree.fromstring(svg)
    for group in list(root.iter()):
        for child in list(group):
            if child.get("id") in COLOURED:
                group.remove(child)
    return ElementTree.tostring(root, encoding="unicode")


def open_sides(parts: str, options: DataOptions) -> tuple[Source, Source]:
    """The outlines and the coloured emoji.

    Args:
        parts: `train`, `test` and category names as `slug` writes them, joined by `+`; empty for all.
        options: Not used: every emoji is square, and its size is asked for when it is drawn.

    Raises:
        UserError: A package is missing, or there is no such part.
    """
    folder, every = emoji()
    there = sorted({slug(one.category) for one in every} - {*NOT_BY_DEFAULT})
    chosen = [part.strip().lower() for part in parts.split("+") if part.strip()]
    if unknown := [part for part in chosen if part not in there and part not in PARTS]:
        known = ", ".join([*PARTS, *there])
        raise UserError(f"openmoji-outlines has no part {unknown[0]!r}; there are {known}.")
    splits = [part for part in PARTS if part in chosen] or PARTS
    categories = [name for name in there if name in chosen] or there
    renderers = Renderers()
    sides: tuple[list[Item], list[Item]] = ([], [])
    for one in sorted(every, key=lambda one: digest_of(one.unified)):
        path, category = drawing(folder, one), slug(one.category)
        split = PARTS[int(digest_of(one.unified)[:8], 16) < TEST_SHARE * 2**32]
        if path is None or one.unified in NO_LINES or category not in categories or split not in splits:
            continue
        for items, lines_only in zip(sides, (True, False), strict=True):
            read = functools.partial(_drawn, renderers, path, lines_only)
            items.append(Item(f"{category}/{one.unified}", read, columns={"text": one.name.lower()}))

    def tokens(kind: str, progress: Progress) -> list[str]:
        return [f"openmoji-{versions()}:{item.name}:{kind}" for item in sides[0]]

    asked = f":{'+'.join(dict.fromkeys(chosen))}" if chosen else ""
    outlines, coloured = (
        Source(
            f"openmoji-outlines{asked} ({kind})",
            items,
            functools.partial(tokens, kind),
            licence=LICENCE,
            release=renderers.close,
        )
        for kind, items in zip(("outlines", "colour"), sides, strict=True)
    )
    return outlines, coloured


def digest_of(code_points: str) -> str:
    """What decides on which side of the split an emoji is: a hash of its code points."""
    return hashlib.sha256(code_points.encode()).hexdigest()


def _drawn(renderers: Renderers, path: Path, lines_only: bool, side: int) -> bytes:
    svg = path.read_text(encoding="utf-8")
    return renderers.render(outline(svg) if lines_only else svg, side)
