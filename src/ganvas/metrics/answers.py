"""Files of what people said of pictures, and of what those are: the same for every kind of test of people."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from ganvas.data.source import printable
from ganvas.errors import UserError


def read_answers(path: Path, header: tuple[str, str], known: Collection[str]) -> Iterator[tuple[str, str, str]]:
    """The rows of a CSV file of one person, as spreadsheets of any language write it.

    Args:
        path: The file.
        header: Names of its two columns, the picture's first; others are passed over.
        known: Names of the pictures there are.

    Yields:
        Where a row is, for messages; the picture; what was said of it, which may be nothing.

    Raises:
        UserError: It cannot be read, a picture is none of those, or is there a second time.
    """
    shown = printable(str(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {shown}: {getattr(error, 'strerror', None) or error}") from None
    # Spreadsheets of some languages put semicolons between fields.
    head = text.partition("\n")[0]
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=";" if ";" in head else ",", skipinitialspace=True)
    if not set(header) <= set(rows.fieldnames or ()):
        raise UserError(f"the first line of {shown} is not {','.join(header)}")
    seen: set[str] = set()
    for row in rows:
        name, said = ((row[column] or "").strip() for column in header)
        place = f"{shown} line {rows.line_num}"
        if name not in known:
            raise UserError(f"{place}: there is no picture {name!r}")
        if name in seen:
            raise UserError(f"{place}: {name} is there a second time")
        seen.add(name)
        yield place, name, said


def read_key(folder: Path, what: str, needed: tuple[str, ...]) -> dict[str, Any]:
    """What `key.json` says, if the pictures are still those that it speaks of.

    Args:
        folder: Holds it, and `pictures/`.
        what: What it is the key of, in a word.
        needed: What must be known of each picture, beside its `sha256`.

    Raises:
        UserError: It is not there, is something else, or a picture has changed.
    """
    path = folder / "key.json"
    try:
        key: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        hashes = {name: [of["sha256"], *(of[field] for field in needed)][0] for name, of in key["pictures"].items()}
    except FileNotFoundError:
        raise UserError(f"{printable(str(folder))} holds no {what}: it has no key.json") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{printable(str(path))} is not the key.json of a {what} ({error})") from None
    for name, sha256 in hashes.items():
        picture = folder / "pictures" / name
        if picture.is_file() and sha256_of(picture) != sha256:
            shown = printable(str(picture))
            raise UserError(f"{shown} is not the picture that key.json speaks of: make the {what} anew")
    return key


def sha256_of(path: Path) -> str:
    """Of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
