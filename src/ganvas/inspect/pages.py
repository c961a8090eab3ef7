"""All pictures of a run, into a folder, with a list of what they are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from ganvas.engine.files import write_atomically
from ganvas.engine.folder import ganvas_version
from ganvas.engine.training import Device
from ganvas.errors import UserError
from ganvas.inspect import agreement, cutmix, losses, scores, spectrum, through_training, translations, walks
from ganvas.inspect.arithmetic import Group, read_groups
from ganvas.inspect.arithmetic import draw as draw_arithmetic
from ganvas.inspect.class_grid import draw as draw_class_grid
from ganvas.inspect.nearest import draw as draw_nearest
from ganvas.inspect.probe import draw as draw_probe
from ganvas.inspect.subject import Asked, Drawn, NotMade, Subject
from ganvas.inspect.timelapse import draw as draw_timelapse
from ganvas.inspect.truncation import draw as draw_truncation
from ganvas.run import Run
from ganvas.viz.figures import new_figure

PICTURES: tuple[tuple[str, str, Callable[[Subject, Path], Drawn]], ...] = (
    ("through-training.png", "Samples through training", through_training.draw),
    ("translations.png", "Translations", translations.draw),
    ("through-training.gif", "Samples through training, moving", draw_timelapse),
    ("cutmix.png", "Real, generated and CutMix pictures", cutmix.draw),
    ("walk.png", "Between two latents", walks.draw),
    ("walk.gif", "A walk through latents", walks.draw_moving),
    ("arithmetic.png", "Arithmetic on latents", draw_arithmetic),
    ("classes.png", "The same latents in every class", draw_class_grid),
    ("truncation.png", "Truncation of the latent", draw_truncation),
    ("nearest.png", "The nearest training pictures", draw_nearest),
    ("spectrum.png", "Spectra and checkerboards", spectrum.draw),
    ("scores.png", "Scores through training", scores.draw),
    ("agreement.png", "Encoder against decoder", agreement.draw),
    ("probe.png", "What the discriminator's features are good for", draw_probe),
    ("losses.png", "Losses, term by term", losses.draw),
)
"""File, title, and what draws it."""

MOST_FRAMES = 1000
"""Of a walk in all."""

MOVIE = ".mp4"
"""Ending of what may stand beside a page's own file under the same name."""


@dataclass(frozen=True)
class Page:
    """One picture, or the reason why there is none.

    Attributes:
        file: Its name in the folder; None if it could not be made.
        title: What it is.
        caption: What it shows, in sentences; empty if it could not be made.
        note: What could not be made and why; empty if all could.
        numbers: What was measured for it, JSON types.
        files: Names of further files in the folder that show the same, such as `walk.mp4`.
    """

    file: str | None
    title: str
    caption: str = ""
    note: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


def inspect(
    run: str | Path | Run,
    *,
    data: str | None = None,
    out: Path | None = None,
    n: int = 128,
    seed: int = 0,
    device: Device = "auto",
    walk: Literal["spherical", "linear"] | None = None,
    walk_seeds: Sequence[int] = (),
    walk_frames: int = 16,
    arithmetic: str | Sequence[Group] = (),
    label: str | int | None = None,
) -> list[Page]:
    """Draws what there is to see in a run, of any system: what its latents, its discriminator and its training hold.

    Writes pictures and `inspect.json`, which lists them, with what was measured. What a run cannot show, because
    it lacks a checkpoint, its data, classes or a per-pixel discriminator, is left out and its page says why; a file
    that an earlier call left there is then removed.

    Args:
        run: The run or its folder. A `Run` is looked at in its own checkpoint and on its own device.
        data: Where the run's pictures are now, if they have moved.
        out: Folder for the pictures; RUN/inspect if not given.
        n: Real and generated pictures that numbers are measured on, each.
        seed: Seed of the first generated picture, and of which real ones are taken.
        device: Where to compute.
        walk: How the walk leads from latent to latent; by default as suits the system, see `walks.default_kind`.
        walk_seeds: Seeds that it leads through and back to the first; by default four from `seed` on.
        walk_frames: Frames from one of them to the next.
        arithmetic: Groups of seeds to add and subtract, or their text, see `arithmetic.read_groups`; empty is none.
        label: Class of the pictures of walks, arithmetic and truncation, by name or number; by default that of the
            first seed.

    Returns:
        The pages, in the order in which they are shown.

    Raises:
        UserError: It is not a run, matplotlib is not installed, the folder cannot be written, or what is asked for
            makes no walk and no arithmetic.
    """
    if n < 2 or seed < 0:
        raise UserError(f"cannot look at {n} pictures from seed {seed}: at least 2 pictures, and a seed of 0 or more")
    if len(walk_seeds) == 1 or min(walk_seeds, default=0) < 0:
        raise UserError("a walk leads through two or more seeds of 0 or more, such as 3,17,42")
    if walk_frames < 1 or walk_frames * (len(walk_seeds) or walks.SEEDS) > MOST_FRAMES:
        raise UserError(f"a walk has 1 frame or more from seed to seed, and at most {MOST_FRAMES} in all")
    groups = read_groups(arithmetic) if isinstance(arithmetic, str) else tuple(arithmetic)
    new_figure(1, 1)  # says at once if matplotlib is missing
    run = run if isinstance(run, Run) else Run(run, device)
    number = None if label is None else run.label(label)
    subject = Subject(run, data, n, seed, Asked(walk, tuple(walk_seeds), walk_frames, groups, number))
    out = run.path / "inspect" if out is None else Path(out)
    try:
        out.mkdir(parents=True, exist_ok=True)
        pages = []
        for file, title, draw in PICTURES:
            try:
                drawn = draw(subject, out / file)
                pages.append(Page(file, title, drawn.caption, drawn.note, drawn.numbers, [*drawn.files]))
            except NotMade as problem:
                for old in (out / file, (out / file).with_suffix(MOVIE)):
                    old.unlink(missing_ok=True)
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
