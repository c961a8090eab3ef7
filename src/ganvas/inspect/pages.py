"""All pictures of a run, into a folder, with a list of what they are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ganvas.engine.files import write_atomically
from ganvas.engine.folder import ganvas_version
from ganvas.engine.training import Device
from ganvas.errors import UserError
from ganvas.inspect import agreement, cutmix, interpolation, losses, scores, through_training
from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.run import Run
from ganvas.viz.figures import new_figure

PICTURES: tuple[tuple[str, str, Callable[[Subject, Path], Drawn]], ...] = (
    ("through-training.png", "Samples through training", through_training.draw),
    ("cutmix.png", "Real, generated and CutMix pictures", cutmix.draw),
    ("interpolation.png", "Between two latents", interpolation.draw),
    ("scores.png", "Scores through training", scores.draw),
    ("agreement.png", "Encoder against decoder", agreement.draw),
    ("losses.png", "Losses, term by term", losses.draw),
)
"""File, title, and what draws it."""


@dataclass(frozen=True)
class Page:
    """One picture, or the reason why there is none.

    Attributes:
        file: Its name in the folder; None if it could not be made.
        title: What it is.
        caption: What it shows, in sentences; empty if it could not be made.
        note: What could not be made and why; empty if all could.
        numbers: What was measured for it, JSON types.
    """

    file: str | None
    title: str
    caption: str = ""
    note: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)


def inspect(
    run: str | Path | Run,
    *,
    data: str | None = None,
    out: Path | None = None,
    n: int = 128,
    seed: int = 0,
    device: Device = "auto",
) -> list[Page]:
    """Draws what there is to see in a run: the pictures of Schönfeld et al. 2020 (arXiv 2002.12655), of any system.

    Writes PNG files and `inspect.json`, which lists them, with what was measured. What a run cannot show, because
    it lacks a checkpoint, its data or a per-pixel discriminator, is left out and its page says why; a file that an
    earlier call left there is then removed.

    Args:
        run: The run or its folder. A `Run` is looked at in its own checkpoint and on its own device.
        data: Where the run's pictures are now, if they have moved.
        out: Folder for the pictures; RUN/inspect if not given.
        n: Real and generated pictures that numbers are measured on, each.
        seed: Seed of the first generated picture, and of which real ones are taken.
        device: Where to compute.

    Returns:
        The pages, in the order of the paper's figures.

    Raises:
        UserError: It is not a run, matplotlib is not installed, or the folder cannot be written.
    """
    if n < 2 or seed < 0:
        raise UserError(f"cannot look at {n} pictures from seed {seed}: at least 2 pictures, and a seed of 0 or more")
    new_figure(1, 1)  # says at once if matplotlib is missing
    run = run if isinstance(run, Run) else Run(run, device)
    subject = Subject(run, data, n, seed)
    out = run.path / "inspect" if out is None else Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        pages = []
        for file, title, draw in PICTURES:
            try:
                drawn = draw(subject, out / file)
                pages.append(Page(file, title, drawn.caption, drawn.note, drawn.numbers))
            except NotMade as problem:
                (out / file).unlink(missing_ok=True)
                pages.append(Page(None, title, note=str(problem)))
        about = {
            "ganvas": ganvas_version(),
            "run": str(run.path.absolute()),
            "system": run.settings.system,
            "step": subject.step,
            "seed": seed,
            "licence": run.settings.data["licence"],
            "pages": [asdict(page) for page in pages],
        }
        text = json.dumps(_finite(about), indent=2, ensure_ascii=False, allow_nan=False)
        write_atomically(out / "inspect.json", (text + "\n").encode())
    except OSError as error:
        raise UserError(f"cannot write to {out}: {error.strerror or error}") from error
    return pages


def _finite(value: Any) -> Any:
    """JSON knows no NaN: null stands for it."""
    if isinstance(value, dict):
        return {key: _finite(of) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(of) for of in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
