"""What a source of pictures is, and finding the one that a user named.

A new kind of source is a new file: a function that returns a `Source`. What a source yields beyond the
picture and its label (captions, boxes, ...) travels in `Item.columns`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, Literal

from ganvas.data import builtin
from ganvas.data.options import DataOptions
from ganvas.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

    from ganvas.data.store import Prepared

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and how many there are."""


@dataclass(frozen=True)
class Problem:
    """A file that is not used, or not used as it is, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


class Unusable(Exception):
    """Raised while reading one item: its message is the reason why that item is skipped."""


@dataclass(frozen=True, slots=True)
class Item:
    """One picture of a source, not yet read.

    Attributes:
        name: Its name in the source, printable on one line.
        read: Its encoded bytes, or a picture; given the side in pixels that it is wanted at, for sources that
            can draw at any size. Called from several threads. Raises `Unusable` or any other exception for a
            picture that cannot be had.
        label: Index into the source's classes.
        columns: What else is known about it, as JSON values.
        half: Which half it is of the picture that is read; empty for all of it.
    """

    name: str
    read: Callable[[int], bytes | Image.Image]
    label: int | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    half: Literal["", "left", "right"] = ""


@dataclass
class Source:
    """Pictures to be read, in a fixed order.

    Attributes:
        name: What the user called it.
        items: The pictures.
        classes: Names of the labels; empty where there are none.
        problems: Files already known to be unusable.
        tokens: For each item a string that changes whenever its picture does. May read every file.
        licence: A line of attribution that must go with pictures made from it.
        ignored: How many files were passed over because they are no pictures.
        unlabelled: Why there are no classes, where one might think there are; else empty.
        coordinates: The unit of its boxes and keypoints, if it is known.
        prepared: The same pictures where they are prepared already, at one size.
        release: Frees what reading needed.
    """

    name: str
    items: Sequence[Item]
    tokens: Callable[[Progress], Sequence[str]]
    classes: Sequence[str] = ()
    problems: Sequence[Problem] = ()
    licence: str | None = None
    ignored: int = 0
    unlabelled: str = ""
    coordinates: Literal["", "pixels", "relative"] = ""
    prepared: Prepared | None = None
    release: Callable[[], None] = lambda: None

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def printable(name: str) -> str:
    """A file name that can be shown on one line: control and undecodable characters are escaped."""
    name = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)


def builtin_names() -> list[str]:
    """The built-in sources: each is the name of its file in `ganvas/data/builtin`, with `-` for `_`."""
    modules = [module.name for module in pkgutil.iter_modules(builtin.__path__) if module.name[0] != "_"]
    return sorted(name.replace("_", "-") for name in modules)


def find_builtin(spec: str | Path) -> tuple[ModuleType, str] | None:
    """The module of a built-in and the parts asked for, which follow a colon; None if `spec` names none."""
    name, _, parts = str(spec).partition(":")
    if isinstance(spec, Path) or name not in builtin_names():
        return None
    return importlib.import_module(f"{builtin.__name__}.{name.replace('-', '_')}"), parts


def split_sides(spec: str | Path) -> tuple[str, str] | None:
    """The two sources of `FIRST::SECOND`; None if `spec` is not of this form, or a file is called so."""
    first, mark, second = str(spec).partition("::")
    return (first, second) if mark and isinstance(spec, str) and not os.path.lexists(spec) else None


def absolute(spec: str) -> str:
    """A path as it is found from anywhere, also each of two; the name of built-in data as it is."""
    if both := split_sides(spec):
        return "::".join(map(absolute, both))
    return str(Path(spec).absolute()) if Path(spec).exists() else spec


@contextlib.contextmanager
def path_errors(shown: str) -> Iterator[None]:
    """Turn a failure to open what a user named into one line."""
    try:
        yield
    except PermissionError:
        raise UserError(f"No permission to read {shown}.") from None
    except (OSError, ValueError) as error:  # a link that leads to itself, a name too long, a NUL in it
        raise UserError(f"Cannot open {shown}: {getattr(error, 'strerror', None) or error}.") from None


def open_source(spec: str | Path, options: DataOptions) -> Source:
    """The source of pictures that a user named; nothing is decoded yet.

    Args:
        spec: A folder or a zip file, or a built-in's name, which may be followed by a colon and its parts
            joined by `+` (`openmoji:animals-nature+food-drink`). A `Path` is never a built-in.
        options: How to read it.

    Raises:
        UserError: There is no such source, or it holds no pictures.
    """
    shown = printable(str(spec))
    if split_sides(spec):
        raise UserError(f"{shown} names two sides, where pictures of one kind are wanted: give one of the two.")
    if found := find_builtin(spec):
        module, parts = found
        if hasattr(module, "open_sides") or hasattr(module, "open_point_sides"):
            raise UserError(
                f"{shown} has two sides, where pictures of one kind are wanted: it is for systems that turn one into "
                "the other."
            )
        if hasattr(module, "open_points"):
            raise UserError(
                f"{shown} makes points without end, not pictures: train a system of points on it; "
                "there is nothing to read, prepare or compare pictures with."
            )
        source: Source = module.open_source(parts, options)
        return source
    # Here, because these need `Source` themselves.
    from ganvas.data import archive, folder, store

    path = Path(spec).expanduser()
    with path_errors(shown):
        if store.is_prepared(path):
            return store.as_source(path)
        if path.is_dir():
            return folder.open_source(path, options)
        if path.is_file():
            return archive.open_source(path, options)
        exists = path.exists()
    if exists:
        raise UserError(f"{shown} is neither a folder nor a zip file.")
    *others, last = builtin_names()
    raise UserError(f"There is no folder or zip file {shown}; built in are {', '.join(others)} and {last}.")
