"""Pictures and folders made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganvas.data import DataOptions

Draw = Callable[..., Path]


@pytest.fixture
def options(tmp_path: Path) -> DataOptions:
    return DataOptions(cache=tmp_path / "cache", workers=2)


@pytest.fixture
def draw() -> Draw:
    """Writes a picture of noise; each seed gives another."""

    def draw(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30), mode: str = "RGB", **save: Any) -> Path:
        values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 4), dtype=np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(values[:, :, :3]).convert(mode).save(path, **save)
        return path

    return draw


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Path:
    """Three good pictures."""
    for i, name in enumerate(["a.png", "b.png", "c.jpg"]):
        draw(tmp_path / "photos" / name, seed=i)
    return tmp_path / "photos"
