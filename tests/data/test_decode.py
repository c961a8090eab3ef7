"""What becomes of the pixels, against Pillow alone, NumPy alone, or a formula."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from ganvas.data import DataOptions, Item
from ganvas.data.decode import ORIENTATION, Decoder, background_colour, quiet, to_square
from ganvas.data.source import Unusable
from ganvas.errors import UserError

WHITE = (255, 255, 255)


def encoded(image: Image.Image, format: str = "PNG", **save: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **save)
    return file.getvalue()


def decoded(data: bytes | Image.Image, **options: Any) -> Image.Image:
    with quiet(), Decoder(DataOptions(min_side=1, **options)).open(Item("x", lambda side: data), 8) as picture:
        return picture.image


def pixels(data: bytes | Image.Image, **options: Any) -> np.ndarray:
    return np.asarray(decoded(data, **options).convert("RGB")).astype(int)


def noise(*shape: int, seed: int = 0, high: int = 256, dtype: Any = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, high, shape, dtype=dtype)


def test_png_is_exact() -> None:
    values = noise(9, 11, 3)
    assert (pixels(encoded(Image.fromarray(values))) == values).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_is_laid_on_the_background(mode: str) -> None:
    """Against colour * a + background * (1 - a)."""
    values = noise(16, 16, len(mode))
    red, green, blue = 10, 200, 90
    got = pixels(encoded(Image.fromarray(values, mode)), background=f"#{red:02x}{green:02x}{blue:02x}")
    alpha = values[:, :, -1:].astype(float) / 255
    colour = values[:, :, :3].astype(float) if mode == "RGBA" else np.repeat(values[:, :, :1].astype(float), 3, 2)
    expected = colour * alpha + np.array([red, green, blue]) * (1 - alpha)
    assert abs(got - expected).max() <= 1


def test_colour_under_transparency_does_not_bleed_when_resizing() -> None:
    values = np.zeros((64, 64, 4), np.uint8)
    values[:, :32] = [255, 0, 0, 0]  # invisible red beside solid white
    values[:, 32:] = 255
    image = decoded(encoded(Image.fromarray(values)))
    assert (to_square(image, 16, 3, "crop", WHITE) == 255).all()


def test_palette_with_transparency() -> None:
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    got = pixels(encoded(image, transparency=1), background="black")
    assert got.tolist() == [[[255, 0, 0], [0, 0, 0]], [[0, 0, 255], [0, 0, 0]]]
    half = pixels(encoded(image, transparency=bytes([255, 128, 0])), background="black")
    assert half.tolist() == [[[255, 0, 0], [0, 128, 0]], [[0, 0, 0], [0, 128, 0]]]


def test_transparent_colour_of_rgb_and_gray() -> None:
    rgb = np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)
    assert pixels(encoded(Image.fromarray(rgb), transparency=(4, 5, 6))).tolist() == [[[1, 2, 3], [255, 255, 255]]]
    gray = np.array([[7, 9]], np.uint8)
    assert pixels(encoded(Image.fromarray(gray), transparency=9))[0, :, 0].tolist() == [7, 255]
    deep = np.array([[700, 65535]], np.uint16)
    assert pixels(encoded(Image.fromarray(deep), transparency=700))[0, :, 0].tolist() == [255, 255]
    assert pixels(encoded(Image.fromarray(deep), transparency=700), background="black")[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(format: str) -> None:
    values = noise(20, 30, high=65536, dtype=np.uint16)
    values[0, :4] = [0, 128, 129, 65535]
    got = pixels(encoded(Image.fromarray(values), format))[:, :, 0]
    assert (got == np.rint(values / 257)).all()


def test_big_endian_sixteen_bits_and_pgm() -> None:
    values = noise(20, 30, high=65536, dtype=np.uint16)
    expected = np.rint(values / 257)
    pgm = b"P5 30 20 65535\n" + values.astype(">u2").tobytes()
    assert (pixels(pgm)[:, :, 0] == expected).all()
    tiff = encoded(Image.frombytes("I;16B", (30, 20), values.astype(">u2").tobytes()), "TIFF")
    assert (pixels(tiff)[:, :, 0] == expected).all()


def test_one_bit_and_gray_and_gray_to_colour() -> None:
    bits = noise(8, 8, high=2).astype(bool)
    assert (pixels(encoded(Image.fromarray(bits)))[:, :, 1] == bits * 255).all()
    gray = noise(8, 8)
    assert (to_square(decoded(encoded(Image.fromarray(gray))), 8, 3, "crop", WHITE) == gray[:, :, None]).all()
    assert (to_square(decoded(encoded(Image.fromarray(gray))), 8, 1, "crop", WHITE)[:, :, 0] == gray).all()


def test_one_channel_is_luma() -> None:
    """Against Rec. 601."""
    values = noise(12, 12, 3)
    got = to_square(decoded(encoded(Image.fromarray(values))), 12, 1, "crop", WHITE)[:, :, 0]
    assert abs(got - values @ np.array([0.299, 0.587, 0.114])).max() <= 1


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk(format: str) -> None:
    """Pillow writes CMYK JPEG as Adobe does, inverted and with Adobe's marker; TIFF holds it plainly."""
    image = Image.new("RGB", (16, 16), (200, 40, 90)).convert("CMYK")
    data = encoded(image, format)
    assert (b"Adobe" in data) == (format == "JPEG")
    assert abs(pixels(data) - [200, 40, 90]).max() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
