"""Who trains a run: a file in its folder that the process holds as a lock for as long as it lives."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import time
from pathlib import Path
from typing import IO, Self

from ganvas.errors import UserError

with contextlib.suppress(ImportError):  # Windows has none; there nothing is locked and nobody is known
    import fcntl

NAME = "training.lock"

PATIENCE = 0.3
"""Seconds that a lock may be held by somebody who only looks at it."""


class TrainingLock:
    """A context in which this process may hold a run as the one that trains it.

    The system frees the lock when the process ends, in whatever way. The file stays: to remove it would let two
    processes hold two files of one name.
    """

    def __init__(self, folder: Path) -> None:
        """Holds nothing yet.

        Args:
            folder: The run's.
        """
        self.path = folder / NAME
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Holds nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Lets go."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.truncate(0)
            self._file.close()
            self._file = None

    def take(self) -> bool:
        """Takes the lock, and makes the folder if there is none.

        Returns:
            Whether the run may be trained here: nobody else does, or there are no locks here.

        Raises:
            UserError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.open("ab")
        except OSError as error:
            raise UserError(f"cannot write to {self.path.parent}: {error.strerror}") from error
        try:
            _lock(file)
        except BlockingIOError:
            file.close()
            return False
        except (OSError, NameError):  # a system, or a network file system, without locks
            file.close()
            return True
        self._file = file
        with contextlib.suppress(OSError):  # a full disk is no reason not to train
            file.truncate(0)
            file.write(f"{os.getpid()} {platform.node()}\n".encode())
            file.flush()
        return True


def holder(path: Path) -> int | None:
    """The process that trains a run.

    Args:
        path: The run's folder.

    Returns:
        Its number; 0 if it is not known, such as that of a process of another machine. None if nobody trains the run,
        whatever number its file has, and where there are no locks.
    """
    try:
        with (path / NAME).open("rb") as file:
            try:
                # Shared, so that several may look at once; only a process that trains is then in the way.
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return _process(file.read(300))
    except (OSError, NameError):
        pass
    return None


def refusal(path: Path) -> UserError:
    """What to say to whoever wants to train a run that another process trains."""
    process = holder(path)
    who = f"process {process}" if process else "another process"
    how = f"stop it with `kill {process}`" if process else "stop it"
    return UserError(f"{path} is being trained by {who}: {how}, or wait until it has ended")


def ask_to_stop(path: Path) -> None:
    """Asks the process that trains a run to finish its step, save and end.

    Raises:
        UserError: Nobody trains it, or a process that cannot be asked from here.
    """
    process = holder(path)
    if process is None:
        raise UserError("nobody trains this run: it has stopped already")
    try:
        if not process:
            raise ProcessLookupError
        os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        raise UserError("this run is trained on another machine: stop it there") from None
    except PermissionError:
        raise UserError(f"process {process}, which trains this run, is another user's: stop it as that user") from None


def _lock(file: IO[bytes]) -> None:
    """Locks a file until it is closed.

    Raises:
        BlockingIOError: Another process holds it.
        OSError: There are no locks here.
        NameError: As above.
    """
    start = time.monotonic()
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() - start >= PATIENCE:
                raise
            time.sleep(0.01)
        else:
            return


def _process(text: bytes) -> int:
    """The process of this machine that wrote this; 0 if none did."""
    number, _, machine = text.decode(errors="replace").partition(" ")
    return int(number) if number.isascii() and number.isdigit() and machine.strip() == platform.node() else 0
