"""Pictures as text inside a page, small enough that many fit."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL import Image, ImageSequence, features

from ganvas.report.read import RunRecord, read_json

GRIDS = 40
"""Grids of samples that a page shows."""

GRID_BYTES = 160_000
"""Bytes of a grid; all of them together stay under 9 MB as text."""

INSPECT_BYTES = 2_400_000
"""Bytes of all pictures of `ganvas inspect` together."""

MOST_SIDE = 1200
"""Pixels of the longer side of a picture that is made smaller."""


@dataclass(frozen=True)
class Picture:
    """A picture of a page.

    Attributes:
        uri: The picture itself, as a `data:` URI; empty if there is none.
        width: Pixels.
        height: Pixels.
        step: Steps of training behind it, where it is a grid of samples.
        title: Over it.
        caption: Under it.
        note: Under that.
        files: Names of files beside it that show the same.
    """

    uri: str
    width: int
    height: int
    step: int = 0
    title: str = ""
    caption: str = ""
    note: str = ""
    files: tuple[str, ...] = ()


def grids(run: RunRecord) -> list[Picture]:
    """The first grid of samples, the newest, and at most about 40 evenly between them."""
    files = grid_files(run)
    pictures = ((step, embed(files[step], GRID_BYTES)) for step in every_so_many([*files], GRIDS))
    return [Picture(*picture, step=step) for step, picture in pictures if picture is not None]


def grid_files(run: RunRecord) -> dict[int, Path]:
    """All grids of samples, by step."""
    steps = {}
    for path in (run.path / "samples").glob("step-*.png"):
        if match := re.fullmatch(r"step-(\d+)\.png", path.name):
            steps[int(match[1])] = path
    # A run that went back to an earlier step has grids that belong to it no more.
    return {step: steps[step] for step in sorted(steps) if step <= run.step or not run.numbers}


def every_so_many(steps: Sequence[int], most: int) -> list[int]:
    """At most `most` of the steps: the first, every k-th after it, and the last.

    k is a power of two, so that a longer run shows some of what it showed before, and nothing that it left out.
    """
    k = 1
    while len(range(0, len(steps), k)) > most - 1:
        k *= 2
    return sorted({*steps[::k], *steps[-1:]})


def real(run: RunRecord) -> Picture | None:
    """The grid of real pictures, if there is one."""
    picture = embed(run.path / "samples" / "real.png", GRID_BYTES)
    return None if picture is None else Picture(*picture)


def inspections(run: RunRecord) -> list[Picture]:
    """What `ganvas inspect` drew; of what it could not draw, the reason."""
    folder = run.path / "inspect"
    index = read_json(folder / "inspect.json")
    pages = index.get("pages") if isinstance(index, dict) else None
    pages = [page for page in pages if isinstance(page, dict)] if isinstance(pages, list) else []
    # A page never shows what lies outside its run.
    names = [name if Path(name := str(page.get("file") or "")).name == name else "" for page in pages]
    most = fair_share([size for name in names if name and (size := _size(folder / name))], INSPECT_BYTES)
    pictures = []
    for page, name in zip(pages, names, strict=True):
        found = embed(folder / name, most) if name else None
        title, caption, note = (str(page.get(key) or "") for key in ("title", "caption", "note"))
        files = page.get("files")
        more = tuple(map(str, files)) if isinstance(files, list) else ()
        pictures.append(Picture(*(found or ("", 0, 0)), title=title, caption=caption, note=note, files=more))
    return pictures


def fair_share(sizes: Sequence[int], total: int) -> int:
    """The most bytes that a picture may have so that all fit into `total`: what small ones leave, large ones share.

    Args:
        sizes: Bytes of each as it is.
        total: Bytes of all together.
    """
    for left, size in zip(range(len(sizes), 0, -1), sorted(sizes), strict=True):
        if size > total // left:
            return total // left
        total -= size
    return total


def _size(path: Path) -> int:
    """Bytes of a file; 0 if there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def embed(path: Path, most: int) -> tuple[str, int, int] | None:
    """A picture file as URI, width and height; None if it is missing or damaged."""
    try:
        stat = path.stat()
        return _encode(path, stat.st_mtime_ns, stat.st_size, most)
    except (OSError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises for a damaged file
        return None


@lru_cache(maxsize=128)  # a page is written again and again while a run trains
def _encode(path: Path, changed: int, size: int, most: int) -> tuple[str, int, int]:
    """The file itself if it has at most `most` bytes, else the largest WebP up to 1200 pixels that has; moving or not.

    Where Pillow cannot write WebP it is a JPEG, of the first frame.
    """
    with Image.open(path) as image:
        if size <= most and image.format == "PNG":
            image.verify()
            return _uri("png", path.read_bytes()), image.width, image.height
        frames, durations = [], []
        for frame in ImageSequence.Iterator(image):  # fails if the file is damaged
            frames.append(frame.convert("RGB"))
            durations.append(frame.info.get("duration", 0))
        if size <= most and image.format == "GIF":
            return _uri("gif", path.read_bytes()), image.width, image.height
    kind = "webp" if features.check("webp") else "jpeg"
    more: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": durations, "loop": 0}
    side = MOST_SIDE
    while True:
        for frame in frames:
            frame.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = io.BytesIO()
        frames[0].save(file, kind, quality=80, **(more if kind == "webp" and len(frames) > 1 else {}))
        data = file.getvalue()
        if len(data) <= most or side <= 64:
            return _uri(kind, data), frames[0].width, frames[0].height
        side = int(max(frames[0].size) * 0.95 * math.sqrt(most / len(data)))  # bytes go with the pixels


def _uri(kind: str, data: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
