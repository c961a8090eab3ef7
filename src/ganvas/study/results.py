"""What a study found: every score, means with intervals, and differences between variants."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from ganvas.engine.folder import RunFolder
from ganvas.engine.log import read_stats
from ganvas.metrics.interval import difference, interval
from ganvas.report.quantities import distinct
from ganvas.study.file import Study
from ganvas.study.job import Outcome
from ganvas.study.plan import StudyRun, flat

Values = dict[str, dict[int, float]]
"""Of one variant: for each score its values, by seed."""


def compare(study: Study, runs: Sequence[StudyRun], outcomes: Sequence[Outcome] = ()) -> dict[str, Any]:
    """Gathers what the finished runs of a study gave.

    Args:
        study: The study.
        runs: Its runs.
        outcomes: What came of them, for the messages of those that failed.

    Returns:
        JSON types: `command`; `commits` and `machines` of the runs; `seeds`; `settings` that all variants share;
        `evaluate`; `protocols` of each score, one if all runs were scored alike; `variants`, each with its own
        settings, its runs and its scores with mean and 95 % interval; `differences` between variants, paired by
        seed; `failed`. Of absolute paths only the last part is kept.
    """
    names = [variant.name for variant in study.variants]
    done = [run for run in runs if run.finished]
    settings = {name: _settings(next(run for run in runs if run.variant == name)) for name in names}
    first = settings[names[0]]
    shared = {
        key: value for key, value in first.items() if all(key in own and own[key] == value for own in settings.values())
    }
    environments = [_environment(run) for run in done]
    protocols = _protocols(done)
    values = {name: _values([run for run in done if run.variant == name]) for name in names}
    folder = f"{runs[0].path.parents[1]}/"
    record = {
        "command": f"ganvas study {study.path.name if study.path.is_absolute() else study.path}",
        "commits": sorted({str(environment.pop("commit")) for environment in environments}),
        "machines": distinct(environments),
        "seeds": list(study.seeds),
        "settings": shared,
        "evaluate": study.evaluate,
        "protocols": protocols,
        "variants": {
            name: {
                "settings": {key: value for key, value in settings[name].items() if key not in shared},
                "runs": [
                    {"seed": run.seed, "steps": run.step, "minutes": round(minutes_of_training(run), 2)}
                    for run in done
                    if run.variant == name
                ],
                "scores": {
                    score: {"values": by_seed, **_around(list(by_seed.values()))}
                    for score, by_seed in values[name].items()
                },
            }
            for name in names
        },
        "differences": [
            {"score": score, "of": name, "less": other, **_around(*paired)}
            for name, other in _pairs(names)
            for score in protocols
            if len(protocols[score]) == 1 and (paired := _paired(values[name], values[other], score))
        ],
        "failed": {o.name: o.message.replace(folder, "") for o in outcomes if o.status == "failed"},
    }
    clean: dict[str, Any] = portable(record)
    return clean


def table(record: dict[str, Any]) -> str:
    """The scores and differences of a record as columns of text: means with their intervals."""
    scores = list(record["protocols"])
    rows = [["variant", "runs", "minutes", *scores]]
    for name, variant in record["variants"].items():
        minutes = [run["minutes"] for run in variant["runs"]]
        mean = f"{sum(minutes) / len(minutes):.1f}" if minutes else "-"
        rows.append([name, str(len(minutes)), mean, *(_cell(variant["scores"].get(score)) for score in scores)])
    for of, less in distinct((found["of"], found["less"]) for found in record["differences"]):
        cells = {found["score"]: found for found in record["differences"] if (found["of"], found["less"]) == (of, less)}
        rows.append([f"{of} - {less}", "", "", *(_cell(cells.get(score)) for score in scores)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    unlike = [score for score, protocols in record["protocols"].items() if len(protocols) > 1]
    return "\n".join([*lines, *(f"{score}: not computed alike in all runs, so not compared" for score in unlike)])


def minutes_of_training(run: StudyRun) -> float:
    """Minutes that a run's steps took, without those that were lost when it was interrupted."""
    seconds, before = 0.0, 0
    for entry in read_stats(RunFolder(run.path).stats):
        if pace := entry.get("images_per_second"):
            seconds += (entry["step"] - before) * run.chosen.training.batch / pace
            before = entry["step"]
    return seconds / 60


def portable(value: Any) -> Any:
    """As a JSON file holds it, without absolute paths, which say nothing on another machine."""
    if isinstance(value, dict):
        return {str(key): portable(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [portable(entry) for entry in value]
    if isinstance(value, str) and "::" in value:  # two sides
        return "::".join(portable(one) for one in value.split("::"))
    if isinstance(value, str) and Path(value).is_absolute():
        return Path(value).name
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _settings(run: StudyRun) -> dict[str, Any]:
    """All settings of a run but its seed."""
    settings = {"system": run.system, "preset": run.preset, "data": run.data, **flat(run.chosen)}
    del settings["seed"]
    return settings


def _environment(run: StudyRun) -> dict[str, Any]:
    """With what and on what a run was trained, and in which number format."""
    folder = RunFolder(run.path)
    environment: dict[str, Any] = json.loads((folder.path / "environment.json").read_text(encoding="utf-8"))
    del environment["command"]
    return environment | {"precision": folder.read_settings()["training"]["precision"]}


def _values(done: Sequence[StudyRun]) -> Values:
    """The scores of one variant's runs."""
    values: Values = {}
    for run in done:
        for name, score in run.scores.items():
            values.setdefault(name, {})[run.seed] = score["value"]
    return values


def _protocols(done: Sequence[StudyRun]) -> dict[str, list[Any]]:
    """How each score was computed: one protocol, if that was the same in all runs."""
    protocols: dict[str, list[Any]] = {}
    for run in done:
        for name, score in run.scores.items():
            protocol = json.loads(json.dumps(score["protocol"]))
            protocol.get("samples", {}).pop("source", None)  # names the run, not the way
            protocols[name] = distinct([*protocols.get(name, []), protocol])
    return protocols


def _pairs(names: Sequence[str]) -> list[tuple[str, str]]:
    """Each variant with the first one, and with the one before it."""
    return distinct([*((name, names[0]) for name in names[1:]), *((name, before) for before, name in pairwise(names))])


def _paired(ours: Values, theirs: Values, score: str) -> tuple[list[float], list[float]] | None:
    """The values of two variants for the seeds that both have."""
    seeds = [seed for seed in ours.get(score, {}) if seed in theirs.get(score, {})]
    return ([ours[score][seed] for seed in seeds], [theirs[score][seed] for seed in seeds]) if seeds else None


def _around(values: list[float], less: list[float] | None = None) -> dict[str, Any]:
    """A mean, or a mean difference of pairs, with its interval; nothing where a value is not finite."""
    if not all(map(math.isfinite, [*values, *(less or [])])):
        return {"mean": None, "low": None, "high": None, "n": len(values)}
    return dataclasses.asdict(interval(values) if less is None else difference(values, less, paired=True))


def _cell(found: dict[str, Any] | None) -> str:
    """A mean with its interval; the mean alone, where one value has none."""
    if found is None or found["mean"] is None:
        return "-"
    known = found["low"] is not None and found["high"] is not None
    return f"{found['mean']:.4g}" + (f" [{found['low']:.4g}, {found['high']:.4g}]" if known else "")
