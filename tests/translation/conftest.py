"""What the tests of translating share: a system of two sides, runs of it, and pictures made on the spot."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sided_pictures import picture

import ganvas
from ganvas import systems


@pytest.fixture(scope="module", autouse=True)
def _system_and_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(systems, "__path__", [*systems.__path__, str(Path(__file__).parent / "sided_systems")])
    patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ganvas.Run]:
    """A run of the system with these settings, trained for a step."""
    made: dict[str, ganvas.Run] = {}
    folder = tmp_path_factory.mktemp("runs")

    def make(**settings: Any) -> ganvas.Run:
        settings["size"] = max(8, settings.get("multiple", 1)) * settings.get("scale", 1)
        name = repr(sorted(settings.items()))
        if name not in made:
            out = folder / str(len(made))
            sides = [out.with_name(f"{out.name}{side}") for side in "ab"]
            for side, shrunk in zip(sides, (settings.get("scale", 1), 1), strict=True):
                for number in range(2):
                    length = settings["size"] // shrunk
                    picture(side / f"{number}.png", length, length, seed=number)
            data = f"{sides[0]}::{sides[1]}"
            with contextlib.redirect_stdout(io.StringIO()):
                made[name] = ganvas.train("sides", "smoke", data=data, out=out, device="cpu", **settings)
        return made[name]

    return make
