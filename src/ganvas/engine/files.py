"""Writing files so that a reader, or the next run, never sees half of one."""

from __future__ import annotations

import errno
import os
from pathlib import Path

TEMPORARY = ".part"
"""Ending of files being written; one that is left over belongs to a process that was killed."""


def write_atomically(path: Path, data: bytes) -> None:
    """Replaces `path` by a file with `data`: synced to the disk under a temporary name, then renamed.

    Raises:
        OSError: If writing fails, such as on a full disk; `path` is then as it was and nothing is left over.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # a rename is on the disk once the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(folder: Path) -> None:
    """Removes what a killed process left half written in `folder`."""
    for path in folder.glob(f"*{TEMPORARY}"):
        path.unlink(missing_ok=True)


def is_full_disk(error: BaseException | None) -> bool:
    """Whether an error says that the disk, or the user's share of it, is full."""
    full = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
    return isinstance(error, OSError) and error.errno in full
