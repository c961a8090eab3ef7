"""Super-resolution of files: against pixels repeated by NumPy, Pillow's bicubic, and the network in one piece."""

from __future__ import annotations

import json
import struct
import zlib
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms
from sided_pictures import MakeRun, noise, picture
from sided_systems.sides import Config, TwoSides

import ganvas
from ganvas import cli
from ganvas.data.source import Problem
from ganvas.errors import UserError
from ganvas.systems import srgan
from ganvas.translation import enlarging, work
from ganvas.translation.enlarging import bicubic
from ganvas.translation.tiles import Tiling, starts, translate_tiled, translate_whole, weights
from ganvas.translation.translator import Translator

Captured = pytest.CaptureFixture[str]


def repeated(pixels: np.ndarray, scale: int) -> np.ndarray:
    return pixels.repeat(scale, 0).repeat(scale, 1)


def pillow_bicubic(pixels: np.ndarray, scale: int) -> np.ndarray:
    """(H, W, C), enlarged by Pillow in float; it has the same kernel, and no pixels beyond the borders."""
    height, width, channels = pixels.shape
    planes = [Image.fromarray(pixels[..., c].astype(np.float32)) for c in range(channels)]
    size = (scale * width, scale * height)
    return np.stack([plane.resize(size, Image.Resampling.BICUBIC) for plane in planes], 2).clip(0, 255)


def through(run: ganvas.Run, path: Path, name: str = "out.png", **more: Any) -> Image.Image:
    """The file as it comes out."""
    out = path.parent / name
    ganvas.translate(run, path, out, force=True, **more)
    with Image.open(out) as image:
        image.load()
        return image


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90), width=st.integers(1, 90), multiple=st.sampled_from([1, 2, 8]),
    scale=st.sampled_from([2, 3, 4, 8]), side=st.integers(16, 40), share=st.floats(0, 0.5),
    batch=st.sampled_from([None, 1, 3]),
)  # fmt: skip
def test_every_size_tile_and_overlap_gives_each_pixel_as_a_square(
    height: int, width: int, multiple: int, scale: int, side: int, share: float, batch: int | None
) -> None:
    """Against NumPy: a wrong weight, crop, band or place of a tile would change a byte."""
    system = TwoSides(Config(multiple=multiple, scale=scale)).eval()
    translator = Translator(system, "AtoB", torch.device("cpu"), nullcontext, 3, 3)
    tiling = Tiling.fitting(side, int(share * (side // multiple * multiple)), batch, multiple, scale)
    given_ = noise(height, width, seed=height * 91 + width)
    whole = tiling.whole(height, width)
    got = translate_whole(translator, [given_], [0])[0] if whole else translate_tiled(translator, given_, 0, tiling)
    np.testing.assert_array_equal(got, repeated(given_, scale))
    assert all(max(shape[2:]) <= tiling.side for shape in system.shapes)
    assert whole or len({shape[2:] for shape in system.shapes}) == 1


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (3, 1), (17, 23), (257, 191)])
@pytest.mark.parametrize("scale", [2, 4])
def test_files_come_out_so_many_times_as_large(
    size: tuple[int, int], scale: int, make_run: MakeRun, tmp_path: Path
) -> None:
    path = picture(tmp_path / "in.png", *size)
    found = through(make_run(scale=scale), path)
    assert found.size == (scale * size[0], scale * size[1])
    np.testing.assert_array_equal(np.asarray(found), repeated(np.asarray(Image.open(path)), scale))


def of_srgan(scale: int = 4) -> Translator:
    torch.manual_seed(0)
    system = srgan.SRGAN(srgan.Config(size=48, width=16, blocks=4, scale=scale, adversarial_weight=0.0)).eval()
    return Translator(system, "AtoB", torch.device("cpu"), nullcontext, 3, 3)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_srgan_enlarges_every_size(scale: int) -> None:
    translator = of_srgan(scale)
    for height, width in ((1, 1), (1, 7), (13, 4), (31, 17)):
        found = translator(torch.rand(2, 3, height, width) * 2 - 1, [0, 1])
        assert found.shape == (2, 3, scale * height, scale * width)


@torch.no_grad()
def test_tiles_of_srgan_leave_no_seam() -> None:
    """Against the network in one piece, both with 16 bits: less than a gray level (of 255) apart by default.

    Convolutions see zeros beyond a tile, so that its border is drawn otherwise than in the whole picture: with 8 pixels
    of overlap that shows. The network has its first weights, and an output as strong as a photograph.
    """
    translator = of_srgan()
    given_ = np.asarray(Image.fromarray(noise(24, 30, 3)).resize((180, 150), Image.Resampling.BICUBIC))
    pixels = torch.tensor(given_).permute(2, 0, 1)[None] / 127.5 - 1
    given_ = given_.astype(np.uint16) * 257
    output = translator.system.generator.output
    output.weight *= 0.35 / translator.system.generator(pixels).std()
    output.bias -= translator.system.generator(pixels).mean((0, 2, 3))
    whole = translate_whole(translator, [given_], [0])[0].astype(int)
    assert whole.std() > 10 * 257
    usual = translate_tiled(translator, given_, 0, Tiling.fitting(80, None, None, 1, 4)).astype(int)
    little = translate_tiled(translator, given_, 0, Tiling.fitting(80, 8, None, 1, 4)).astype(int)
    assert abs(usual - whole).max() < 257
    assert abs(little - whole).max() > 10 * 257


def test_what_a_border_spoils_counts_nothing() -> None:
    begins = starts(400, 100, 40, 1)
    found = weights(400, 100, 40, begins, 15).double()
    total = torch.zeros(400, dtype=torch.float64)
    for begin, weight in zip(begins, found, strict=True):
        total[begin : begin + 100] += weight
    torch.testing.assert_close(total, torch.ones(400, dtype=torch.float64), atol=1e-6, rtol=0)
    assert (found[1, :15] == 0).all() and (found[1, 85:] == 0).all() and (found[1, 25:75] == 1).all()
    assert (found[0, :75] == 1).all()  # nothing is spoilt where the picture itself ends
    at = (torch.arange(10, dtype=torch.float64) + 0.5) / 10
    torch.testing.assert_close(found[1, 15:25], (1 - torch.cos(torch.pi * at)) / 2, atol=1e-6, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(4000, 4000), (3000, 4000), (512, 512), (700, 5000)])
