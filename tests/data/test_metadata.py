"""`metadata.jsonl` and `metadata.csv`, well formed and not."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ganvas.data import DataOptions, open_data
from ganvas.errors import UserError

Draw = Callable[..., Path]


def jsonl(folder: Path, *rows: Any) -> None:
    (folder / "metadata.jsonl").write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows), "utf-8")


def test_names_as_labels_and_further_columns(folder: Path, options: DataOptions) -> None:
    jsonl(
        folder,
        {"file_name": "b.png", "label": "zebra", "text": "stripes", "bbox": [1, 2, 3, 4]},
        {"file_name": "a.png", "label": "ant"},
        "",
        {"file_name": "c.jpg", "label": "zebra", "text": "more\u2028stripes"},
    )
    data = open_data(folder, options, size=8)
    assert data.names == ["a.png", "b.png", "c.jpg"] and data.classes == ["ant", "zebra"]
    assert data.labels is not None and data.labels.tolist() == [0, 1, 1]
    # Of 40x30 pixels the middle 30x30 are kept.
    assert data.columns["bbox"] == [None, pytest.approx([-4 / 30, 2 / 30, 3 / 30, 4 / 30]), None]
    assert data.columns["text"] == [None, "stripes", "more\u2028stripes"] and len(data.columns) == 2


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_integers_are_sorted_by_value(folder: Path, options: DataOptions, kind: str) -> None:
    labels = {"a.png": 10, "b.png": 9, "c.jpg": 10}
    if kind == "jsonl":
        jsonl(folder, *({"file_name": name, "label": label} for name, label in labels.items()))
    else:
        lines = ["file_name,label,text", *(f'{name},{label},"one, two"' for name, label in labels.items())]
        (folder / "metadata.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    data = open_data(folder, options, size=8)
    assert data.classes == ["9", "10"] and data.labels is not None and data.labels.tolist() == [1, 0, 1]
    assert data.columns == ({} if kind == "jsonl" else {"text": ["one, two"] * 3})


def test_below_a_folder_and_with_other_accents(tmp_path: Path, draw: Draw, options: DataOptions) -> None:
    """File names are relative to the metadata; an accent matches in both ways of writing it."""
    draw(tmp_path / "in/deep" / unicodedata.normalize("NFD", "é.png"))
    draw(tmp_path / "in/deep/f.png", seed=1)
    jsonl(
        tmp_path / "in/deep",
        {"file_name": unicodedata.normalize("NFC", "é.png"), "label": 1},
        {"file_name": "./f.png", "label": 0},
    )
    data = open_data(tmp_path / "in", options, size=8)
    assert data.labels is not None and sorted(data.labels.tolist()) == [0, 1] and not data.skipped


def test_what_does_not_match_is_named(folder: Path, options: DataOptions) -> None:
    jsonl(
        folder,
        {"file_name": "a.png", "label": "x"},
        {"file_name": "gone.png", "label": "x"},
        {"file_name": "../a.png", "label": "x"},
        {"file_name": "a.png", "label": "y"},
        {"file_name": "b.png", "label": "y"},
    )
    data = open_data(folder, options, size=8)
    assert data.names == ["a.png", "b.png"] and data.classes == ["x", "y"]
    assert [str(problem) for problem in data.skipped] == [
        "gone.png: metadata.jsonl line 2 names it, but there is no such picture",
        "../a.png: metadata.jsonl line 3 names it, but there is no such picture",
        "a.png: metadata.jsonl line 4 is its second row; metadata.jsonl line 1 is used",
        "c.jpg: no row in metadata.jsonl",
    ]
    with pytest.raises(UserError, match=r"strict: gone.png.*and 3 more"):
        open_data(folder, DataOptions(cache=options.cache, strict=True), size=8)


def test_a_row_without_a_label_among_labels(folder: Path, options: DataOptions) -> None:
    jsonl(
        folder,
        {"file_name": "a.png", "label": 0},
        {"file_name": "b.png", "label": None},
        {"file_name": "c.jpg", "label": 1},
    )
    data = open_data(folder, options, size=8)
    assert data.names == ["a.png", "c.jpg"] and str(data.skipped[0]) == "b.png: metadata.jsonl line 2 gives it no label"


def test_no_labels_at_all(folder: Path, options: DataOptions) -> None:
    jsonl(folder, *({"file_name": name, "text": name} for name in ("a.png", "b.png", "c.jpg")))
    data = open_data(folder, options, size=8)
    assert data.labels is None and data.columns["text"] == data.names
    assert data.unlabelled == "no row in metadata.jsonl has a label"


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_spaces_around_a_name_are_not_part_of_it(folder: Path, options: DataOptions, kind: str) -> None:
    """As in a table that somebody lined up: not a class of its own for each number of spaces."""
    names = {"a.png": "cat ", "b.png": "  cat", "c.jpg": "dog"}
    if kind == "jsonl":
        jsonl(folder, *({"file_name": name, "label": label} for name, label in names.items()))
    else:
        lines = ["file_name,label", *(f"{name},{label}" for name, label in names.items())]
        (folder / "metadata.csv").write_text("\n".join(lines))
    data = open_data(folder, options, size=8)
    assert data.classes == ["cat", "dog"] and data.labels is not None and data.labels.tolist() == [0, 0, 1]


def test_a_table_is_of_integers_if_all_of_its_labels_are(folder: Path, options: DataOptions) -> None:
    """A .csv knows text alone: names such as 7 among letters are names."""
    table = folder / "metadata.csv"
    table.write_text("file_name,label\na.png, 10\nb.png,-9\nc.jpg,10 \n")
    data = open_data(folder, options, size=8)
    assert data.classes == ["-9", "10"] and data.labels is not None and data.labels.tolist() == [1, 0, 1]
    table.write_text("file_name,label\na.png,10\nb.png,9\nc.jpg,A\n")
    assert open_data(folder, options, size=8).classes == ["10", "9", "A"]


def test_names_in_one_folder_and_numbers_in_another_are_refused(
    tmp_path: Path, draw: Draw, options: DataOptions
) -> None:
    for i, (name, label) in enumerate({"x": "1", "y": "cat"}.items()):
        draw(tmp_path / "in" / name / "a.png", seed=i)
        (tmp_path / "in" / name / "metadata.csv").write_text(f"file_name,label\na.png,{label}\n")
    said = r"1 at x/metadata.csv line 2, 'cat' at y/metadata.csv line 2"
    with pytest.raises(UserError, match=said):
        open_data(tmp_path / "in", options, size=8)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (['{"file_name": "a.png"}', '{"file_name": "b.p'], "metadata.jsonl line 2 is not JSON"),
        (["[1, 2]"], "line 1 is not a JSON object"),
        (["[" * 100_000], "line 1 is not JSON"),
        ([{"label": 1}], "line 1 has no file_name"),
        ([{"file_name": 3}], "line 1 has no file_name"),
        ([{"file_name": "a.png", "label": [1, 2]}], r"line 1: a label is a name or an integer, not \[1, 2\]"),
        ([{"file_name": "a.png", "label": 0.5}], "not 0.5"),
        ([{"file_name": "a.png", "label": True}], "not true"),
        ([{"file_name": "a.png", "label": 0}, {"file_name": "b.png", "label": ""}], r'line 2: a label is .*, not ""'),
        (['{"file_name": "a.png", "label": NaN}'], "line 1: a label is a name or an integer, not NaN"),
        ([{"file_name": "a.png", "label": {"x": 1}}], "a label is a name"),
        (
            [{"file_name": "a.png", "label": 1}, {"file_name": "b.png", "label": "1"}],
            "1 at metadata.jsonl line 1, '1' at metadata.jsonl line 2",
        ),
        ([{"file_name": "nothing.png", "label": 1}], "No picture of .* is named in its metadata"),
    ],
)
def test_what_cannot_be_understood_is_refused(
    folder: Path, options: DataOptions, rows: list[Any], message: str
) -> None:
    jsonl(folder, *rows)
    with pytest.raises(UserError, match=message) as refused:
        open_data(folder, options, size=8)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"file_name,label\na.png,1\nb.png\n", "metadata.csv line 3 has not as many fields"),
        (b"file_name,label\na.png,x\nb.png,  \n", 'metadata.csv line 3: a label is a name or an integer, not ""'),
        (b"file_name,label\na.png,1,2\n", "line 2 has not as many fields"),
        (b'file_name,label\na.png,"1\n', "line 2 is not CSV"),
        (b"name,label\na.png,1\n", "line 2 has no file_name"),
        (b"file_name,label\n\xff\xfe.png,1\n", "not UTF-8"),
    ],
)
def test_bad_csv(folder: Path, options: DataOptions, text: bytes, message: str) -> None:
    (folder / "metadata.csv").write_bytes(text)
    with pytest.raises(UserError, match=message):
        open_data(folder, options, size=8)


def test_both_kinds(folder: Path, options: DataOptions) -> None:
    jsonl(folder, {"file_name": "a.png"})
    (folder / "metadata.csv").write_text("file_name\na.png\n")
    with pytest.raises(UserError, match="both"):
        open_data(folder, options, size=8)
