"""What the engine's tests share: the toy system, a cache of their own, and the command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ganvas.systems
import ganvas.systems as systems

HERE = Path(__file__).parent


@pytest.fixture(scope="session", autouse=True)
def _toy_and_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    patch = pytest.MonkeyPatch()
    patch.setattr(systems, "__path__", [*ganvas.systems.__path__, str(HERE / "systems")])
    patch.setenv("GANVAS_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture
def ganvas_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `ganvas WORDS` with the toy, on `processes` processes; keywords become environment variables."""

    def run(*words: object, processes: int = 1, **environment: str) -> subprocess.CompletedProcess[str]:
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *(torchrun if processes > 1 else []), str(HERE / "with_toy.py")]
        return subprocess.run(
            [*command, *map(str, words)],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run