def test_tiles_add_about_a_tenth_to_the_work(height: int, width: int) -> None:
    """Pixels that pass through the network of all tiles, of those of the picture, for four times."""
    tiling = Tiling.fitting(None, None, None, 1, 4)
    counts = []
    for length in (height, width):
        side = tiling.side_for(length)
        assert side <= tiling.side
        counts.append(side * len(starts(length, side, tiling.overlap, 1)))
    assert height * width <= counts[0] * counts[1] < 1.11 * height * width


def test_fewer_at_once_the_more_comes_out() -> None:
    cpu = torch.device("cpu")
    assert Tiling(512, 24, 0, 1).at_once(64, 64, cpu) == 64
    assert Tiling(448, 24, 0, 4).at_once(64, 64, cpu) == 4
    assert Tiling(448, 24, 0, 8).at_once(448, 448, cpu) == 1
    assert Tiling(448, 24, 7, 8).at_once(448, 448, cpu) == 7


@pytest.mark.parametrize("mode", ["L", "1", "LA"])
def test_gray_stays_gray_through_colours(mode: str, make_run: MakeRun, tmp_path: Path) -> None:
    """A network that halves red: its luma, by ITU-R BT.601, with a channel for it alone."""
    path = picture(tmp_path / "in.png", 30, 20, mode)
    gray = np.asarray(Image.open(path).convert("L")).astype(float)
    found = through(make_run(scale=2, rule="tint"), path)
    assert found.mode == ("LA" if mode == "LA" else "L")
    got = np.asarray(found.getchannel(0))
    assert abs(got - repeated(gray * (1 - 0.299 / 2), 2)).max() <= 0.5 + 1e-3
    colour = picture(tmp_path / "colour.png", 30, 20)
    assert through(make_run(scale=2, rule="tint"), colour).mode == "RGB"
    assert through(make_run(rule="tint"), path).mode != "L"  # what does not enlarge may colour it


