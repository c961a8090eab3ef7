"""Small studies for the tests of judging: red pictures are real and blue ones generated, or photos of noise."""

from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from ganvas.metrics import mos, turing


def make_turing(place: Path, n: int = 20, seed: int = 3) -> Path:
    for side in ("real", "made"):
        (place / side).mkdir(parents=True)
    for i in range(n):
        note = PngInfo()
        note.add_text("Software", "a generator")
        red, blue = (200, 6 * i, 0), (0, 6 * i, 200)
        Image.new("RGB", (24, 24), red).save(place / "real" / f"r{i}.jpg", quality=100)
        Image.new("RGB", (24, 24), blue).save(place / "made" / f"g{i}.png", pnginfo=note)
    return turing.prepare(place / "real", place / "made", place / "test", n=n, seed=seed)


def make_mos(place: Path, n: int = 5, seed: int = 3) -> Path:
    random = np.random.default_rng(seed)
    for side in ("photos", "darker"):
        (place / side).mkdir(parents=True)
    for i in range(n):
        rough = Image.fromarray(random.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        photo = rough.resize((64, 48), Image.Resampling.BICUBIC)
        photo.save(place / "photos" / f"p{i}.png")
        Image.fromarray(np.asarray(photo) // 2).save(place / "darker" / f"p{i}.png")
    methods = {"bicubic": "bicubic", "darker": place / "darker"}
    return mos.prepare(place / "photos", methods, place / "test", raters=2, seed=seed).folder
