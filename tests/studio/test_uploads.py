"""Pictures that strangers send: what is decoded, against Pillow's own reading, and what is not."""

import base64
import io
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from ganvas.errors import UserError
from ganvas.studio import pictures


def uri(data, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "GIF"])
def test_formats(kind):
    given = Image.fromarray(noise(9, 14, 3)).quantize(16).convert("RGB")
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (pictures.decoded(uri(encoded(given, kind, **options)), 3) == np.asarray(given)).all()


def test_upright_on_white_gray_and_smaller():
    turned = Image.Exif()
    turned[0x0112] = 6
    photo = Image.fromarray(noise(8, 20, 3))
    given = pictures.decoded(uri(encoded(photo, "PNG", exif=turned)), 3)
    assert (given == np.asarray(photo.transpose(Image.Transpose.ROTATE_270))).all()
    clear = Image.fromarray(np.zeros((4, 4, 4), np.uint8))
    assert (pictures.decoded(uri(encoded(clear)), 3) == 255).all()
    gray = pictures.decoded(uri(encoded(photo)), 1)
    assert gray.shape == (8, 20, 1) and (gray[:, :, 0] == np.asarray(photo.convert("L"))).all()
    assert pictures.decoded(uri(encoded(photo)), 3, most=10).shape == (4, 10, 3)


def test_there_and_back():
    pixels = noise(6, 7, 3)
    tensor = pictures.tensor_of(pixels)
    assert tensor.shape == (1, 3, 6, 7)
    torch.testing.assert_close(
        tensor[0, :, 2, 3].double(), torch.from_numpy(pixels[2, 3] / 127.5 - 1), rtol=0, atol=1e-6
    )
    assert (pictures.decoded(pictures.uris(tensor)[0], 3) == pixels).all()


def bomb(width, height):
    """A small PNG that says it is huge."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    )


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x",
        "data:",
        "data:image/png;base64,",
        "data:image/png;base64,!!!",
        "data:image/png,rawtext",
        "/etc/passwd",
        "file:///etc/passwd",
        "http://127.0.0.1/x.png",
        uri(b"nothing"),
        uri(b"\x89PNG\r\n\x1a\n"),
        uri(encoded(Image.fromarray(noise(40, 40, 3)))[:200]),
        uri(bomb(50_000, 50_000)),
        uri(bomb(2**31 - 1, 1)),
        uri(EPS),
        uri(SVG),
        uri(b"\x80\x04\x95" + b"pickle"),
        uri(b"\x93NUMPY\x01\x00v\x00" + b"{}" * 60),
        uri(b"PK\x03\x04" + b"z" * 99),
    ],
)
def test_what_is_no_such_picture_is_refused_in_one_line(given):
    with pytest.raises(UserError) as caught:
        pictures.decoded(given, 3)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_more_letters_than_allowed(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_TEXT", 100)
    with pytest.raises(UserError, match="MiB"):
        pictures.decoded(uri(encoded(Image.fromarray(noise(40, 40, 3)))), 3)