def deep_png(values: np.ndarray, kind: int) -> bytes:
    """A PNG of 16 bits, written by hand: Pillow writes none but gray ones."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("tile", [None, 16])
def test_sixteen_bits_of_gray(channels: int, tile: int | None, make_run: MakeRun, tmp_path: Path) -> None:
    """Values that 8 bits cannot tell apart, to a level of 65,535; into JPEG the upper 8 bits."""
    run = make_run(scale=2, channels=channels, source_channels=channels)
    values = np.random.default_rng(0).integers(0, 65536, (40, 30), dtype=np.uint16)
    for name, kind in (("in.png", "PNG"), ("in.tif", "TIFF")):
        Image.fromarray(values).save(tmp_path / name, kind)
        for out in ("out.png", "out.tiff"):
            found = through(run, tmp_path / name, out, tile=tile)
            assert found.mode == "I;16"
            assert abs(np.asarray(found).astype(int) - repeated(values.astype(int), 2)).max() <= 1
    smooth = np.linspace(0, 65535, 40 * 30).reshape(40, 30).astype(np.uint16)
    Image.fromarray(smooth).save(tmp_path / "in.png")
    flat = np.asarray(through(run, tmp_path / "in.png", "out.jpg", quality=100))
    assert abs(flat - repeated(smooth, 2) / 257).max() < 4


def test_sixteen_bits_turned_and_resized(make_run: MakeRun, tmp_path: Path) -> None:
    run = make_run(scale=2, channels=1, source_channels=1)
    values = np.linspace(0, 65535, 40 * 30).reshape(40, 30).astype(np.uint16)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.fromarray(values).save(tmp_path / "in.png", exif=exif)
    np.testing.assert_array_equal(np.asarray(through(run, tmp_path / "in.png")), repeated(np.rot90(values, -1), 2))
    Image.fromarray(values).save(tmp_path / "in.png")
    small = np.asarray(through(run, tmp_path / "in.png", size=15))[::2, ::2].astype(float)
    means = values.astype(float).reshape(20, 2, 15, 2).mean((1, 3))  # what halving a ramp gives, away from its ends
    assert abs(small - means)[3:-3, 3:-3].max() < 30


@pytest.mark.parametrize(("kind", "channels", "mode"), [(2, 3, "RGB"), (6, 4, "RGBA"), (4, 2, "LA")])
def test_sixteen_bits_that_pillow_does_not_read(
    kind: int, channels: int, mode: str, make_run: MakeRun, tmp_path: Path
) -> None:
    values = np.full((10, 12, channels), 0x8123, np.uint16)
    (tmp_path / "in.png").write_bytes(deep_png(values, kind))
    found = ganvas.translate(make_run(scale=2), tmp_path / "in.png", tmp_path / "out.png")
    note = "of 16 bits the upper 8 are used: all of them are of gray ones alone"
    assert found.notes == [Problem("in.png", note)]
    with Image.open(tmp_path / "out.png") as image:
        assert image.mode == mode and (np.asarray(image) == 0x81).all()


@pytest.mark.parametrize("name", ["out.png", "out.webp", "out.tiff"])
def test_transparency_is_enlarged_bicubically(name: str, make_run: MakeRun, tmp_path: Path) -> None:
    """Against Pillow's, which has the same kernel but for what lies beyond the borders."""
    y, x = np.mgrid[:40, :50]
    given_ = noise(40, 50, 4)
    given_[..., 3] = np.clip(300 - 20 * np.hypot(y - 20, x - 25), 0, 255)
    Image.fromarray(given_).save(tmp_path / "in.png")
    expected = pillow_bicubic(given_[..., 3:], 4)[..., 0]
    found = np.asarray(through(make_run(scale=4, background="#10c85a"), tmp_path / "in.png", name, quality=100))
    assert abs(found[..., 3].astype(float) - expected)[8:-8, 8:-8].max() <= 0.51
    seen = repeated(given_[..., 3], 4) > 0
    if name != "out.webp":  # colours as the file has them, not mixed with a background, and none where nothing is seen
        both = seen & (found[..., 3] > 0)
        np.testing.assert_array_equal(found[both][:, :3], repeated(given_, 4)[both][:, :3])
        assert (found[found[..., 3] == 0] == 0).all()


