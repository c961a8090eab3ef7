"""From the bytes of any picture file to a square of uint8 pixels.

In this order: size checked from the header, decoded whole, turned as EXIF says, reduced to 8 bits, laid on
the background where it is transparent, cut or padded to a square, resized with Lanczos. Transparency goes
before resizing, because the colour of a transparent pixel means nothing and must not bleed into others.
"""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, UnidentifiedImageError

from ganvas.data.options import DataOptions
from ganvas.data.source import Item, Unusable
from ganvas.errors import UserError

Colour = tuple[int, int, int]

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""

ORIENTATION = 0x0112


@dataclass(frozen=True)
class Picture:
    """A decoded picture.

    Attributes:
        image: Upright, without transparency, mode L or RGB.
        mode: Pillow's name for how the file stores its pixels.
        format: Pillow's name of the file format.
        note: What a reader should know although the picture is used.
    """

    image: Image.Image
    mode: str
    format: str
    note: str | None = None


def background_colour(options: DataOptions) -> Colour:
    """The background as (red, green, blue), 0 to 255.

    Raises:
        UserError: It is no colour.
    """
    with contextlib.suppress(ValueError):
        colour = ImageColor.getrgb(options.background)
        if len(colour) == 3:  # not with a fourth value, for transparency
            return colour
    raise UserError(f"Unknown background colour {options.background!r}; give a name such as white, or #rrggbb.")


class Decoder:
    """Decodes items on several threads, with a limit on the pixels that are in memory at once."""

    def __init__(self, options: DataOptions):
        self.options = options
        self.background = background_colour(options)
        self.free = 2 * options.max_pixels
        self.changed = threading.Condition()

    @contextlib.contextmanager
    def open(self, item: Item, side: int) -> Iterator[Picture]:
        """The item decoded; its memory counts against the limit until the block ends.

        Raises:
            Unusable: The item cannot be used; the message says why.
        """
        try:
            given = item.read(side)
            if isinstance(given, bytes):
                if not given:
                    raise Unusable("the file is empty")
                given = Image.open(io.BytesIO(given))
            pixels = given.width * given.height
            if pixels > self.options.max_pixels:
                raise Unusable(f"{pixels:,} pixels, more than max_pixels ({self.options.max_pixels:,})")
            if min(given.size) < self.options.min_side:
                raise Unusable(f"{given.width}x{given.height} pixels; min_side is {self.options.min_side}")
            with self._hold(pixels):
                yield self._decode(given)
        except (Unusable, UserError):
            raise
        # Decoders of damaged files raise whatever they stumble over: struct.error, SyntaxError, KeyError, ...
        except Exception as error:
            raise Unusable(_reason(error)) from error

    def _decode(self, image: Image.Image) -> Picture:
        mode, kind = image.mode, image.format or "array"
        several = getattr(image, "is_animated", False) and kind != "MPO"  # MPO: one photo with its previews
        note = "several frames or pages; the first is used" if several else None
        image.load()
        # After loading, because some decoders (TIFF) turn the picture themselves and then say so.
        image = _turned(image)
        return Picture(_opaque(_eight_bits(image), self.background), mode, kind, note)

    @contextlib.contextmanager
    def _hold(self, pixels: int) -> Iterator[None]:
        with self.changed:
            self.changed.wait_for(lambda: self.free >= pixels)
            self.free -= pixels
        try:
            yield
        finally:
            with self.changed:
                self.free += pixels
                self.changed.notify_all()


def to_square(image: Image.Image, side: int, channels: int, fit: str, background: Colour) -> NDArray[np.uint8]:
    """A square of pixels.

    Args:
        image: Mode L or RGB.
        side: Pixels.
        channels: 1 (luma) or 3.
        fit: `crop`, `pad` or `stretch`, as in `DataOptions`.
        background: What padding is filled with.

    Returns:
        (side, side, channels).
    """
    mode = "L" if channels == 1 else "RGB"
    width, height = image.size
    if fit == "crop" and width != height:
        short = min(width, height)
        left, top = (width - short) // 2, (height - short) // 2
        image = image.crop((left, top, left + short, top + short))
    if fit == "pad" and width != height:
        scale = side / max(width, height)
        inner = (max(1, round(width * scale)), max(1, round(height * scale)))
        canvas = Image.new("RGB", (side, side), background)
        small = _resized(image, inner)
        canvas.paste(small.convert("RGB"), ((side - inner[0]) // 2, (side - inner[1]) // 2))
        image = canvas
    else:
        image = _resized(image, (side, side))
    return np.asarray(image.convert(mode), dtype=np.uint8).reshape(side, side, channels)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Pillow's warnings about odd files are left out: what matters of them comes back as `Unusable`.

    Around the whole pool, since Python's warning filters are shared by all threads.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _turned(image: Image.Image) -> Image.Image:
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # damaged EXIF says nothing about the pixels
        turn = None
    return image if turn is None else image.transpose(turn)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Sixteen-bit gray scaled to eight; Pillow's own conversion would clip it at 255."""
    if image.mode == "F":
        raise Unusable("floating-point pixels, whose range is not stated; store it with 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise Unusable("32-bit pixels, whose range is not stated; store it with 8 or 16 bits")
    gray = Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        gray.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return gray


def _opaque(image: Image.Image, background: Colour) -> Image.Image:
    if image.has_transparency_data:
        canvas = Image.new("RGBA", image.size, (*background, 255))
        return Image.alpha_composite(canvas, image.convert("RGBA")).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")


def _reason(error: Exception) -> str:
    """One line for a person."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split())
    if isinstance(error, UnidentifiedImageError):
        return "not a picture in a format that Pillow reads"
    if isinstance(error, Image.DecompressionBombError):
        return "more pixels than Pillow's safety limit"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, OSError | EOFError | SyntaxError | ValueError | struct.error | zlib.error):
        return f"damaged or unreadable ({text})" if text else "damaged or unreadable"
    return f"damaged or unreadable ({type(error).__name__}: {text})"