def test_exif_orientation(orientation: int, format: str) -> None:
    """What the standard says row 0 and column 0 of the stored pixels are, done with NumPy on an asymmetric picture."""
    upright = np.zeros((16, 24, 3), np.uint8)
    upright[:8, :8] = [255, 0, 0]
    upright[:8, 16:] = [0, 255, 0]
    upright[8:, :8] = [0, 0, 255]
    stored = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],  # row 0 top, column 0 right
        3: lambda a: a[::-1, ::-1],  # bottom, right
        4: lambda a: a[::-1],  # bottom, left
        5: lambda a: a.transpose(1, 0, 2),  # left, top
        6: lambda a: a.transpose(1, 0, 2)[::-1],  # right, top
        7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],  # right, bottom
        8: lambda a: a.transpose(1, 0, 2)[:, ::-1],  # left, bottom
    }[orientation](upright)
    # Row 0 of what is stored is the upright picture's right side in 6: read down its right edge from the top.
    image = Image.fromarray(np.ascontiguousarray(stored))
    if format == "TIFF":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[ORIENTATION] = orientation
        data = encoded(image, format, tiffinfo=tags)
    else:
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        data = encoded(image, format, exif=exif, **({"quality": 100, "subsampling": 0} if format == "JPEG" else {}))
    got = pixels(data)
    assert got.shape == upright.shape
    assert abs(got - upright).max() <= 3


def test_damaged_exif_does_not_lose_the_picture() -> None:
    data = encoded(Image.new("RGB", (9, 9), "red"), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decoded(data).size == (9, 9)


@pytest.mark.parametrize("format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_first_frame_of_several(format: str) -> None:
    frames = [Image.new("RGB", (12, 12), colour) for colour in ("red", "lime", "blue")]
    data = encoded(
        frames[0], format, save_all=True, append_images=frames[1:], **({"lossless": True} if format == "WEBP" else {})
    )
    with Decoder(DataOptions()).open(Item("x", lambda side: data), 8) as picture:
        assert picture.note is not None and "first" in picture.note
        assert picture.image.convert("RGB").getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize(("width", "height"), [(40, 31), (31, 40), (40, 30), (33, 33), (7, 90)])
@pytest.mark.parametrize("side", [8, 30, 64])
def test_crop_and_lanczos_against_pillow(width: int, height: int, side: int) -> None:
    values = noise(height, width, 3)
    short = min(width, height)
    top, left = (height - short) // 2, (width - short) // 2
    square = Image.fromarray(np.ascontiguousarray(values[top : top + short, left : left + short]))
    expected = np.asarray(square.resize((side, side), Image.Resampling.LANCZOS))
    assert (to_square(Image.fromarray(values), side, 3, "crop", WHITE) == expected).all()


def test_stretch_against_pillow() -> None:
    image = Image.fromarray(noise(20, 50, 3))
    expected = np.asarray(image.resize((16, 16), Image.Resampling.LANCZOS))
    assert (to_square(image, 16, 3, "stretch", WHITE) == expected).all()


@pytest.mark.parametrize(("width", "height"), [(40, 20), (20, 40), (41, 1)])
def test_pad_keeps_everything_in_the_middle(width: int, height: int) -> None:
    got = to_square(Image.new("RGB", (width, height), "red"), 20, 3, "pad", (0, 0, 255)).astype(int)
    red = (got == [255, 0, 0]).all(2)
    assert ((got == [0, 0, 255]).all(2) | red).all()
    rows, columns = np.flatnonzero(red.any(1)), np.flatnonzero(red.any(0))
    inner = (max(1, round(20 * height / max(width, height))), max(1, round(20 * width / max(width, height))))
    assert (len(rows), len(columns)) == inner
    assert abs(rows[0] - (19 - rows[-1])) <= 1 and abs(columns[0] - (19 - columns[-1])) <= 1


def test_pad_of_gray_keeps_a_coloured_background() -> None:
    got = to_square(Image.new("L", (8, 4), 0), 8, 3, "pad", (0, 0, 255))
    assert got[0, 0].tolist() == [0, 0, 255] and got[4, 4].tolist() == [0, 0, 0]


def test_bomb_is_refused_from_its_header(tmp_path: Path) -> None:
    """100 megapixels in a few kilobytes: no decoding, so no memory."""
    import tracemalloc

    bomb = encoded(Image.new("1", (10_000, 10_000)))
    assert len(bomb) < 100_000
    calls: list[str] = []
    original = Image.Image.load
    tracemalloc.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("PIL.ImageFile.ImageFile.load", lambda self: calls.append("load") or original(self))
            with pytest.raises(Unusable, match="100,000,000 pixels"):
                decoded(bomb)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert not calls and peak < 2**20


@pytest.mark.parametrize("name", ["nocolour", "#12", "#11223344", "rgba(1,2,3,4)"])
def test_background_must_be_a_colour(name: str) -> None:
    with pytest.raises(UserError, match="Unknown background"):
        background_colour(DataOptions(background=name))


def test_unstated_range_is_refused() -> None:
    for values in (np.ones((9, 9), np.float32), np.full((9, 9), 70_000, np.int32)):
        with pytest.raises(Unusable, match="range is not stated"):
            decoded(encoded(Image.fromarray(values), "TIFF"))


def test_memory_in_flight_is_limited() -> None:
    """A picture waits until there is room, and room comes back, also after a failure."""
    decoder = Decoder(DataOptions(max_pixels=100, min_side=1))
    image = Image.new("RGB", (10, 10))
    item = Item("x", lambda side: image)
    with decoder.open(item, 8), decoder.open(item, 8):
        assert decoder.free == 0
    with pytest.raises(Unusable), decoder.open(item, 8):
        raise ValueError
    assert decoder.free == 200