def test_colours_that_cannot_be_seen_do_not_bleed(make_run: MakeRun, tmp_path: Path) -> None:
    """A red disc on hidden green before a white background, blurred over 5 pixels: red as far as anything is seen."""
    y, x = np.mgrid[:40, :40]
    inside = np.hypot(y - 20, x - 20) < 10
    given_ = np.where(inside[..., None], [200, 0, 0, 255], [0, 255, 0, 0]).astype(np.uint8)
    Image.fromarray(given_).save(tmp_path / "in.png")
    run = make_run(scale=2, rule="blur")
    found = np.asarray(through(run, tmp_path / "in.png"))
    assert (found[found[..., 3] > 0][:, :3] == [200, 0, 0]).all()
    # Into JPEG before the background: no pixel is green, and far outside it is white.
    flat = np.asarray(through(run, tmp_path / "in.png", "out.jpg", quality=100)).astype(int)
    assert (flat[..., 1] <= flat[..., 0] + 8).all() and (flat[0, 0] > 250).all()
    assert abs(flat[40, 40] - [200, 0, 0]).max() < 8


def test_resolution_and_colour_profile_stay_true(make_run: MakeRun, tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = picture(tmp_path / "in.png", 20, 30, dpi=(100, 50), icc_profile=profile)
    for name in ("out.png", "out.jpg", "out.tiff", "out.webp"):
        info = through(make_run(scale=4), path, name).info
        assert info["icc_profile"] == profile
        if name != "out.webp":
            assert tuple(map(float, info["dpi"])) == pytest.approx((400, 200), abs=0.1)  # as large on paper as before
    gray = picture(tmp_path / "gray.png", 20, 30, "L", icc_profile=profile)
    assert "icc_profile" not in through(make_run(scale=4), gray).info  # it is one of colours
    assert "icc_profile" not in through(make_run(), path).info


def test_results_that_no_file_holds(make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "in" / "a.png", 4_200, 8)
    picture(tmp_path / "in" / "b.png", 20, 16)
    run = make_run(scale=4)
    found = ganvas.translate(run, tmp_path / "in", tmp_path / "out", format="webp")
    said = "16800x32 pixels, 4 times as many each way, are more than webp can hold: give another --format"
    assert found.skipped == [Problem("a.png", said)] and found.pictures == 1
    monkeypatch.setattr(work, "MOST", 100_000)
    run.system.shapes.clear()
    path = picture(tmp_path / "c.png", 100, 80)
    with pytest.raises(UserError) as error:
        ganvas.translate(run, path, tmp_path / "c-out.png")
    assert str(error.value) == (
        f"cannot translate {path}: 400x320 pixels, 4 times as many each way, are more than 100,000 in all: give "
        "--size 70 or cut it up"
    )
    assert run.system.shapes == []
    assert through(run, path, size=70).size == (352, 280)  # which is what was advised


def test_large_results_are_written_one_by_one(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is there before the next one passes through the network."""
    for number in range(3):
        picture(tmp_path / "in" / f"{number}.png", 40, 30, seed=number)
    run, there = ganvas.Run(make_run(scale=2).path, "cpu"), []
    plain = TwoSides.translate

    def watched(system: TwoSides, *given_: Any) -> torch.Tensor:
        there.append(len(list((tmp_path / "out").glob("*.png"))))
        return plain(system, *given_)

    monkeypatch.setattr(type(run.system), "translate", watched)
    monkeypatch.setattr(work, "LARGE", 100)
    found = ganvas.translate(run, tmp_path / "in", tmp_path / "out", tile=40, batch=1)
    assert there == [0, 1, 2]
    assert found.megapixels == pytest.approx(3 * 80 * 60 / 1e6)
    for number in range(3):
        expected = repeated(noise(30, 40, 4, number)[..., :3], 2)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / f"{number}.png")), expected)


def test_frames_of_a_film(make_run: MakeRun, tmp_path: Path) -> None:
    """12 frames: their names and order, each what becomes of it alone, and several at once."""
    for number in range(12):
        picture(tmp_path / "in" / f"frame-{number + 1:05d}.png", 24, 16, seed=number)
    run = ganvas.Run(make_run(scale=2).path, "cpu")
    found = ganvas.translate(run, tmp_path / "in", tmp_path / "out")
    assert found.pictures == 12 and found.lines()[0].startswith(f"{tmp_path / 'out'}: 12 pictures 2 times as large")
    assert run.system.shapes == [(12, 3, 16, 24)]
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == [f"frame-{number + 1:05d}.png" for number in range(12)]
    for number, name in enumerate(names):
        expected = repeated(noise(16, 24, 4, number)[..., :3], 2)
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), expected)


def test_eight_and_sixteen_bits_of_one_size_in_a_folder(make_run: MakeRun, tmp_path: Path) -> None:
    """Each keeps its own bits: they do not pass through the network as one batch."""
    (tmp_path / "in").mkdir()
    gray = noise(20, 30, 1)[..., 0]
    for name, values in (("0", gray), ("1", gray.astype(np.uint16) * 200 + 77), ("2", gray)):
        Image.fromarray(values).save(tmp_path / "in" / f"{name}.png")
    ganvas.translate(make_run(scale=2), tmp_path / "in", tmp_path / "out")
    for name, values, mode in (("0", gray, "L"), ("1", gray.astype(int) * 200 + 77, "I;16"), ("2", gray, "L")):
        with Image.open(tmp_path / "out" / f"{name}.png") as image:
            assert image.mode == mode
            assert abs(np.asarray(image).astype(int) - repeated(values, 2)).max() <= (mode != "L")


def test_bicubic_in_bands_is_bicubic_at_once() -> None:
    from ganvas.data.resizing import enlarge
    from ganvas.data.sampler import to_float
    from ganvas.viz.grids import to_bytes

    pixels = noise(2 * enlarging.ROWS + 5, 7, 2)
    expected = to_bytes(enlarge(to_float(torch.from_numpy(pixels[None])), 3))[0]
    assert abs(bicubic(pixels, 3).astype(int) - expected).max() <= 1


def before_and_after(sheet: Image.Image, wide: int) -> tuple[np.ndarray, np.ndarray]:
    pixels = np.asarray(sheet)
    column = (pixels.shape[1] - enlarging.GAP) // 2
    left, right = pixels[enlarging.LINE :, :wide], pixels[enlarging.LINE :, column + enlarging.GAP :][:, :wide]
    assert (pixels[:, column : column + enlarging.GAP] == 255).all()
    for words in (pixels[: enlarging.LINE, :column], pixels[: enlarging.LINE, column:]):
        assert (words == 0).any()  # black on white
    return left, right


def test_comparisons(make_run: MakeRun, tmp_path: Path) -> None:
    """The left against Pillow's bicubic, the right against the result; of large ones the middle, pixel for pixel."""
    run = make_run(scale=4)
    path = picture(tmp_path / "small.png", 100, 60)
    through(run, path, compare=tmp_path / "compare.png")
    left, right = before_and_after(Image.open(tmp_path / "compare.png"), 400)
    expected = pillow_bicubic(np.asarray(Image.open(path)), 4)
    assert left.shape == expected.shape and abs(left - expected)[8:-8, 8:-8].max() <= 0.51
    np.testing.assert_array_equal(right, np.asarray(Image.open(tmp_path / "out.png")))
    path = picture(tmp_path / "large.png", 700, 300)
    through(run, path, compare=tmp_path / "folder", tile=128)
    left, right = before_and_after(Image.open(tmp_path / "folder" / "out.png"), 1024)
    top, begin = 4 * ((300 - 256) // 2), 4 * ((700 - 256) // 2)
    inside = np.s_[top : top + 1024, begin : begin + 1024]
    np.testing.assert_array_equal(right, np.asarray(Image.open(tmp_path / "out.png"))[inside])
    whole = pillow_bicubic(np.asarray(Image.open(path)), 4)
    assert left.shape == (1024, 1024, 3) and abs(left - whole[inside]).max() <= 0.51


def test_comparisons_of_folders_and_of_all_kinds(make_run: MakeRun, tmp_path: Path) -> None:
    for mode in ("L", "LA", "RGBA", "RGB"):
        picture(tmp_path / "in" / "d" / f"{mode}.png", 20, 16, mode)
    Image.fromarray(noise(16, 20, 1)[..., 0].astype(np.uint16) * 257).save(tmp_path / "in" / "d" / "deep.png")
    run, given_ = make_run(scale=2), tmp_path / "in"
    found = ganvas.translate(run, given_, tmp_path / "out", format="webp", compare=tmp_path / "two")
    assert found.pictures == 5
    names = sorted(path.name for path in (tmp_path / "two" / "d").iterdir())
    assert names == ["L.png", "LA.png", "RGB.png", "RGBA.png", "deep.png"]
    ganvas.translate(make_run(), tmp_path / "in", tmp_path / "same", compare=tmp_path / "same-two")
    left, right = before_and_after(Image.open(tmp_path / "same-two" / "d" / "RGB.png"), 20)
    np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(left, noise(16, 20, 4)[..., :3])


def said(words: list[Any], capsys: Captured) -> str:
    """The one line of a command that fails."""
    assert cli.run(["translate", *map(str, words)]) == 2
    out, error = capsys.readouterr()
    assert out == "" and error.count("\n") == 1
    return error.removeprefix("ganvas: ").rstrip("\n")


def test_what_goes_wrong_is_one_line(make_run: MakeRun, tmp_path: Path, capsys: Captured) -> None:
    run, path, out = make_run(scale=4), picture(tmp_path / "in" / "a.png", 20, 16), tmp_path / "out.png"
    assert said([run.path, path, out, "--scale", "2"], capsys) == (
        f"{run.path} enlarges 4 times, not 2: leave out --scale, or take a run that was trained with --scale 2"
    )
    assert "does not enlarge: leave out --scale" in said([make_run().path, path, out, "--scale", "2"], capsys)
    assert cli.run(["translate", str(run.path), str(path), str(out), "--scale", "4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scale"] == 4
    out.unlink()
    (tmp_path / "file").write_text("x")
    for place, expected in {
        path: "is what is read itself",
        tmp_path / "in" / "folder": "",
        out: "would be written to the same files",
        tmp_path / "x.jpg": "--compare takes a .png file for one picture, or a folder",
        tmp_path / "file" / "x.png": "cannot write to",
        picture(tmp_path / "there.png", 8, 8): "there.png is there already",
    }.items():
        if expected:
            assert expected in said([run.path, path, out, "--compare", place], capsys)
    inside = said([run.path, path.parent, tmp_path / "all", "--compare", path.parent / "x"], capsys)
    assert "is inside of what is read" in inside
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    message = said([run.path, tmp_path / "broken.png", out], capsys)
    assert message == f"cannot translate {tmp_path / 'broken.png'}: not a picture in a format that Pillow reads"
    assert not out.exists()


def test_too_little_memory_is_one_line(
    make_run: MakeRun, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, path = make_run(scale=4), picture(tmp_path / "in.png", 20, 16)
    message = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes. Error code 12"

    def fail(*given_: Any) -> None:
        raise RuntimeError(message)

    monkeypatch.setattr(type(ganvas.Run(run.path, "cpu").system), "translate", fail)
    expected = "1 of 20x16 pixels at once need more memory than cpu has: give a smaller --tile or --batch"
    with pytest.raises(UserError, match=expected):
        ganvas.translate(ganvas.Run(run.path, "cpu"), path, tmp_path / "out.png")
    message = "another"
    with pytest.raises(RuntimeError, match="another"):
        ganvas.translate(ganvas.Run(run.path, "cpu"), path, tmp_path / "out.png")


def test_weights_that_are_missing_or_damaged(
    make_run: MakeRun, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    path, out = picture(tmp_path / "a.png", 20, 16), tmp_path / "out.png"
    shutil.copytree(make_run(scale=4).path, tmp_path / "damaged")
    for file in (tmp_path / "damaged").rglob("*.safetensors"):
        file.write_bytes(file.read_bytes()[:-7])
    assert "damaged" in said([tmp_path / "damaged", path, out], capsys)
    shutil.copytree(make_run(scale=4).path, tmp_path / "bare")
    shutil.rmtree(tmp_path / "bare" / "checkpoints")
    assert "bare" in said([tmp_path / "bare", path, out], capsys)
    assert not out.exists()


def test_srgan_through_the_command(tmp_path: Path, capsys: Captured) -> None:
    """A run of four steps: a photograph's shape, its gray, and its comparison."""
    pytest.importorskip("skimage")
    assert cli.run(["train", "srgan", "smoke", "--data", "skimage-photos", "--out", str(tmp_path / "run")]) == 0
    path = picture(tmp_path / "in.png", 33, 21, "L")
    words = ["translate", tmp_path / "run", path, tmp_path / "out.png", "--tile", "24"]
    assert cli.run([*map(str, words), "--compare", str(tmp_path / "two.png")]) == 0
    assert "1 picture 4 times as large each way in" in capsys.readouterr().out
    with Image.open(tmp_path / "out.png") as image:
        assert (image.size, image.mode) == ((132, 84), "L")
        assert image.text["Source"].startswith("srgan smoke, step 4")
