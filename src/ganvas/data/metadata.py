"""`metadata.jsonl` and `metadata.csv`: one row for each picture, as in Hugging Face's imagefolder.

`file_name` is relative to the folder that the metadata file lies in. `label` is a name or an integer, the
same kind in all rows; of a `.csv`, which knows text alone, integers if all of its labels are. Spaces around a name
are not part of it. Every other column is kept beside the pictures. Of these
`text` is known to `ganvas.data.described`, a caption or a list of them, and `bbox` and `keypoints` to
`ganvas.data.places`. In a `.csv` a `text` is one caption, and a `bbox` four numbers with spaces or commas between them.

Of pictures with two sides each row names two files, in a column of `SOURCES` and one of `TARGETS`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from ganvas.data.source import Unusable, printable
from ganvas.errors import UserError

METADATA = ("metadata.jsonl", "metadata.csv")
SOURCES = ("source_file_name", "input_file_name")
TARGETS = ("target_file_name", "output_file_name", "file_name")
"""Columns that name the picture which is translated, and the one that it becomes; the first that a row has counts."""


@dataclass
class Row:
    """One row.

    Attributes:
        file: The picture's name, relative to the source, with `/`.
        label: What its `label` column says; None where it says nothing.
        columns: All other columns.
        place: Where the row stands, for messages.
    """

    file: str
    label: str | int | None
    columns: dict[str, Any]
    place: str


@dataclass(frozen=True)
class PairRow:
    """One row that names two files, relative to the source, with `/`.

    Attributes:
        source: What is translated.
        target: What it becomes.
        place: Where the row stands, for messages.
    """

    source: str
    target: str
    place: str


def read_rows(tables: Mapping[str, Callable[[int], bytes]], shown: str) -> list[Row]:
    """The rows of all metadata files of a source.

    Raises:
        UserError: One cannot be read or understood, or a folder has two.
    """
    return [_row(*row) for row in _all_rows(tables, shown)]


def read_pairs(tables: Mapping[str, Callable[[int], bytes]], shown: str) -> list[PairRow]:
    """The rows of metadata with two file columns; none if it has no column of `SOURCES`.

    Raises:
        UserError: As `read_rows`, or a row has not both.
    """
    rows = list(_all_rows(tables, shown))
    if not any(column in values for values, _, _ in rows for column in SOURCES):
        return []
    pairs = []
    for values, folder, place in rows:
        files = []
        for columns in (SOURCES, TARGETS):
            file = next((values[column] for column in columns if column in values), None)
            if not isinstance(file, str) or not file:
                raise UserError(f"{place} has no {columns[0]}.")
            files.append(_inside(folder, file))
        source, target = files
        pairs.append(PairRow(source, target, place))
    return pairs


def _all_rows(
    tables: Mapping[str, Callable[[int], bytes]], shown: str
) -> Iterator[tuple[dict[str, Any], PurePosixPath, str]]:
    """The values of each row, the folder that its metadata file lies in, and where it stands."""
    folders = [PurePosixPath(name).parent for name in tables]
    if len(set(folders)) < len(folders):
        raise UserError(f"{shown} has both {' and '.join(METADATA)}; remove one.")
    for name, read in tables.items():
        try:
            text = read(0).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UserError(f"{printable(name)} is not UTF-8 text (byte {error.start}).") from None
        except (OSError, Unusable, EOFError, ValueError) as error:
            raise UserError(f"Cannot read {printable(name)}: {error}.") from None
        parse = _json_lines if name.endswith(".jsonl") else _csv
        for line, values in parse(text, printable(name)):
            yield values, PurePosixPath(name).parent, f"{printable(name)} line {line}"


def labels_of(rows: Iterable[Row]) -> tuple[dict[str, int], list[str]]:
    """Labels and class names.

    Returns:
        The index of its class for every labelled file, and the names of the classes: names sorted as text,
        integers by value. Both empty where no row has a label.

    Raises:
        UserError: Some labels are names and some integers.
    """
    labelled = [row for row in rows if row.label is not None]
    kinds: dict[type, Row] = {}
    for row in labelled:
        kinds.setdefault(type(row.label), row)
    if len(kinds) > 1:
        a, b = kinds.values()
        raise UserError(
            f"Some labels are names and some are integers ({a.label!r} at {a.place}, "
            f"{b.label!r} at {b.place}); use one kind."
        )
    values = sorted({row.label for row in labelled})  # type: ignore[type-var]
    index = {value: i for i, value in enumerate(values)}
    return {row.file: index[row.label] for row in labelled}, [printable(str(value)) for value in values]


def _json_lines(text: str, shown: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines(), which also breaks at characters that JSON text may hold, such as U+2028.
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{shown} line {number} is not JSON: {error}.") from None
        if not isinstance(values, dict):
            raise UserError(f"{shown} line {number} is not a JSON object with a file_name.")
        yield number, values


def _csv(text: str, shown: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, dict[str, Any]]] = []
    try:
        for values in reader:
            if None in values or None in values.values():
                raise UserError(f"{shown} line {reader.line_num} has not as many fields as the first line.")
            rows.append((reader.line_num, {k: v for k, v in values.items() if v != ""}))
    except csv.Error as error:
        # The inner reader's count: the outer one's stands still at the last good row.
        raise UserError(f"{shown} line {reader.reader.line_num} is not CSV: {error}.") from None
    if all(_is_integer(values["label"].strip()) for _, values in rows if "label" in values):
        for _, values in rows:
            if "label" in values:
                values["label"] = int(values["label"])
    yield from rows


def _is_integer(text: str) -> bool:
    try:
        return str(int(text)) == text
    except ValueError:
        return False


def _row(values: dict[str, Any], folder: PurePosixPath, place: str) -> Row:
    file = values.get("file_name")
    if not isinstance(file, str) or not file:
        raise UserError(f"{place} has no file_name.")
    label = values.get("label")
    if isinstance(label, str):
        label = label.strip()
    if label == "" or isinstance(label, bool) or not isinstance(label, str | int | None):
        raise UserError(f"{place}: a label is a name or an integer, not {json.dumps(label)}.")
    columns = {key: value for key, value in values.items() if key not in ("file_name", "label")}
    return Row(_inside(folder, file), label, columns, place)


def _inside(folder: PurePosixPath, file: str) -> str:
    return str(folder / file.replace("\\", "/"))
