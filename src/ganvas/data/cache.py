"""The cache folder: an index of content hashes, locks, and writing that is whole or not there at all."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

from ganvas.data.options import DataOptions, cache_folder, worker_count
from ganvas.data.parallel import in_order
from ganvas.data.source import Progress
from ganvas.errors import UserError

with contextlib.suppress(ImportError):  # Windows has none: two processes may do the same work, which is safe
    import fcntl

RACY = 2.0
"""Seconds. A file changed so shortly before it was hashed could change again without its times showing it
(some file systems count in steps of two seconds), so its hash is not remembered."""

CHUNK = 2**20
UNREADABLE = "unreadable"


@contextlib.contextmanager
def cache_errors(folder: Path) -> Iterator[None]:
    """Turn a failure to write in the cache into one line."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"Cannot write prepared data in {folder}: {error.strerror or error}; "
            "choose another place with the option cache or $GANVAS_CACHE."
        ) from error


@contextlib.contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold the lock of that name against other processes; they wait. Freed also when a process is killed.

    Yields whether it is held: some systems, and some network file systems, have no locks.
    """
    with path.open("a") as file:
        held = False
        with contextlib.suppress(OSError, NameError):
            fcntl.flock(file, fcntl.LOCK_EX)
            held = True
        yield held


@contextlib.contextmanager
def new_folder(final: Path) -> Iterator[Path]:
    """A temporary folder that becomes `final` when the block ends well, and vanishes when it does not.

    If another process has made `final` meanwhile, its result is kept.
    """
    part = final.with_name(f"{final.name}.part-{uuid.uuid4().hex}")
    part.mkdir()
    try:
        yield part
        try:
            part.rename(final)
        except OSError:
            if not final.is_dir():
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is never seen half written."""
    part = path.with_name(f"{path.name}.part-{uuid.uuid4().hex}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes; of a file that cannot be read, a word that says so."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(CHUNK):
                digest.update(block)
    except OSError as error:
        return f"{UNREADABLE}: {error.errno}"
    return digest.hexdigest()


class HashIndex:
    """Content hashes of files, remembered so that unchanged files need not be read again.

    A hash is believed while size, modification time and status-change time are what they were; the last one
    cannot be set back, so a changed file of the same size and date is noticed. A file that was only touched
    is hashed again and found to be the same.
    """

    def __init__(self, root: Path, options: DataOptions):
        self.folder = cache_folder(options) / "hashes"
        name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:32]
        self.path = self.folder / f"{name}.json"
        self.workers = worker_count(options)
        self.known: dict[str, list[int | str]] = {}
        self.changed = False

    def __enter__(self) -> HashIndex:
        with contextlib.suppress(OSError, ValueError):
            known = json.loads(self.path.read_text(encoding="utf-8"))
            if isinstance(known, dict):
                self.known = known
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.changed and kind is None:
            with cache_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                write_text(self.path, json.dumps(self.known))

    def hashes(self, paths: Sequence[Path], progress: Progress) -> list[str]:
        """The SHA-256 of each file."""
        states = [_state(path) for path in paths]
        keys = [str(path) for path in paths]
        old = {}
        for key, state in zip(keys, states, strict=True):
            entry = self.known.get(key)
            if isinstance(entry, list) and len(entry) == 4 and state is not None and entry[:3] == state:
                old[key] = entry
        new = [i for i, key in enumerate(keys) if key not in old]
        found: dict[str, str] = {}
        started = time.time_ns()
        with in_order(hash_file, (paths[i] for i in new), self.workers) as digests:
            for done, (i, digest) in enumerate(zip(new, digests, strict=True), 1):
                found[keys[i]] = digest
                state = states[i]
                settled = state is not None and max(state[1:]) < started - RACY * 1e9
                if state is not None and settled and not digest.startswith(UNREADABLE):
                    old[keys[i]] = [*state, digest]
                progress("reading", done, len(new))
        # What another source in the same folder asked for stays, while it is there.
        asked = set(keys)
        old |= {key: entry for key, entry in self.known.items() if key not in asked and Path(key).exists()}
        self.changed = old != self.known
        self.known = old
        return [found.get(key) or str(old[key][3]) for key in keys]


def _state(path: Path) -> list[int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
