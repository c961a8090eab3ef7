"""An image folder: loose pictures, class folders, or pictures with a metadata file."""

from __future__ import annotations

import functools
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from ganvas.data.cache import HashIndex
from ganvas.data.layout import Files, arrange, hidden
from ganvas.data.options import DataOptions
from ganvas.data.source import Problem, Progress, Source, Unusable, printable


@dataclass
class Listing:
    """The regular files below a folder, and what could not be listed."""

    files: dict[str, Path] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def list_files(root: Path) -> Listing:
    """All files below `root` that are not hidden, by their name relative to it with `/`, sorted.

    Links are followed, but every folder is listed once, so that links which lead back end.
    """
    listing = Listing()
    seen: dict[tuple[int, int], str] = {}
    # Real folders before linked ones: a folder that is reached both ways keeps its real name.
    linked: list[tuple[str, Path]] = [("", root)]
    while linked:
        pending = [linked.pop(0)]
        while pending:
            name, folder = pending.pop()
            try:
                status = folder.stat()
                identity = (status.st_dev, status.st_ino)
                if identity in seen:
                    same = printable(seen[identity]) or "the folder itself"
                    listing.problems.append(Problem(printable(name), f"a link to a folder already read ({same})"))
                    continue
                seen[identity] = name
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                if not name:
                    raise
                listing.problems.append(Problem(printable(name), f"cannot be opened ({error.strerror})"))
                continue
            for entry in entries:
                if hidden(entry.name):
                    continue
                below, path = f"{name}/{entry.name}" if name else entry.name, Path(entry.path)
                try:
                    kind = entry.stat().st_mode
                except OSError as error:
                    reason = "a link that leads nowhere" if entry.is_symlink() else str(error.strerror)
                    listing.problems.append(Problem(printable(below), reason))
                    continue
                if stat.S_ISDIR(kind):
                    (linked if entry.is_symlink() else pending).append((below, path))
                elif stat.S_ISREG(kind):
                    listing.files[below] = path
        linked.sort()
    listing.files = dict(sorted(listing.files.items()))
    return listing


def read_file(path: Path, limit: int, side: int = 0) -> bytes:
    """The whole file.

    Raises:
        Unusable: It has more than `limit` bytes.
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Unusable(f"more than max_bytes ({limit:,} bytes)")
    return data


def open_source(root: Path, options: DataOptions) -> Source:
    """The pictures of a folder.

    Raises:
        UserError: It holds none, or its metadata cannot be understood.
        OSError: It cannot be opened.
    """
    return arrange(open_files(root, options))


def open_files(root: Path, options: DataOptions) -> Files:
    """All files of a folder.

    Raises:
        OSError: It cannot be opened.
    """
    listing = list_files(root)
    limit = options.max_bytes

    def head(name: str, length: int) -> bytes:
        with listing.files[name].open("rb") as file:
            return file.read(length)

    def tokens(names: list[str], progress: Progress) -> list[str]:
        with HashIndex(root, options) as index:
            return index.hashes([listing.files[name] for name in names], progress)

    readers = {name: functools.partial(read_file, path, limit) for name, path in listing.files.items()}
    return Files(printable(str(root)), readers, head, listing.problems, tokens, wrapped=False)
