"""What people say of pictures, kept in one SQLite file: an answer is on the disk before the call that gives it returns.

Everything is one statement a call, each in a connection of its own, so any number of threads may use a store at once
and a process that is killed loses nothing that was answered.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ganvas.data.source import printable
from ganvas.errors import UserError

VERSION = 1
"""Of the tables, in the file's `user_version`."""

TABLES = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS study (
    id TEXT PRIMARY KEY, folder TEXT NOT NULL, key TEXT NOT NULL, title TEXT NOT NULL, consent TEXT NOT NULL,
    made TEXT NOT NULL, closed TEXT
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_open ON study (folder, key) WHERE closed IS NULL;
CREATE TABLE IF NOT EXISTS person (
    id INTEGER PRIMARY KEY, study TEXT NOT NULL REFERENCES study (id), number INTEGER NOT NULL,
    token TEXT NOT NULL UNIQUE, consented TEXT NOT NULL, UNIQUE (study, number)
) STRICT;
CREATE TABLE IF NOT EXISTS answer (
    person INTEGER NOT NULL REFERENCES person (id), picture TEXT NOT NULL, said TEXT NOT NULL, at TEXT NOT NULL,
    PRIMARY KEY (person, picture)
) STRICT;
PRAGMA user_version = {VERSION};
COMMIT;
"""

PATIENCE = 20
"""Seconds that a call waits for others that are writing."""

TOKEN_BYTES = 24
"""Random ones in a token: nobody guesses 192 bits."""

MOST_PEOPLE = 1000
"""In a study."""


class NobodysToken(UserError):
    """Nobody takes part in the study with this token."""


@dataclass(frozen=True)
class Opened:
    """A study that people can take part in.

    Attributes:
        id: Stands for it in the address of the page.
        folder: Holds its pictures and their key.
        key: SHA-256 of `key.json`: with other pictures under the same names answers would be of others.
        title: What people are told it is.
        consent: What they agree to before they see anything.
        closed: When it ended, UTC; None while people may answer.
    """

    id: str
    folder: Path
    key: str
    title: str
    consent: str
    closed: str | None


@dataclass(frozen=True)
class Person:
    """One who takes part.

    Attributes:
        id: In the tables.
        number: 1, 2, ... in the study.
        answers: What was said of pictures, by their names, in the order in which it was said.
    """

    id: int
    number: int
    answers: dict[str, str]


class Store:
    """The file with studies, people and answers."""

    def __init__(self, path: Path) -> None:
        """Makes the file if it is not there.

        Args:
            path: The file; its folder must exist.

        Raises:
            UserError: It is something else, or of a later version, or cannot be written.
        """
        self.path = path
        with self._connected() as database:
            found = database.execute("PRAGMA user_version").fetchone()[0]
            if found > VERSION:
                raise UserError(f"{printable(str(path))} was written by a later version of ganvas: use that one")
            if found < VERSION:
                database.execute("PRAGMA journal_mode = WAL")
                database.executescript(TABLES)
        # While one connection is open, the last of others that closes need not tidy up the file, which takes long.
        self._open = sqlite3.connect(path, check_same_thread=False)
        self._open.execute("PRAGMA user_version")
        # Whoever finds SQLite busy sleeps for up to a tenth of a second, again and again; in a queue nobody does.
        self._writing = threading.Lock()

    def add_study(self, folder: Path, key: str, title: str, consent: str) -> str:
        """The id of the open study of these pictures, new if there is none."""
        where = (str(folder), key)
        with self._connected() as database:
            database.execute(
                "INSERT INTO study (id, folder, key, title, consent, made) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO NOTHING",
                (secrets.token_hex(6), *where, title, consent, now()),
            )
            rows = database.execute("SELECT id FROM study WHERE folder = ? AND key = ? AND closed IS NULL", where)
            return str(rows.fetchone()[0])

    def studies(self) -> list[Opened]:
        """All of them, the oldest first."""
        with self._connected() as database:
            return [_study(row) for row in database.execute(f"{STUDY} ORDER BY rowid")]

    def study(self, study: str) -> Opened:
        """One of them.

        Raises:
            UserError: There is none with this id.
        """
        with self._connected() as database:
            return _find(database, study)

    def close(self, study: str) -> None:
        """Takes no more answers in a study, from now on and for good."""
        with self._connected() as database:
            database.execute("UPDATE study SET closed = ? WHERE id = ? AND closed IS NULL", (now(), study))

    def join(self, study: str) -> str:
        """Notes that a person agreed to take part.

        Returns:
            A token that nobody else knows, with which the person comes back. The file keeps only its hash.

        Raises:
            UserError: The study is closed or full.
        """
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._writing, self._connected() as database:
            done = database.execute(
                "INSERT INTO person (study, number, token, consented) "
                "SELECT id, 1 + (SELECT count(*) FROM person WHERE study = ?1), ?2, ?3 FROM study "
                "WHERE id = ?1 AND closed IS NULL AND (SELECT count(*) FROM person WHERE study = ?1) < ?4",
                (study, _hashed(token), now(), MOST_PEOPLE),
            )
            if not done.rowcount:
                raise UserError("this study takes no more people: it is closed or full")
        return token

    def person(self, study: str, token: str) -> Person:
        """Whose a token is, and what they said.

        Raises:
            NobodysToken: Nobody's in this study.
            UserError: There is no such study.
        """
        with self._connected() as database:
            row = None
            if _is_id(study) and _is_token(token):
                row = database.execute(
                    "SELECT id, number FROM person WHERE study = ? AND token = ?", (study, _hashed(token))
                ).fetchone()
            if row is None:
                _find(database, study)
                raise NobodysToken("nobody takes part in this study with this token: begin anew")
            return Person(row[0], row[1], _answers(database, row[0]))

    def answer(self, study: str, person: Person, picture: str, said: str) -> Person:
        """Keeps what a person says of a picture; what they said of it first counts, and nothing after it.

        Args:
            study: In which the person takes part.
            person: As `person` gave it.
            picture: Its name.
            said: What of it.

        Returns:
            The person with all answers.

        Raises:
            UserError: The study is closed, or the disk cannot keep it.
        """
        with self._writing, self._connected() as database:
            database.execute(
                "INSERT INTO answer (person, picture, said, at) SELECT ?, ?, ?, ? FROM study "
                "WHERE id = ? AND closed IS NULL ON CONFLICT DO NOTHING",
                (person.id, picture, said, now(), study),
            )
            kept = _answers(database, person.id)
        if picture not in kept:
            raise UserError("this study is closed: it takes no more answers")
        return Person(person.id, person.number, kept)

    def count(self, study: str) -> tuple[int, int]:
        """People who agreed to take part in a study, and their answers."""
        with self._connected() as database:
            rows = database.execute(
                "SELECT count(DISTINCT person.id), count(answer.said) FROM person "
                "LEFT JOIN answer ON answer.person = person.id WHERE study = ?",
                (study,),
            )
            return tuple(rows.fetchone())

    def people(self, study: str) -> list[Person]:
        """All who took part in a study, in the order in which they came."""
        with self._connected() as database:
            rows = database.execute("SELECT id, number FROM person WHERE study = ? ORDER BY number", (study,))
            return [Person(row[0], row[1], _answers(database, row[0])) for row in rows.fetchall()]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        shown = printable(str(self.path))
        try:
            # Without transactions of Python's own every statement is one, on the disk when it returns.
            with contextlib.closing(sqlite3.connect(self.path, PATIENCE, isolation_level=None)) as database:
                database.execute("PRAGMA synchronous = FULL")
                yield database
        except sqlite3.Error as error:
            raise UserError(f"{shown} cannot be used ({error}); nothing was stored, try again") from error


STUDY = "SELECT id, folder, key, title, consent, closed FROM study"


def now() -> str:
    """The time, UTC, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _study(row: tuple[str, str, str, str, str, str | None]) -> Opened:
    return Opened(row[0], Path(row[1]), *row[2:])


def _find(database: sqlite3.Connection, study: str) -> Opened:
    row = database.execute(f"{STUDY} WHERE id = ?", (study,)).fetchone() if _is_id(study) else None
    if row is None:
        raise UserError("there is no such study here: ask for the address of the page again")
    return _study(row)


def _answers(database: sqlite3.Connection, person: int) -> dict[str, str]:
    return dict(database.execute("SELECT picture, said FROM answer WHERE person = ? ORDER BY rowid", (person,)))


def _hashed(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _is_token(given: object) -> bool:
    """Whether it looks like one; what comes from a page may be anything, of any length."""
    return isinstance(given, str) and len(given) <= 2 * TOKEN_BYTES and re.fullmatch(r"[\w-]+", given, re.A) is not None


def _is_id(given: object) -> bool:
    return isinstance(given, str) and re.fullmatch(r"[0-9a-f]{12}", given) is not None
