"""What the names of files say: which are pictures, which class folder or metadata row each belongs to."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from ganvas.data.metadata import METADATA, Row, labels_of, read_rows
from ganvas.data.source import Item, Problem, Progress, Source, printable
from ganvas.errors import UserError

_PICTURES = """
apng avif avifs bmp cur dcx dds dib eps fits fli flc gif heic heif hif icns ico im j2c j2k jfif jp2
jpc jpe jpeg jpf jpg jpx jxl mpo msp pbm pcd pcx pfm pgm png pnm ppm psd qoi ras rgb rgba sgi svg
tga tif tiff webp xbm xpm
"""
# Files that are meant to be pictures, also where Pillow cannot read them: those are named, not passed over.
PICTURES = frozenset("." + word for word in _PICTURES.split())

_NO_PICTURES = """
7z cfg csv doc docx gz htm html ini json jsonl log md md5 mov mp4 npy npz parquet pdf pickle pkl pt
pth py rar rst safetensors sha256 tar toml tsv txt xml xmp yaml yml zip
"""
# Files that often lie beside pictures; passed over without a look inside.
NO_PICTURES = frozenset("." + word for word in _NO_PICTURES.split())
# Of these the ones that are pictures where there are no others.
ARRAYS = ".npy"

SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ")
SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})

Reader = Callable[[int], bytes]


def hidden(part: str) -> bool:
    """Whether a file or folder is one that systems and tools leave behind."""
    return part.startswith(".") or part.lower() in {
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "$recycle.bin",
    }


def looks_like_picture(name: str, head: Callable[[str, int], bytes]) -> bool:
    """By its extension, or, where that says nothing, by its first bytes."""
    extension = PurePosixPath(name).suffix.lower()
    if extension in PICTURES:
        return True
    if extension in NO_PICTURES:
        return False
    try:
        start = head(name, 16)
    except Exception:  # whatever it is, it cannot be read, and nothing says that it is a picture
        return False
    return start.startswith(SIGNATURES) or (start[:4] == b"RIFF" and start[8:12] == b"WEBP")


@dataclass(frozen=True)
class Files:
    """Named files that a source can be made of.

    Attributes:
        shown: What the user called the source.
        readers: For every file's name, relative and with `/`, what reads it; in the order of the items.
        head: Reads the first bytes of a file.
        problems: Files already known to be unusable.
        hash_files: Content hashes of named files.
        wrapped: Whether one folder around everything is a wrapper (as in many zips) and no class.
        release: Frees what reading needs.
    """

    shown: str
    readers: Mapping[str, Reader]
    head: Callable[[str, int], bytes]
    problems: Sequence[Problem]
    hash_files: Callable[[list[str], Progress], Sequence[str]]
    wrapped: bool
    release: Callable[[], None] = lambda: None

    def below(self, folder: str) -> Files:
        """The files of one folder, by their names in it."""
        start = f"{folder}/"
        inside = [name for name in self.readers if name.startswith(start)]
        problems = [
            Problem(problem.name.removeprefix(start), problem.reason)
            for problem in self.problems
            if problem.name.startswith(start)
        ]
        return Files(
            f"{self.shown}/{printable(folder)}",
            {name.removeprefix(start): self.readers[name] for name in inside},
            lambda name, length: self.head(start + name, length),
            problems,
            lambda names, progress: self.hash_files([start + name for name in names], progress),
            wrapped=False,
            release=self.release,
        )

    def unwrapped(self) -> Files:
        """The same files by their names in the wrapper, if there is one."""
        outer = {PurePosixPath(name).parts[0] for name in self.readers}
        nested = all("/" in name for name in self.readers)
        if not self.wrapped or len(outer) != 1 or not nested:
            return self
        return replace(self.below(outer.pop()), shown=self.shown)


def arrange(files: Files) -> Source:
    """A source from named files: with metadata if there is a metadata file, else class folders, else loose.

    Raises:
        UserError: There are no pictures, or the metadata cannot be understood.
    """
    shown, readers, problems = files.shown, files.readers, list(files.problems)
    tables = tables_of(files)
    names = [name for name in readers if name not in tables and looks_like_picture(name, files.head)]
    names = names or [name for name in readers if PurePosixPath(name).suffix.lower() == ARRAYS]
    if not names:
        first = f"; {problems[0]}" if problems else ""
        raise UserError(f"{shown} holds no pictures{first}.")
    ignored = len(readers) - len(tables) - len(names)
    columns: dict[str, dict[str, Any]] = {}
    if tables:
        rows = _match(read_rows(tables, shown), names, problems)
        labels, classes = labels_of(rows.values())
        columns = {name: row.columns for name, row in rows.items()}
        metadata = printable(next(iter(tables))) if len(tables) == 1 else "the metadata"
        without = [name for name in names if name not in rows or (classes and name not in labels)]
        for name in without:
            missing = f"{rows[name].place} gives it no label" if name in rows else f"no row in {metadata}"
            problems.append(Problem(printable(name), missing))
        left_out = set(without)
        names = [name for name in names if name not in left_out]
        if not names:
            raise UserError(f"No picture of {shown} is named in its metadata; {problems[0]}.")
        unlabelled = "" if classes else f"no row in {metadata} has a label"
    else:
        labels, classes, unlabelled = _class_folders(names, files.wrapped, shown)
    items = [Item(printable(name), readers[name], labels.get(name), columns.get(name, {})) for name in names]
    return Source(
        shown,
        items,
        lambda progress: files.hash_files(names, progress),
        classes=classes,
        problems=problems,
        ignored=ignored,
        unlabelled=unlabelled,
        release=files.release,
    )


def tables_of(files: Files) -> dict[str, Reader]:
    """The metadata files, and what reads each."""
    return {name: read for name, read in files.readers.items() if PurePosixPath(name).name in METADATA}


def _class_folders(names: Sequence[str], wrapped: bool, shown: str) -> tuple[dict[str, int], list[str], str]:
    """Labels from the first folder of each name, where every picture lies in one and there are several.

    Returns:
        The label of each name and the names of the classes; and where there are none in spite of folders, why.
    """
    parts = {name: PurePosixPath(name).parts for name in names}
    if wrapped and len({p[0] for p in parts.values()}) == 1:
        parts = {name: p[1:] for name, p in parts.items()}
    loose = [name for name, p in parts.items() if len(p) < 2]
    if loose:
        return {}, [], f"{printable(loose[0])} lies in no class folder" if len(loose) < len(names) else ""
    classes = sorted({p[0] for p in parts.values()})
    if len(classes) == 1:  # one class is no condition
        return {}, [], f"all pictures lie in one folder, {printable(classes[0])}"
    if SPLITS.issuperset(c.lower() for c in classes):
        raise UserError(f"{shown} holds splits ({', '.join(classes)}), not classes; give one of these folders instead.")
    index = {name: i for i, name in enumerate(classes)}
    return {name: index[p[0]] for name, p in parts.items()}, [printable(c) for c in classes], ""


def _match(rows: Sequence[Row], names: Sequence[str], problems: list[Problem]) -> dict[str, Row]:
    """Each picture's row; what does not match is added to `problems`."""
    there = set(names)
    # A Mac writes an accent as a character of its own, most other systems do not.
    composed = {unicodedata.normalize("NFC", name): name for name in names}
    matched: dict[str, Row] = {}
    for row in rows:
        name = row.file if row.file in there else composed.get(unicodedata.normalize("NFC", row.file))
        if name is None:
            problems.append(Problem(printable(row.file), f"{row.place} names it, but there is no such picture"))
        elif name in matched:
            problems.append(Problem(printable(name), f"{row.place} is its second row; {matched[name].place} is used"))
        else:
            row.file = name
            matched[name] = row
    return matched
