"""`report.html` of a run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganvas import systems
from ganvas.engine.files import write_atomically
from ganvas.engine.folder import plain
from ganvas.errors import UserError
from ganvas.report import pictures
from ganvas.report.charts import run_charts
from ganvas.report.page import plain_text, render
from ganvas.report.read import RunRecord, Score, flatten, number, read_run


@dataclass(frozen=True)
class Setting:
    """One setting: its part, its name, its value, and the preset's where that is another."""

    part: str
    name: str
    value: Any
    preset: Any = None
    differs: bool = False


@dataclass(frozen=True)
class ScoreRow:
    """A score of the table, and where it comes from."""

    name: str
    score: Score
    step: int | None
    source: str

    @property
    def shown(self) -> str:
        """Value and error to as many digits as mean something."""
        if number(self.score.value) is None:
            return "not a number"
        error = number(self.score.error)
        return f"{self.score.value:.4g}" + (f" ± {error:.2g}" if error is not None else "")

    @property
    def protocol(self) -> dict[str, Any]:
        """How it was measured, one line a fact."""
        return flatten(self.score.protocol)

    @property
    def samples(self) -> int | None:
        """Pictures it was computed from, if the protocol says."""
        return next((self.protocol[key] for key in ("samples.n", "n") if key in self.protocol), None)


def write_report(run: Path) -> Path:
    """Writes a run's report, whole or not at all: one file that opens from disk without a network.

    Cheap enough to be called whenever a checkpoint is saved: a run reads its logs, and the pictures that are new.

    Args:
        run: The run's folder, finished or not.

    Returns:
        `report.html` in it.

    Raises:
        UserError: If it is not a run.
        OSError: If the file cannot be written.
    """
    record = read_run(run)
    settings = list(_settings(record))
    page = render(
        "report.html",
        run_charts(record),
        run=record,
        name=run.resolve().name,
        preset=str(record.settings.get("preset") or "of no preset"),
        facts=_facts(record),
        settings=settings,
        changed=[setting for setting in settings if setting.differs],
        grids=pictures.grids(record),
        real=pictures.real(record),
        inspections=pictures.inspections(record),
        scores=_scores(record),
        flags=_flags(record),
        events=_events(record),
    )
    path = run / "report.html"
    write_atomically(path, page)
    return path


def _facts(run: RunRecord) -> list[tuple[str, str]]:
    """The head of the page."""
    data = run.settings["data"]
    count = f", {plain_text(data['count'])} pictures" if data.get("count") else ""
    facts = [("Run", run.path.resolve().name), ("Data", plain_text(data.get("source")) + count)]
    if run.seconds:
        facts.append(("Training time", f"{run.seconds / 60:,.1f} minutes, without grids, scores and checkpoints"))
    return [*facts, ("Licence of the data", run.licence or "not stated")]


def _settings(run: RunRecord) -> Iterator[Setting]:
    """All settings, next to those of the preset if this version of ganvas has it."""
    options = run.settings["data"].get("options")
    parts = {
        "system": run.settings["config"],
        "training": run.settings["training"],
        "data": options if isinstance(options, dict) else {},
    }
    try:
        preset = systems.find_preset(run.settings["system"], str(run.settings.get("preset")))
        theirs = {
            "system": plain(preset.config),
            "training": plain(preset.training),
            "data": plain(preset.data),
        }
    except UserError:
        theirs = parts
    for part, values in parts.items():
        for name, value in values.items():
            known = theirs[part].get(name)
            yield Setting(part, name, value, known, name not in theirs[part] or value != known)


def _scores(run: RunRecord) -> list[ScoreRow]:
    """The newest value of each score of `metrics.jsonl`, then all of `evaluation.json`."""
    newest: dict[str, ScoreRow] = {}
    for line in run.measurements:
        newest |= {name: ScoreRow(name, score, line.step, "while training") for name, score in line.scores.items()}
    evaluated = run.evaluation.scores if run.evaluation else {}
    step = run.evaluation.step if run.evaluation else None
    return [*newest.values(), *(ScoreRow(name, score, step, "ganvas evaluate") for name, score in evaluated.items())]


def _flags(run: RunRecord) -> list[str]:
    """What the newest measurements found wrong."""
    newest = [*run.measurements[-1:], *([run.evaluation] if run.evaluation else [])]
    return [flag for measurement in newest for flag in measurement.flags]


def _events(run: RunRecord) -> list[tuple[int, str, dict[str, Any]]]:
    """What happened, without the grids, which are the rule: step, what, details."""
    events = [
        (entry["step"], str(entry["event"]), {key: entry[key] for key in entry if key not in ("step", "event")})
        for entry in run.events
        if entry["event"] != "grid"
    ]
    flagged = [(line.step or 0, "flagged", {"what": flag}) for line in run.measurements for flag in line.flags]
    return sorted([*events, *flagged], key=lambda event: event[0])
