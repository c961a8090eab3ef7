"""The runs that a studio has open, and what they have in common: one of them computes at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from ganvas import systems
from ganvas.engine.folder import RunFolder
from ganvas.engine.system import System
from ganvas.errors import UserError
from ganvas.run import Run, build
from ganvas.studio.progress import Progress

KEPT = 6
"""Runs whose networks stay in memory."""


class Opened:
    """A run that is open.

    Attributes:
        name: What pages call it; the only thing of it that a page can ask for.
        path: Its folder.
        kept: What pages keep of it between requests, such as its training pictures; forgotten with its networks.
    """

    def __init__(self, name: str, path: Path) -> None:
        """Reads the settings.

        Raises:
            UserError: It is not a run.
        """
        self.name, self.path = name, path
        self.kept: dict[str, Any] = {}
        self._run = Run(path, "cpu")
        self._step: int | None = None

    @property
    def settings(self) -> Any:
        """What it was asked to do."""
        return self._run.settings

    @property
    def config(self) -> Any:
        """The system's settings."""
        return self._run.config

    @property
    def run_folder(self) -> RunFolder:
        """Where its files are."""
        return self._run.folder

    @cached_property
    def progress(self) -> Progress:
        """What it has logged."""
        return Progress(self.path)

    @cached_property
    def untrained(self) -> System:
        """The system with its first weights: what it needs and can do is known before there is a checkpoint."""
        return build(self._run.settings, torch.device("cpu"))

    @property
    def translates(self) -> bool:
        """Whether it makes pictures of pictures, not of noise."""
        return bool(systems.find(self.settings.system).SYSTEM.sides)

    @property
    def draws(self) -> bool:
        """Whether it makes pictures of noise: no translation, no numbers, no keypoints."""
        return not self.translates and "image" in self.untrained.needs and self.config.size > 1

    @property
    def run(self) -> Run:
        """The run at its newest whole checkpoint, which is another one while it trains.

        Raises:
            UserError: There is none yet.
        """
        steps = self._run.folder.checkpoints().steps()
        newest = max(steps) if steps else None
        if newest != self._step:
            self._run, self._step = Run(self.path, "cpu"), newest
            self.kept.clear()
        _ = self._run.checkpoint
        return self._run

    def forget(self) -> None:
        """Lets go of networks and of what was kept."""
        self._run, self._step = Run(self.path, "cpu"), None
        self.kept.clear()

    def keep(self, name: str, make: Callable[[], Any]) -> Any:
        """What was kept under a name, made if there is nothing."""
        if name not in self.kept:
            self.kept[name] = make()
        return self.kept[name]

    def facts(self) -> dict[str, Any]:
        """What a page has to know of it, JSON types."""
        system, config = self.untrained, self.config
        return {
            "name": self.name,
            "system": self.settings.system,
            "preset": self.settings.preset,
            "size": config.size,
            "channels": getattr(config, "channels", 3),
            "source_channels": getattr(config, "source_channels", getattr(config, "channels", 3)),
            "classes": list(self.settings.data["classes"]) if getattr(config, "classes", 0) else [],
            "needs": sorted(system.needs),
            "directions": list(system.directions) if self.translates else [],
            "scale": system.scale,
            "parts": list(self.settings.data.get("parts") or []),
            "latents": system.prior is not None,
            "licence": self.settings.data["licence"] or "",
        }


@dataclass
class Studio:
    """Everything that the pages of one studio share.

    Attributes:
        opened: The runs, by the names that pages know.
        public: Whether strangers are served: what changes files or starts processes has no page then.
        work: Folder for what is kept between sittings, such as studies.
        folder: Where runs may still appear; None if those to open were named.
    """

    opened: dict[str, Opened]
    public: bool = False
    work: Path = Path("studio")
    folder: Path | None = None
    computing: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _looking: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _recent: list[str] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, runs: Sequence[str | Path], *, public: bool = False, work: Path = Path("studio")) -> Studio:
        """Opens runs.

        Args:
            runs: Their folders; with none those in `runs/` here.
            public: See `Studio`.
            work: See `Studio`.

        Raises:
            UserError: One of them is no run.
        """
        folder = None if runs else Path("runs").absolute()
        paths = [Path(run).expanduser() for run in runs] if folder is None else found_runs(folder)
        return cls({name: Opened(name, path) for name, path in named(paths).items()}, public, work, folder)

    def look_again(self) -> None:
        """Opens runs that have appeared since, under names that no other has."""
        if self.folder is None:
            return
        with self._looking:
            known = {opened.path for opened in self.opened.values()}
            for path in found_runs(self.folder):
                if path not in known:
                    lengths = range(1, len(path.parts) + 1)
                    name = next(name for n in lengths if (name := "/".join(path.parts[-n:])) not in self.opened)
                    with contextlib.suppress(UserError):  # its settings are not whole yet
                        self.opened[name] = Opened(name, path)

    def find(self, name: str) -> Opened:
        """The run that a page asks for.

        Raises:
            UserError: No run of this name is open.
        """
        if name not in self.opened:
            raise UserError(f"no run {name[:80]!r} is open here: reload the page")
        return self.opened[name]

    def fitting(self, fits: Callable[[Opened], bool]) -> list[Opened]:
        """The open runs that a page is for."""
        return [opened for opened in self.opened.values() if fits(opened)]

    @contextmanager
    def at_work(self, name: str) -> Iterator[Run]:
        """A run to compute with, while no other request does.

        Raises:
            UserError: It is not open, or has no whole checkpoint yet.
        """
        opened = self.find(name)
        with self.computing, torch.inference_mode():
            self._recent = [name, *(other for other in self._recent if other != name)]
            for other in self._recent[KEPT:]:
                self.opened[other].forget()
            self._recent = self._recent[:KEPT]
            yield opened.run


def found_runs(folder: Path) -> list[Path]:
    """Folders under this one that hold a run, up to two levels down, in order."""
    return sorted(path.parent for depth in ("*", "*/*") for path in folder.glob(f"{depth}/config.json"))


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Names for runs: their folders' own, with as many of the folders around them as tell them apart."""
    whole = list(dict.fromkeys(path.absolute() for path in paths))
    for length in range(1, max((len(path.parts) for path in whole), default=1) + 1):
        names = ["/".join(path.parts[-length:]).lstrip("/") for path in whole]
        if len(set(names)) == len(names):
            break
    return dict(zip(names, whole, strict=True)) if whole else {}
