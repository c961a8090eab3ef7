"""Model cards: what a run is, learnt from, cost and scored, from what its folder says."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ganvas import systems
from ganvas.engine.folder import plain
from ganvas.report.read import Measurement, RunRecord, Score, number, read_run
from ganvas.run import Run

CARD = "README.md"
PICTURES = "samples.png"
LICENCES = {"CC BY-SA 4.0": "cc-by-sa-4.0", "MIT License": "mit"}
"""How the licences of built-in data end, and what the hub calls them."""

ALIKE = 0.5
"""Share of the data's diversity below which a card says that samples are more alike than the data."""

FEW = 1000
"""Pictures below which it says that there were few."""

Rows = Iterable[tuple[str, Any]]


def card_of(run: Run, name: str | None = None, pictures: bool = True) -> str:
    """The model card of a run, Markdown with the front matter of the Hugging Face hub.

    That of a folder which was shipped already is kept: what it tells of is no longer there.

    Args:
        run: The run.
        name: Where it is to be on the hub, USER/NAME.
        pictures: Whether `samples.png` lies beside the card.
    """
    if run.shipped and (run.path / CARD).is_file():
        return (run.path / CARD).read_text(encoding="utf-8")
    record, settings = read_run(run.path), run.settings
    module = systems.find(settings.system)
    source = settings.source if "/" not in settings.source else "a folder of pictures"
    parts = [
        front_matter(run),
        f"# {settings.system} {settings.preset}, {source}",
        f"{_idea(module.__doc__ or '')} Paper: {module.PAPER}. Trained with ganvas "
        f"{record.settings.get('ganvas', '')}, step {run.step:,}.",
        *([f"![Pictures that it makes]({PICTURES})"] if pictures else []),
        "## Data", _data(run, source),
        "## Use", _use(run, name),
        "## Training", _training(run, record),
        "## Scores", _scores(run, record),
        "## Limits", "\n".join(f"* {limit}" for limit in limits(run, record)),
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"


def front_matter(run: Run, **more: Any) -> str:
    """The lines between `---` that the hub reads: YAML, whose values are JSON, which is YAML too."""
    values: dict[str, Any] = {"library_name": "ganvas", **licence_of(run), **more}
    if "sdk" not in more:
        values |= {"pipeline_tag": _pipeline(run), "tags": ["ganvas", "gan", run.settings.system]}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value is not None]
    return "\n".join(["---", *lines, "---"])


def licence_of(run: Run) -> dict[str, str]:
    """The licence of the data, which pictures and weights come under, as the hub calls it; empty if it is unknown."""
    licence = run.settings.data["licence"] or ""
    found = next((known for end, known in LICENCES.items() if licence.endswith(end)), None)
    if not licence:
        return {}
    return {"license": found} if found else {"license": "other", "license_name": "as-the-training-data"}


def _pipeline(run: Run) -> str | None:
    if run.config.size == 1:
        return None
    if run.system.sides:
        return "image-to-image"
    return "text-to-image" if "text" in run.needs else "unconditional-image-generation"


def _idea(doc: str) -> str:
    """The first line of a system's docstring."""
    return doc.strip().splitlines()[0].strip() if doc.strip() else ""


def _data(run: Run, source: str) -> str:
    data, config = run.settings.data, run.config
    licence = data["licence"] or "not known to ganvas; whoever uses the pictures has to find out"
    rows: list[tuple[str, Any]] = [("Source", source), ("Pictures", f"{data['count']:,}"), ("Licence", licence)]
    if getattr(config, "classes", 0):
        rows.append(("Classes", ", ".join(data["classes"]) or config.classes))
    if data.get("encoder"):
        rows.append(("Captions read by", Path(data["encoder"]["name"]).name))
    if data.get("parts"):
        rows.append(("Keypoints", ", ".join(data["parts"])))
    options = plain(run.settings.chosen.data)
    usual = plain(type(run.settings.chosen.data)())
    rows += [(key, value) for key, value in options.items()
             if value != usual[key] and key not in ("cache", "embeddings", "encoder", "workers")]  # fmt: skip
    return table(rows, "Data", "")


def _use(run: Run, name: str | None) -> str:
    place = name or "path/to/this/folder"
    made = "images = run.sample(16, seed=0)  # (16, C, H, W) in [-1, 1]; picture i depends on seed + i alone"
    if run.system.sides:
        made = "images = run.translate(pictures)  # (N, C, H, W) in [-1, 1], of any size"
    elif "text" in run.needs:
        made = 'images = run.sample(16, seed=0, text="a caption")  # without `text`, captions of training pictures'
    elif run.system.classes:
        made += "\nimages = run.sample(16, classes=0)  # of one class, by its number or name"
    return f"```python\nimport ganvas\n\nrun = ganvas.load({json.dumps(place)})\n{made}\n```"


