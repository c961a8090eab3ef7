"""Run folders written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganvas import systems
from ganvas.engine.folder import Settings
from ganvas.launch import override

SAMPLES = {"samples": {"n": 64, "seed": 0, "source": "unetgan smoke, step 4", "step": 4}, "reference": {"hash": "aa"}}


def write_run(path: Path, **changes: Any) -> Path:
    """A run of 4 steps of unetgan, with nothing in it but its settings and what the keywords add.

    Args:
        path: Its folder.
        **changes: `data` (facts), `stats` and `metrics` (lines), `evaluation`, `environment`, `inspect` (JSON),
            `grids` (steps); all else are settings.
    """
    facts = {"hash": "aa", "classes": [], "licence": "CC BY 4.0", "count": 7} | changes.pop("data", {})
    files = {name: changes.pop(name) for name in ("evaluation", "environment") if name in changes}
    lines = {name: changes.pop(name) for name in ("stats", "metrics") if name in changes}
    grids, inspect = changes.pop("grids", ()), changes.pop("inspect", None)
    chosen = override(systems.find_preset("unetgan", "smoke"), changes)
    path.mkdir(parents=True)
    source = facts.pop("source", "digits")
    settings = Settings("unetgan", "smoke", chosen, source, facts).to_json()
    (path / "config.json").write_text(json.dumps(settings))
    for name, values in files.items():
        (path / f"{name}.json").write_text(json.dumps(values))
    for name, entries in lines.items():
        (path / f"{name}.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (path / "samples").mkdir()
    for step in grids:
        draw(path / "samples" / f"step-{step:08d}.png", seed=step)
    if grids:
        draw(path / "samples" / "real.png", seed=99)
    if inspect is not None:
        (path / "inspect").mkdir()
        (path / "inspect" / "inspect.json").write_text(json.dumps(inspect))
    return path


def draw(path: Path, side: int = 24, seed: int = 0) -> None:
    """A picture of noise, which does not compress."""
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)).save(path)


def numbers(step: int, **losses: float | str) -> dict[str, Any]:
    """A line of stats.jsonl with numbers; `__` stands for the slash."""
    return {"step": step, "images_per_second": 8.0} | {key.replace("__", "/"): v for key, v in losses.items()}


def scored(step: int, value: float, error: float | None = None, **protocol: Any) -> dict[str, Any]:
    """A line of metrics.jsonl with the score `kd`."""
    score = {"value": value, "lower_is_better": True, "protocol": SAMPLES | protocol}
    return {"step": step, "scores": {"kd": score if error is None else score | {"error": error}}, "flags": []}
