"""A run's folder: what it was asked to do, where, and what came of it.

config.json        system, preset, settings, data and its classes: enough to build everything again
environment.json   versions, machine, command line
stats.jsonl        numbers and events, a line each
metrics.jsonl      scores of samples, a line each
report.html        all of it, to look at
samples/           grids of pictures
checkpoints/       what a run resumes from
training.lock      held by the process that trains the run
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ganvas.engine.checkpoint import MODEL, Checkpoints
from ganvas.engine.files import remove_leftovers, write_atomically
from ganvas.engine.lock import NAME
from ganvas.engine.system import Preset
from ganvas.engine.training import Training
from ganvas.errors import UserError


@dataclass(frozen=True)
class Settings:
    """Everything that a run was asked to do.

    Attributes:
        system: Name of the system.
        preset: Name of the preset it started from.
        chosen: The settings themselves, with what was changed.
        source: The data, as the user named it.
        data: What was found there: `hash`, `classes`, `licence`, `count`.
        init_from: The run whose weights it started from, if any.
    """

    system: str
    preset: str
    chosen: Preset
    source: str
    data: dict[str, Any]
    init_from: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "ganvas": ganvas_version(),
            "system": self.system,
            "preset": self.preset,
            "init_from": self.init_from,
            "config": plain(self.chosen.config),
            "training": plain(self.chosen.training),
            "data": {"source": self.source, "options": plain(self.chosen.data), **self.data},
        }

    @classmethod
    def from_json(cls, values: dict[str, Any], config: type, options: type) -> Settings:
        """Undoes `to_json`.

        Args:
            values: What was written.
            config: The system's `Config`.
            options: The data's options.

        Raises:
            UserError: If these are settings of another version of ganvas.
        """
        try:
            data = dict(values["data"])
            source, data_options = data.pop("source"), data.pop("options")
            chosen = Preset(
                from_plain(config, values["config"]),
                from_plain(Training, values["training"]),
                from_plain(options, data_options),
            )
            return cls(values["system"], values["preset"], chosen, source, data, values["init_from"])
        except (KeyError, TypeError, ValidationError) as error:
            raise UserError(
                f"the run's settings are not those of this version of ganvas ({ganvas_version()}, "
                f"the run's is {values.get('ganvas', 'unknown')}): {one_line(error)}"
            ) from error


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its files."""

    path: Path

    @property
    def samples(self) -> Path:
        """Folder of grids."""
        return self.path / "samples"

    @property
    def stats(self) -> Path:
        """File of numbers and events."""
        return self.path / "stats.jsonl"

    @property
    def metrics(self) -> Path:
        """File of scores."""
        return self.path / "metrics.jsonl"

    def checkpoints(self, keep: int = 2) -> Checkpoints:
        """The run's checkpoints, of which `keep` stay."""
        return Checkpoints(self.path / "checkpoints", keep)

    @property
    def shipped(self) -> bool:
        """Whether this is not the folder of a training but its networks alone, ready to sample from."""
        return (self.path / MODEL).is_file() and not self.checkpoints().folder.is_dir()

    def newest_grid(self) -> Path | None:
        """The last grid of samples, if there is one."""
        return max(self.samples.glob("step-*.png"), default=None)

    def refuse_used(self) -> None:
        """Makes sure that a new run may be written here.

        Raises:
            UserError: If something is here already.
        """
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is a file, not a folder: choose another --out")
        # A process that was killed at its start leaves a lock behind, and no run.
        if self.path.is_dir() and any(path.name != NAME for path in self.path.iterdir()):
            raise UserError(
                f"{self.path} is not empty: resume it with `ganvas resume {self.path}` or choose another --out"
            )

    def create(self, settings: Settings) -> None:
        """Makes the folder of a run, or writes anew what it is asked to do, and where.

        Raises:
            UserError: If it cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.write_settings(settings)
            self.write_environment()
            self.samples.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"cannot write to {self.path}: {error.strerror}") from error

    def write_settings(self, settings: Settings) -> None:
        """Writes `config.json`."""
        write_atomically(self.path / "config.json", to_text(settings.to_json()))

    def write_environment(self) -> None:
        """Writes `environment.json`."""
        write_atomically(self.path / "environment.json", to_text(environment()))

    def read_settings(self) -> dict[str, Any]:
        """What `config.json` holds.

        Raises:
            UserError: If this is not a run's folder.
        """
        try:
            values = json.loads((self.path / "config.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{self.path} is not a run: it has no config.json") from None
        except (OSError, ValueError) as error:
            raise UserError(f"cannot read {self.path / 'config.json'}: {one_line(error)}") from error
        if not isinstance(values, dict) or not isinstance(values.get("system"), str):
            raise UserError(f"{self.path / 'config.json'} is not the config.json of a run")
        return values

    def clean(self) -> None:
        """Removes what a killed process left half written."""
        for folder in (self.path, self.samples, self.checkpoints().folder):
            remove_leftovers(folder)


def plain(settings: Any) -> dict[str, Any]:
    """Settings by name, JSON types; those in groups of their own stand beside the others, as on the command line."""
    values = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        found |= plain(value) if dataclasses.is_dataclass(value) else {field.name: values[field.name]}
    return found


def from_plain(kind: type, values: Mapping[str, Any]) -> Any:
    """Undoes `plain`; settings that are not there have their defaults.

    Args:
        kind: The pydantic dataclass.
        values: What `plain` gave.

    Raises:
        ValidationError: There is no such setting, or a value is not allowed.
    """
    given = dict(values)
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(field.default):
            own = {name: given.pop(name) for name in setting_names(field.default) if name in given}
            given[field.name] = from_plain(type(field.default), plain(field.default) | own)
    return TypeAdapter(kind).validate_python(given)


def setting_names(settings: Any) -> list[str]:
    """Names of all settings, those in groups of their own among them."""
    names = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        names += setting_names(value) if dataclasses.is_dataclass(value) else [field.name]
    return names


def to_text(values: Any) -> bytes:
    """JSON for people to read."""
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode()


def one_line(error: Exception) -> str:
    """An error's message without line breaks; of a validation error, the first complaint."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        return f"{place}: {first['msg']}" if place else first["msg"].removeprefix("Value error, ")
    return " ".join(str(error).split())


def ganvas_version() -> str:
    """The installed version; `source` when run from a checkout that is not installed."""
    try:
        return version("ganvas")
    except PackageNotFoundError:
        return "source"


def environment() -> dict[str, Any]:
    """Versions, machine and command line, JSON types."""
    import torch

    return {
        "ganvas": ganvas_version(),
        "commit": _commit(),
        "command": sys.argv,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def _commit() -> str | None:
    """The commit of the ganvas checkout that runs, None if it is not in one."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "ls-files", "--error-unmatch", Path(__file__).name],
            cwd=here,
            capture_output=True,
            timeout=5,
        )
        if found.returncode:
            return None  # installed inside somebody else's repository
        head = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=here, capture_output=True, text=True, timeout=5,
        )  # fmt: skip
        return head.stdout.strip() or None
    except (OSError, subprocess.TimeoutExpired):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