def _training(run: Run, record: RunRecord) -> str:
    settings, environment = run.settings, record.environment
    training = settings.chosen.training
    preset = systems.find(settings.system).PRESETS.get(settings.preset)
    config = plain(settings.chosen.config)
    usual = {} if preset is None else plain(preset.config)
    seen = run.step * training.batch
    rows: list[tuple[str, Any]] = [
        ("Steps", f"{run.step:,} of {training.batch} pictures, {seen:,} in all"),
        ("Weights", f"averaged over steps, decay {training.ema:g}" if training.ema else "of the last step"),
        ("Number format", training.precision), ("Seed", training.seed),
    ]  # fmt: skip
    if record.seconds:
        rows.append(("Time", f"{record.seconds / 60:,.1f} minutes, without scores and grids"))
    if environment:
        gpus = environment.get("gpus") or []
        cores = f"{environment.get('processor')}, {environment.get('threads')} threads"
        rows.append(("Machine", ", ".join(map(str, gpus)) or cores))
        rows.append(("Commit", environment.get("commit")))
    if settings.init_from:
        rows.append(("Begun from", Path(settings.init_from).name))
    rows += [(f"`{key}`", value) for key, value in config.items() if key in MAIN or value != usual.get(key)]
    return table(rows, "Setting", "") + f"\n\nAll other settings are those of `{settings.system} {settings.preset}`."


MAIN = ("size", "channels", "classes", "latent", "width", "discriminator", "objective", "scale")
"""Settings that a card always tells; of others those that differ from the preset."""


def scored(record: RunRecord) -> list[Measurement]:
    """The evaluation that was kept, and the last look of the training."""
    return [*([record.evaluation] if record.evaluation else []), *record.measurements[-1:]]


def _scores(run: Run, record: RunRecord) -> str:
    told, seen = [], list[tuple[str, dict[str, Any]]]()
    for measurement in scored(record):
        for name, score in measurement.scores.items():
            if (name, score.way) in seen or number(score.value) is None:
                continue
            seen.append((name, score.way))
            told.append(f"**{name}: {_value(score)}**\n\n{_protocol(score, measurement.step, run.step)}")
    return "\n\n".join(told) or "It was not scored."


def _value(score: Score) -> str:
    error = "" if score.error is None else f" ± {score.error:.2g}"
    return f"{score.value:.4g}{error}" + (f" ({score.better})" if score.better else "")


def _protocol(score: Score, step: int | None, own: int) -> str:
    other = f"Of step {step:,}, not {own:,}. " if step not in (None, own) else ""
    # Without the names of data, which are paths of somebody's machine; their hashes tell them apart.
    facts = "; ".join(f"{key} {value}" for key, value in score.way.items() if value is not None)
    return f"{other}Protocol: {facts}." if facts else f"{other}Its protocol was not noted."


def limits(run: Run, record: RunRecord) -> list[str]:
    """What is to be expected of it, said from facts alone, a sentence or two each."""
    config, data, training = run.config, run.settings.data, run.settings.chosen.training
    found = []
    if run.system.sides:
        found.append(f"It learnt at {config.size} x {config.size} pixels; larger pictures are another task to it.")
    elif config.size > 1:
        found.append(f"Pictures are {config.size} x {config.size} pixels, and no other size.")
    count = data["count"]
    few = " These are few: what it makes can be close to one of them." if count < FEW else ""
    found.append(f"It has seen {count:,} training pictures and knows of nothing else.{few}")
    if run.step < training.steps:
        found.append(f"The training had done {run.step:,} of {training.steps:,} steps when this was taken.")
    if not scored(record):
        found.append("Nothing says how good it is: it was never scored.")
    for measurement in scored(record):
        found += [f"{flag[:1].upper()}{flag[1:]}." for flag in measurement.flags]
    events = [event for event in record.events if event["step"] <= run.step]
    grids = [number(event.get("diversity")) for event in events if event["event"] == "grid"]
    if grids and grids[-1] is not None and grids[-1] < ALIKE:
        found.append(f"Samples are more alike than the data: they have {grids[-1]:.0%} of its diversity.")
    collapses = [event["step"] for event in events if event["event"] == "collapse"]
    if collapses:
        found.append(f"Samples were nearly alike at step {', '.join(map(str, collapses[-5:]))}.")
    if failures := sum(event["event"] == "non-finite" for event in events):
        found.append(f"Losses were not finite {failures} times, and training went back to an earlier step.")
    if hasattr(run.system, "standing"):
        found.append("The file holds conditions of some training pictures (captions as vectors, boxes, keypoints).")
    if not data["licence"]:
        found.append("The licence of the training pictures is not known, and with it that of what is made from them.")
    return found


def table(rows: Rows, left: str, right: str) -> str:
    """A table of Markdown."""
    cells = [(str(key), str(value).replace("|", "\\|").replace("\n", " ")) for key, value in rows]
    return "\n".join([f"| {left} | {right} |", "|---|---|", *(f"| {key} | {value} |" for key, value in cells)])
