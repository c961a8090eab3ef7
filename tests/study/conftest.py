"""What the tests of studies share: the toy system among the others, a cache of their own, and a file to change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from study_program import PROGRAM, TOYS

from ganvas import systems
from ganvas.study import job


@pytest.fixture(scope="session", autouse=True)
def _toy_and_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Here and in the processes that a study starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(systems, "__path__", [*systems.__path__, TOYS])
        patch.setattr(job, "PROGRAM", PROGRAM)
        patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a study of two toys; `more` lines go to its end, where the variants are."""

    def write(*more: str, top: str = "seeds = [0, 1]", settings: str = "") -> Path:
        lines = [
            *('system = "toy"', 'preset = "smoke"', 'data = "digits"', top),
            *("[settings]", "score_every = 0", settings),
            *("[variants.narrow]", "width = 4", "[variants.wide]", 'optimizer = "sgd"'),
        ]
        path = tmp_path / "two.toml"
        path.write_text("\n".join([*lines, *more]))
        return path

    return write
