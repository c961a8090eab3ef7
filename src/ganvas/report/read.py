"""What a run's folder says, read without trust: a file that is missing, torn or half there leaves a gap, no error."""

from __future__ import annotations

import json
import math
from dataclasses import field
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from ganvas.engine.folder import RunFolder
from ganvas.engine.log import LASTING_EVENTS, read_stats
from ganvas.errors import UserError

NAMES = frozenset({"source", "step"})
"""What a protocol calls things; the pictures themselves are told apart by their hashes."""


@dataclass(frozen=True, config=ConfigDict(extra="ignore"))
class Score:
    """One number that says how good the pictures are, and how it was measured."""

    value: float
    error: float | None = None
    lower_is_better: bool | None = None
    protocol: dict[str, Any] = field(default_factory=dict)

    @property
    def better(self) -> str:
        """Which way is up, in words."""
        return {True: "lower is better", False: "higher is better", None: ""}[self.lower_is_better]

    @property
    def way(self) -> dict[str, Any]:
        """How it was measured: equal for scores that may be compared, whichever run or folder they are of."""
        return {key: part for key, part in flatten(self.protocol).items() if key.split(".")[-1] not in NAMES}


@dataclass(frozen=True)
class Measurement:
    """The scores of one look at a run.

    Attributes:
        step: Steps of training behind the pictures; None if that was not noted.
        scores: By name.
        flags: What was found wrong, in words.
        data: The reference pictures, as the file describes them.
    """

    step: int | None
    scores: dict[str, Score]
    flags: tuple[str, ...] = ()
    data: Any = None


@dataclass(frozen=True)
class RunRecord:
    """Everything but the networks.

    Attributes:
        path: The run's folder.
        settings: `config.json`; its `config`, `training` and `data` are dictionaries.
        environment: `environment.json`.
        numbers: Lines of `stats.jsonl` with losses, in order.
        events: Lines of `stats.jsonl` with `event`, in order.
        measurements: Lines of `metrics.jsonl`, by step, one a step.
        evaluation: `evaluation.json`, if there is one.
    """

    path: Path
    settings: dict[str, Any]
    environment: dict[str, Any]
    numbers: list[dict[str, Any]]
    events: list[dict[str, Any]]
    measurements: list[Measurement]
    evaluation: Measurement | None

    @property
    def step(self) -> int:
        """Steps done, as far as they were logged."""
        return last_step([*self.numbers, *self.events])

    @property
    def steps(self) -> int:
        """Steps asked for; 0 if that is not known."""
        steps = self.settings["training"].get("steps")
        return steps if isinstance(steps, int) else 0

    @property
    def licence(self) -> str:
        """The licence of the data, which its pictures and those of the run come under."""
        return str(self.settings["data"].get("licence") or "")

    @property
    def seconds(self) -> float:
        """Time spent on the logged steps, without that of grids, scores and checkpoints."""
        batch, before, total = number(self.settings["training"].get("batch")) or 0.0, 0, 0.0
        for entry in self.numbers:
            pace = number(entry.get("images_per_second"))
            if pace:
                total += max(0, entry["step"] - before) * batch / pace
            before = entry["step"]
        return total


def read_run(path: Path) -> RunRecord:
    """Reads a run's folder.

    Args:
        path: The folder; only its `config.json` must be there.

    Raises:
        UserError: If it is not a run.
    """
    folder = RunFolder(path)
    settings = folder.read_settings()
    if not all(isinstance(settings.get(part), dict) for part in ("config", "training", "data")):
        raise UserError(f"{path / 'config.json'} is not the config.json of a run of this version of ganvas")
    stats = read_stats(folder.stats)
    environment = read_json(path / "environment.json")
    return RunRecord(
        path=path,
        settings=settings,
        environment=environment if isinstance(environment, dict) else {},
        numbers=[entry for entry in stats if "event" not in entry],
        events=[entry for entry in stats if "event" in entry],
        measurements=read_measurements(path, last_step(stats)),
        evaluation=read_evaluation(path),
    )


def read_measurements(path: Path, step: int) -> list[Measurement]:
    """The scores of a run up to a step, by step, one a step."""
    lines = (_measurement(_parse(line)) for line in _lines(path / "metrics.jsonl"))
    # A run that went back measures again: the last line counts, and none of a step that is not done again yet.
    measured = {line.step: line for line in lines if line is not None and line.step is not None and line.step <= step}
    return [measured[step] for step in sorted(measured)]


def read_evaluation(path: Path) -> Measurement | None:
    """What `ganvas evaluate` measured; None if it did not, or the file is damaged."""
    return _measurement(read_json(path / "evaluation.json"))


def last_step(stats: list[dict[str, Any]]) -> int:
    """Steps done; events that outlast going back to an earlier step do not count."""
    return max((entry["step"] for entry in stats if entry.get("event") not in LASTING_EVENTS), default=0)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """A dictionary of dictionaries as one, with keys such as `samples.n`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def number(value: Any) -> float | None:
    """A finite number as it is; None for all else, such as the text that a loss of NaN is written as."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def read_json(path: Path) -> Any:
    """What a JSON file holds; None if there is no such file or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def _measurement(values: Any) -> Measurement | None:
    """A line of `metrics.jsonl` or the whole of `evaluation.json`, without what is damaged in it."""
    if not isinstance(values, dict) or not isinstance(values.get("scores"), dict):
        return None
    scores = {}
    for name, score in values["scores"].items():
        try:
            scores[str(name)] = TypeAdapter(Score).validate_python(score)
        except ValidationError:
            continue
    step, flags = values.get("step"), values.get("flags")
    return Measurement(
        step if isinstance(step, int) else None,
        scores,
        tuple(map(str, flags)) if isinstance(flags, list) else (),
        values.get("data"),
    )
