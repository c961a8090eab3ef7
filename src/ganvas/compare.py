"""Runs side by side. Those that differ in nothing but the seed are one group, with a mean and an interval over seeds.

Scores that were not measured in the same way, with other pictures, another number of them or another network, are
never averaged: each way is a row of its own, and a warning says what differs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganvas.errors import UserError
from ganvas.report.quantities import Row, distinct, rows_of
from ganvas.report.read import RunRecord, read_run
from ganvas.report.seeds import write_comparison

ELSEWHERE = frozenset({"seed", "device", "threads", "workers", "cache"})
"""Settings that runs of one group may differ in: the seed, and where and how fast a run is computed."""

COLUMNS = 4
"""Groups that stand side by side in a table of text."""


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but their seeds.

    Attributes:
        label: What sets it apart from the other groups.
        runs: Its runs.
    """

    label: str
    runs: list[RunRecord]

    @property
    def summary(self) -> str:
        """How many runs, their seeds and steps."""
        seeds = ", ".join(str(run.settings["training"].get("seed")) for run in self.runs)
        steps = sorted({run.step for run in self.runs})
        count = "1 run, seed" if len(self.runs) == 1 else f"{len(self.runs)} runs, seeds"
        return f"{count} {seeds}, {' to '.join(f'{step:,}' for step in distinct([steps[0], steps[-1]]))} steps"


@dataclass(frozen=True)
class Comparison:
    """Groups of runs, what they have in numbers, and what keeps those from being compared."""

    groups: list[Group]
    rows: list[Row]
    warnings: list[str]

    def lines(self) -> list[str]:
        """A table of text, for people to read."""
        lines = []
        for place, group in enumerate(self.groups, 1):
            lines += [f"[{place}]  {group.label}", f"     {group.summary}"]
        for start in range(0, len(self.groups), COLUMNS):
            shown = range(start, min(start + COLUMNS, len(self.groups)))
            table = [["", *(f"[{place + 1}]" for place in shown)]]
            table += [[row.name, *(row.cell(place) for place in shown)] for row in self.rows]
            widths = [max(map(len, column)) for column in zip(*table, strict=True)]
            lines.append("")
            for cells in table:
                lines.append("  ".join(c.ljust(width) for c, width in zip(cells, widths, strict=True)).rstrip())
        upward = distinct([f"{row.name}: {row.better}" for row in self.rows if row.better])
        notes = ["Means over seeds [95 % interval]. Losses are means over the last tenth of the steps."]
        return [*lines, "", *upward, *notes, *(f"warning: {warning}" for warning in self.warnings)]

    def to_json(self) -> dict[str, Any]:
        """As JSON types."""
        return {
            "groups": [
                {
                    "label": group.label,
                    "runs": [str(run.path) for run in group.runs],
                    "seeds": [run.settings["training"].get("seed") for run in group.runs],
                    "steps": [run.step for run in group.runs],
                    "values": {row.name: row.to_json(place) for row in self.rows},
                }
                for place, group in enumerate(self.groups)
            ],
            "protocols": {row.name: row.protocol for row in self.rows if row.protocol is not None},
            "confidence": 0.95,
            "warnings": self.warnings,
        }

    def write_curves(self, path: Path) -> None:
        """Draws scores, losses and diversity over steps: for each group the mean, and its interval as a band.

        Args:
            path: A `.html` file, which holds the table too, or a `.png` file.

        Raises:
            UserError: If it is neither, cannot be written, or there is nothing to draw.
        """
        groups = [(group.label, group.runs) for group in self.groups]
        table = [(row.name, row.better, [row.cell(place) for place in range(len(groups))]) for row in self.rows]
        write_comparison(path, groups, [group.summary for group in self.groups], table, self.warnings)


def compare(runs: Sequence[str | Path]) -> Comparison:
    """Reads runs, groups those that differ in nothing but their seeds, and gathers their numbers.

    Args:
        runs: Their folders.

    Raises:
        UserError: If there is none, one is given twice, or one is not a run or has no statistics yet.
    """
    if not runs:
        raise UserError("there is nothing to compare: name the folders of some runs")
    paths = [Path(run) for run in runs]
    seen: set[Path] = set()
    for path in paths:
        if path.resolve() in seen:
            raise UserError(f"{path} is named twice: a run counts once")
        seen.add(path.resolve())
    records = [read_run(path) for path in paths]
    for record in records:
        if not record.numbers:
            raise UserError(f"{record.path} has no statistics yet: its stats.jsonl is missing or empty")
    by_settings: dict[str, list[RunRecord]] = {}
    for record in records:
        by_settings.setdefault(json.dumps(identity(record), sort_keys=True), []).append(record)
    members = list(by_settings.values())
    groups = [Group(label, group) for label, group in zip(_labels(members), members, strict=True)]
    rows, warnings = rows_of(members)
    return Comparison(groups, rows, [*unlike(groups), *warnings])


def identity(run: RunRecord) -> dict[str, Any]:
    """The settings that runs of one group share, by name."""
    data = run.settings["data"]
    options = data.get("options")
    settings = {
        **run.settings["config"],
        **run.settings["training"],
        **(options if isinstance(options, dict) else {}),
    }
    kept = {key: value for key, value in settings.items() if key not in ELSEWHERE}
    about = {"system": run.settings["system"], "data": data.get("hash"), "init_from": run.settings.get("init_from")}
    return about | kept


def data_name(run: RunRecord) -> str:
    """The data by its last name and the start of its hash; for people to read."""
    data = run.settings["data"]
    return f"{Path(str(data.get('source'))).name}@{str(data.get('hash'))[:8]}"


def _labels(groups: list[list[RunRecord]]) -> list[str]:
    """What sets each group apart, as short as it can be said; its folder where settings do not tell."""
    settings = [identity(group[0]) for group in groups]
    data: dict[Any, str] = {}
    for own, group in zip(settings, groups, strict=True):
        own["data"] = data.setdefault(own["data"], data_name(group[0]))
    names = distinct(name for own in settings for name in own)
    # A setting that one system alone has tells nothing that the system's name does not.
    telling = [name for name in names if len(distinct(own[name] for own in settings if name in own)) > 1]
    labels = [" ".join(f"{name}={_plain(own[name])}" for name in telling if name in own) for own in settings]
    if "" not in labels and len(set(labels)) == len(labels):
        return labels
    return [f"{label} {_folder(group)}".strip() for label, group in zip(labels, groups, strict=True)]


def _folder(group: list[RunRecord]) -> str:
    """The name of a run's folder, or of the one that all runs of a group are in."""
    paths = [run.path.resolve() for run in group]
    parents = {path.parent for path in paths}
    return parents.pop().name if len(paths) > 1 and len(parents) == 1 else paths[0].name


def _plain(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def unlike(groups: list[Group]) -> list[str]:
    """What keeps the runs from being compared at all."""
    runs = [run for group in groups for run in group.runs]
    warnings = []
    data = distinct([data_name(run) for run in runs])
    if len({str(run.settings["data"].get("hash")) for run in runs}) > 1:
        warnings.append(f"the runs were trained on different pictures: {', '.join(data)}")
    if len({run.step for run in runs}) > 1:
        steps = ", ".join(f"{run.path} {run.step:,}" for run in runs)
        warnings.append(f"the runs were trained for different numbers of steps: {steps}")
    for group in groups:
        seeds = [run.settings["training"].get("seed") for run in group.runs]
        if len(set(seeds)) < len(seeds):
            warnings.append(f"some runs of {group.label} have the same seed: their interval is too narrow")
    return warnings
