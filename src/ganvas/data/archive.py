"""A zip of pictures, read where it is: nothing is unpacked, so no name in it can lead anywhere."""

from __future__ import annotations

import functools
import stat
import zipfile
from pathlib import Path, PurePosixPath, PureWindowsPath

from ganvas.data.cache import HashIndex
from ganvas.data.layout import Files, arrange, hidden
from ganvas.data.options import DataOptions
from ganvas.data.source import Problem, Progress, Source, Unusable, printable
from ganvas.errors import UserError

ENCRYPTED = 0x1


def refusal(member: zipfile.ZipInfo, limit: int) -> str | None:
    """Why a member is not read, from its entry alone; None where it is."""
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or PureWindowsPath(member.filename).drive:
        return "its name leads outside the zip"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "a link, which is not followed in a zip"
    if member.flag_bits & ENCRYPTED:
        return "encrypted"
    if member.file_size > limit:
        return f"{member.file_size:,} bytes unpacked, more than max_bytes ({limit:,})"
    return None


def open_source(path: Path, options: DataOptions) -> Source:
    """The pictures of a zip, laid out in any way that a folder may be, also inside one outer folder.

    Raises:
        UserError: It is no zip, is damaged, or holds no pictures.
    """
    files = open_files(path, options)
    try:
        return arrange(files)
    except BaseException:
        files.release()
        raise


def open_files(path: Path, options: DataOptions) -> Files:
    """All files of a zip.

    Raises:
        UserError: It is no zip, or is damaged.
    """
    shown = printable(str(path))
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError) as error:
        raise UserError(f"{shown} is not a zip file that can be read ({error}).") from None
    members: dict[str, zipfile.ZipInfo] = {}
    problems = []
    for member in archive.infolist():
        name = member.filename
        if member.is_dir() or any(hidden(part) for part in name.split("/") if part not in ("", ".", "..")):
            continue
        if reason := refusal(member, options.max_bytes):
            problems.append(Problem(printable(name), reason))
            continue
        name = str(PurePosixPath(name))
        if name in members:
            problems.append(Problem(printable(name), "twice in the zip; the last one is used"))
        members[name] = member

    def read(member: zipfile.ZipInfo, side: int = 0) -> bytes:
        try:
            with archive.open(member) as file:
                data = file.read(options.max_bytes + 1)
        except (RuntimeError, NotImplementedError) as error:  # encryption, or an unknown compression
            raise Unusable(str(error)) from None
        if len(data) > options.max_bytes:
            raise Unusable(f"more than max_bytes ({options.max_bytes:,} bytes)")
        return data

    def head(name: str, length: int) -> bytes:
        with archive.open(members[name]) as file:
            return file.read(length)

    def tokens(names: list[str], progress: Progress) -> list[str]:
        # The zip's hash, with the place of each member in it.
        with HashIndex(path, options) as index:
            whole = index.hashes([path], progress)[0]
        return [f"{whole}:{name}" for name in names]

    readers = {name: functools.partial(read, members[name]) for name in sorted(members)}
    return Files(shown, readers, head, problems, tokens, wrapped=True, release=archive.close)
