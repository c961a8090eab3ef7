"""What the tests of captions share: a system that shows what it is given, and a cache of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import ganvas.systems

HERE = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _worded_and_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(ganvas.systems, "__path__", [*ganvas.systems.__path__, str(HERE / "systems")])
    patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setenv("HF_HUB_OFFLINE", "1")
    patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
    yield
    patch.undo()
