"""Built-in data that lies on this machine as picture files."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

from ganvas.data.cache import HashIndex
from ganvas.data.folder import read_file
from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Problem, Progress, Source
from ganvas.errors import UserError


def chosen(name: str, parts: str, known: Sequence[str]) -> list[str]:
    """The pictures that are asked for: of `known` those that `parts` names, joined by `+`, or all; in their order.

    Raises:
        UserError: There is no such picture.
    """
    asked = {part.strip().lower() for part in parts.split("+") if part.strip()}
    found = [one for one in known if not asked or one.lower() in asked]
    if unknown := sorted(asked - {one.lower() for one in found}):
        raise UserError(f"{name} has no picture {unknown[0]!r}; there are {', '.join(known)}.")
    return found


def source_of(
    name: str, paths: Mapping[str, Path], options: DataOptions, licence: str, problems: Sequence[Problem] = ()
) -> Source:
    """Picture files, each by its name.

    Args:
        name: What the user called them.
        paths: Where they are; at least one.
        options: How they are read.
        licence: What must go with pictures of them.
        problems: What is missing.
    """

    def tokens(progress: Progress) -> Sequence[str]:
        with HashIndex(next(iter(paths.values())).parent, options) as index:
            return index.hashes([*paths.values()], progress)

    items = [Item(one, functools.partial(read_file, path, options.max_bytes)) for one, path in paths.items()]
    return Source(name, items, tokens, licence=licence, problems=problems)
