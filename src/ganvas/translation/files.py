"""What goes where: names of the files to be written, what must not be there already, and labels that travel along."""

from __future__ import annotations

import itertools
import json
import re
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath

from ganvas.data.layout import ARRAYS, PICTURES
from ganvas.data.metadata import METADATA
from ganvas.data.source import Item, Source, printable
from ganvas.engine.files import write_atomically
from ganvas.errors import UserError
from ganvas.translation.writing import EXTENSIONS


def output_names(items: Sequence[Item], extension: str) -> list[str]:
    """For each picture a name of its own, with `/`: its folders and its name with the new extension.

    Of two that differ in nothing else the later one keeps its old extension as well: `a.jpg` and `a.png` become `a.png`
    and `a.png.png`.
    """
    used, names = set(METADATA), []
    for item in items:
        path = PurePosixPath(item.name)
        known = path.suffix.lower() in PICTURES or path.suffix.lower() == ARRAYS
        tries = itertools.chain(
            [path.stem] if known else [], [path.name], (f"{path.name}-{number}" for number in itertools.count(2))
        )
        # Compared without regard to capitals, as some file systems do.
        name = next(
            name for name in (str(path.with_name(stem + extension)) for stem in tries) if name.casefold() not in used
        )
        used.add(name.casefold())
        names.append(name)
    return names


def refuse_place(given: str | Path, out: Path, one: bool) -> None:
    """Makes sure that what is written does not come to lie among, or in the place of, what is read.

    Args:
        given: What is read.
        out: What is written to.
        one: Whether that is a single file.

    Raises:
        UserError: It would; or it is a folder where a file is wanted, or the other way round.
    """
    shown = printable(str(out))
    if one and out.is_dir():
        raise UserError(f"{shown} is a folder, and one picture is written to one file: name a file in it")
    if not one and out.exists() and not out.is_dir():
        raise UserError(f"{shown} is a file, and several pictures are written to a folder: name a folder")
    place = Path(given).expanduser()
    if not place.exists():
        return  # built-in
    if place.resolve() == out.resolve():
        raise UserError(f"{shown} is what is read itself: write elsewhere")
    if place.is_dir() and out.resolve().is_relative_to(place.resolve()):
        raise UserError(f"{shown} is inside of what is read: write elsewhere")


def compare_paths(place: Path, given: str | Path, paths: Sequence[Path], names: Sequence[str]) -> list[Path]:
    """For each picture the PNG file that shows it before and after.

    Args:
        place: A `.png` file for a single picture, else a folder.
        given: What is read.
        paths: For each picture the file that it is written to.
        names: Their names within the folder that is written to; of a single picture its file's name.

    Raises:
        UserError: They would lie among what is read, or in the place of what is written.
    """
    one = len(paths) == 1 and place.suffix.lower() == ".png" and not place.is_dir()
    if not one and place.suffix.lower() in EXTENSIONS and not place.is_dir():
        raise UserError(f"{printable(str(place))}: --compare takes a .png file for one picture, or a folder")
    found = [place] if one else [place / PurePosixPath(name).with_suffix(".png") for name in names]
    refuse_place(given, place, one)
    if {path.resolve() for path in found} & {path.resolve() for path in paths}:
        raise UserError("--compare and the pictures themselves would be written to the same files: name another place")
    return found


def make_writable(out: Path, one: bool) -> None:
    """Makes the folder that is written to, and sees whether files can be written there.

    Raises:
        UserError: They cannot.
    """
    folder = out.parent if one else out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"cannot write to {printable(str(folder))}: {error.strerror or error}") from error


def refuse_written(paths: Collection[Path]) -> None:
    """Makes sure that nothing is overwritten.

    Raises:
        UserError: Something is there.
    """
    there = [path for path in paths if path.exists()]
    if there:
        more = f" (and {len(there) - 1} more)" if len(there) > 1 else ""
        what = "--force to overwrite" if len(paths) == 1 else "--continue to leave it, --force to overwrite"
        raise UserError(f"{printable(str(there[0]))} is there already{more}: give {what}, or write elsewhere")


def rows_of(source: Source, names: Sequence[str], done: Collection[int]) -> bytes | None:
    """A `metadata.jsonl` with the labels and columns of the pictures, under the names that they are written by.

    Args:
        source: What was read.
        names: For each of its pictures, what it is written as.
        done: Numbers of those that were written.

    Returns:
        The file; None where there is nothing to say that class folders do not say.
    """
    if not any(
        item.columns or (item.label is not None and _folder(name) != source.classes[item.label])
        for item, name in zip(source.items, names, strict=True)
    ):
        return None
    # Labels that were numbers are numbers again, and are sorted by value.
    numbers = all(re.fullmatch(r"0|-?[1-9][0-9]*", name) for name in source.classes)
    lines = []
    for number in sorted(done):
        item = source.items[number]
        row: dict[str, object] = {"file_name": names[number]}
        if item.label is not None:
            label = source.classes[item.label]
            row["label"] = int(label) if numbers else label
        lines.append(json.dumps(row | dict(item.columns), ensure_ascii=False) + "\n")
    return "".join(lines).encode()


def _folder(name: str) -> str:
    return PurePosixPath(name).parts[0] if "/" in name else ""


def write(path: Path, data: bytes) -> None:
    """Writes a file, whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)
    except OSError as error:
        raise UserError(f"cannot write {printable(str(path))}: {error.strerror or error}") from error
