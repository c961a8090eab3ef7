"""*Watch*: runs, how far they are, their curves and pictures through training; and stopping and resuming them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field

from ganvas.engine.lock import holder
from ganvas.errors import UserError
from ganvas.inspect.sheet import to_rgb
from ganvas.inspect.subject import KNOWN_NEEDS, NotMade, Subject
from ganvas.inspect.through_training import ROWS, spread
from ganvas.report.charts import run_charts
from ganvas.report.page import packed_plotly, plain_text, script
from ganvas.report.pictures import embed, every_so_many, grid_files
from ganvas.report.read import RunRecord, number
from ganvas.studio.actions import Ask, Name, action
from ganvas.studio.panel import panel
from ganvas.studio.pictures import uri_of, uris
from ganvas.studio.progress import Glance
from ganvas.studio.studio import Opened, Studio
from ganvas.studio.trainings import Trainings

TITLE, ADDRESS = "Watch", "watch"
WORDS = "Runs: how far they are, what they have lost and learnt, and what they draw."

SECONDS = 2
"""Between two looks at the runs."""

GRIDS = 400
"""Grids of samples on the timeline."""

GRID_BYTES = 600_000
"""Of a grid; larger ones are sent smaller."""

COLUMNS = 4
"""Checkpoints whose discriminators are asked."""

EVENTS = 60
"""The newest, that are shown."""

LETTERS = 300
"""Of the details of an event."""

Step = Annotated[int, Field(ge=0, lt=2**53)]


class Overview(Ask):
    """All runs."""


class Following(Ask):
    """One run, and what of it the page has."""

    run: Name
    version: Annotated[str, Field(max_length=300)] = ""


class AtStep(Ask):
    """A run at a step; for grids None means the real pictures."""

    run: Name
    step: Step | None


class Stopping(Ask):
    """The end of a training."""

    run: Name


class Resuming(Ask):
    """A training that goes on."""

    run: Name
    steps: Annotated[int, Field(ge=1, le=10**9)] | None = None


class Drawing(Ask):
    """What draws curves."""


def fits(studio: Studio) -> bool:
    """Always: without a run it says how to have one."""
    return True


def build(studio: Studio) -> None:
    """The page."""
    trainings, first = Trainings(), frozenset(studio.opened)
    actions = [action(overview, studio, trainings, first), action(follow, studio, trainings)]
    actions += [action(function, studio) for function in (grid, maps, plotly)]
    if not studio.public:
        actions += [action(stop_training, studio, trainings), action(resume_training, studio, trainings)]
    facts = {"public": studio.public, "seconds": SECONDS, "looking": studio.folder is not None}
    panel("watch", actions, facts, script("charts.js"))


def overview(studio: Studio, trainings: Trainings, first: frozenset[str], asked: Overview) -> dict[str, Any]:
    """A line for each run, those that have appeared since the start among them."""
    studio.look_again()
    opened = list(studio.opened.values())
    return {"runs": [line(one, trainings) | {"new": one.name not in first} for one in opened]}


def line(opened: Opened, trainings: Trainings) -> dict[str, Any]:
    """How a run is."""
    found: dict[str, Any] = {"name": opened.name, "system": opened.settings.system, "preset": opened.settings.preset}
    found |= {"data": data_of(opened.settings.source), "step": 0, "steps": 0, "pace": None, "left": None}
    try:
        settings = opened.progress.settings()
    except UserError:
        return found | {"state": "its folder cannot be read", "trained": False, "collapsed": False, "shipped": False}
    glance, process = opened.progress.glance(), holder(opened.path)
    training = settings["training"] if isinstance(settings.get("training"), dict) else {}
    steps, batch = (int(number(training.get(name)) or 0) for name in ("steps", "batch"))
    running = process is not None
    trained = running or trainings.begins(opened.path)
    left = (steps - glance.step) * batch / glance.pace if glance.pace and running else None
    shipped = opened.run_folder.shipped
    state = ("running" if running else "starting") if trained else "shipped" if shipped else ending(glance, steps)
    pace = glance.pace if running else None
    found |= {"step": glance.step, "steps": steps, "state": state, "pace": pace, "left": left, "trained": trained}
    return found | {"collapsed": glance.collapsed, "shipped": shipped}


def ending(glance: Glance, steps: int) -> str:
    """Why a run that nobody trains is not trained."""
    if glance.end == "non-finite":
        return "diverged"
    if glance.step >= steps:
        return "finished"
    return "out of patience" if glance.end == "out of patience" else "stopped"


def data_of(source: str) -> str:
    """What data is called, without where it lies."""
    return " :: ".join(Path(part).name for part in source.split("::"))


def follow(studio: Studio, trainings: Trainings, asked: Following) -> dict[str, Any]:
    """Everything that is shown of one run, or that there is nothing new."""
    opened = studio.find(asked.run)
    progress, failure = opened.progress, trainings.failure(opened.path)
    version = progress.version()
    if asked.version == version:
        return {"version": version, "failure": failure}
    share = progress.read()
    if share < 1:
        return {"version": "", "failure": failure, "read": share}
    record = progress.record()
    judged = opened.draws and opened.untrained.needs <= KNOWN_NEEDS
    return {
        "version": version,
        "failure": failure,
        "read": share,
        "charts": [dataclasses.asdict(chart) for chart in run_charts(record)],
        "thinned": progress.thinned,
        "grids": every_so_many([*grid_files(record)], GRIDS),
        "real": not studio.public and (opened.path / "samples" / "real.png").is_file(),
        "maps": spread(opened.run_folder.checkpoints().steps(), COLUMNS) if judged else [],
        "events": events_of(record),
        "alarms": alarms_of(record),
        "facts": facts_of(opened, record),
        "steps": record.steps,
    }


def facts_of(opened: Opened, record: RunRecord) -> list[list[str]]:
    """The head of a run."""
    settings = opened.settings
    facts = [["System", f"{settings.system}, preset {settings.preset}"], ["Data", data_of(settings.source)]]
    facts += [["Seed", plain_text(record.settings["training"].get("seed"))]]
    if record.seconds:
        facts.append(["Training time", f"{record.seconds / 60:,.1f} minutes, without grids, scores and checkpoints"])
    for name, score in (record.measurements[-1].scores if record.measurements else {}).items():
        error = "" if score.error is None else f" ± {score.error:.2g}"
        facts.append([name, f"{score.value:.4g}{error} at step {record.measurements[-1].step:,}, {score.better}"])
    return [*facts, ["Licence of the data", record.licence or "not stated"]]


def events_of(record: RunRecord) -> list[list[Any]]:
    """What happened, without the grids, which are the rule: step, what, details; the newest first."""
    found = [
        [entry["step"], str(entry["event"]), details(entry)] for entry in record.events if entry["event"] != "grid"
    ]
    return found[-EVENTS:][::-1]


def details(entry: Mapping[str, Any]) -> str:
    """What else an event tells, without where files lie."""
    kept = {name: value for name, value in entry.items() if name not in ("step", "event", "source", "summary")}
    text = plain_text(kept) if kept else ""
    return text if len(text) <= LETTERS else f"{text[:LETTERS]}…"


def alarms_of(record: RunRecord) -> list[str]:
    """What whoever trains this should look at."""
    alarms = []
    for entry in record.events:
        if entry["event"] == "collapse":
            alarms.append(
                f"Step {entry['step']:,}: pictures were nearly alike, their diversity was "
                f"{float(entry.get('diversity') or 0):.0%} of the data's."
            )
        elif entry["event"] == "non-finite":
            went = "gave up" if entry.get("gave_up") else "went back"
            alarms.append(
                f"Step {entry.get('failed_step', entry['step'])}: {entry.get('what')} was not finite; {went}."
            )
    return [*alarms[-5:], *(record.measurements[-1].flags if record.measurements else ())]


def grid(studio: Studio, asked: AtStep) -> dict[str, Any]:
    """A grid of samples, or of real pictures."""
    opened = studio.find(asked.run)
    path = opened.path / "samples" / "real.png"
    if asked.step is None and studio.public:
        raise UserError("training pictures are not shown here")
    if asked.step is not None:
        files = grid_files(opened.progress.record())
        if asked.step not in files:
            raise UserError(f"there are no pictures of step {asked.step:,}")
        path = files[asked.step]
    found = embed(path, GRID_BYTES)
    if found is None:
        raise UserError("these pictures cannot be read")
    return {"picture": found[0]}


def maps(studio: Studio, asked: AtStep) -> dict[str, Any]:
    """The pictures of the first seeds at a checkpoint, and what its own discriminator says of them."""
    opened = studio.find(asked.run)
    steps = opened.run_folder.checkpoints().steps()
    if asked.step not in steps:
        raise UserError("this checkpoint is no longer there: reload the page")
    with studio.at_work(asked.run) as run:
        subject = Subject(run, None, 1, 0)
        try:
            labels = subject.labels(range(ROWS))
            system = subject.system_at(asked.step)
            judged = subject.judge(system, subject.draw(system, range(ROWS), labels), labels)
        except NotMade as why:
            raise UserError(f"not made: {why}") from why
    shown = [] if judged.decoder is None else [uri_of(to_rgb(one)) for one in torch.sigmoid(judged.decoder)]
    return {
        "pictures": uris(judged.images),
        "maps": shown,
        "said": [judged.said(place) for place in range(ROWS)],
        "note": f"{judged.note[:1].upper()}{judged.note[1:]}." if judged.note else subject.reading(),
    }


def plotly(studio: Studio, asked: Drawing) -> dict[str, Any]:
    """Plotly, packed with gzip, base64."""
    return {"packed": packed_plotly()}


def stop_training(studio: Studio, trainings: Trainings, asked: Stopping) -> dict[str, Any]:
    """Asks whoever trains a run to finish the step, save and end."""
    trainings.stop(studio.find(asked.run).path)
    return {"said": "Asked to stop: it finishes the step and saves."}


def resume_training(studio: Studio, trainings: Trainings, asked: Resuming) -> dict[str, Any]:
    """Trains a run on, in a process of its own."""
    opened = studio.find(asked.run)
    steps = opened.progress.record().steps if asked.steps is None else asked.steps
    done = opened.progress.glance().step
    if steps <= done:
        raise UserError(f"{done:,} steps are done: ask for more than that in all")
    trainings.resume(opened.path, asked.steps)
    return {"said": "Started: it begins in a few seconds, and goes on when the studio ends."}
