"""Pictures of noise, made on the spot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ganvas

MakeRun = Callable[..., ganvas.Run]


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def picture(path: Path, width: int, height: int, mode: str = "RGB", seed: int = 0, **save: Any) -> Path:
    """Writes noise."""
    values = noise(height, width, 4, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values) if mode == "RGBA" else Image.fromarray(values[:, :, :3]).convert(mode)
    image.save(path, **save)
    return path
