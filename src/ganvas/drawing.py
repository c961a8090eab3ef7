"""Pictures of a run as files: grids with captions, and folders."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.conditions import Asked, Box, Captions, along, box_of, captions_of
from ganvas.engine.files import write_atomically
from ganvas.engine.folder import ganvas_version
from ganvas.errors import UserError
from ganvas.viz.captioned import captioned
from ganvas.viz.grids import grid, save_png, to_bytes
from ganvas.viz.layouts import marked

if TYPE_CHECKING:
    from ganvas.run import Run

COLUMNS = 16
"""Pictures beside one of several captions, at most; further ones go below."""

LIST = "captions.txt"
"""What a folder says its captions are: number, tab, caption."""

Classes = str | int | Sequence[str | int] | None


def save_samples(
    run: Run, path: Path, n: int, seed: int, truncation: float | None, classes: Classes, asked: Asked
) -> None:
    """See `Run.save_samples`."""
    run.refuse_to_draw()
    of_points, one_file = _target(run, path)
    captions = captions_of(run, asked.get("text"), asked.get("embeddings"))
    other = asked.get("complete")
    rest = Asked(**{**asked, "text": None, "embeddings": None, "complete": other and run.beside(other)})
    run.conditions(1, seed, **rest)  # refuses what cannot be before a folder is made
    if captions is None:
        rows = [run.draw(n, seed, truncation, classes=classes, **rest)]
    else:
        rows = [
            run.draw(n, seed, truncation, classes=classes, **Asked(**{**rest, "embeddings": vector[None]}))
            for vector in captions.vectors
        ]
    texts = _texts(run, seed, [] if captions is None else captions.names)
    try:
        (path.parent if one_file else path).mkdir(parents=True, exist_ok=True)
        if of_points:
            values = torch.cat(list(rows[0])).flatten(1).tolist()
            write_atomically(path, "".join(",".join(map(repr, row)) + "\n" for row in values).encode())
        elif not one_file:
            _save_folder(path, rows, captions, seed, texts)
        elif captions is None:
            save_png(path, grid(torch.cat(list(rows[0]))), texts)
        else:
            columns = None if len(captions) == 1 else min(n, COLUMNS)
            blocks = [grid(torch.cat(list(row)), columns) for row in rows]
            save_png(path, captioned(blocks, captions.names, title=_places(asked)), texts)
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror or error}") from error


def save_between(
    run: Run,
    path: Path,
    n: int,
    seed: int,
    truncation: float | None,
    classes: Classes,
    asked: Asked,
    to_text: str | None,
    to_box: Box | None,
    frames: int,
) -> None:
    """See `Run.save_samples` and `Run.between`."""
    _, one_file = _target(run, path)
    pictures = run.between(
        n, seed, truncation, to_text=to_text, to_box=to_box, frames=frames, classes=classes, **asked
    )  # fmt: skip
    start = asked.get("text")
    ends = [] if to_text is None else [start if isinstance(start, str) else "".join(start or ()), to_text]
    names = ends or ([] if start is None else [start] if isinstance(start, str) else [*start])
    texts = _texts(run, seed, names)
    try:
        (path.parent if one_file else path).mkdir(parents=True, exist_ok=True)
        if not one_file:
            for row, of_row in enumerate(pictures, seed):
                for number, picture in enumerate(to_bytes(of_row), 1):
                    save_png(path / f"seed-{row:08d}-frame-{number:03d}.png", picture, texts)
            _write_list(path, names)
            return
        rows = [grid(of_row, frames) for of_row in pictures]
        labels = [f"seed {row}" for row in range(seed, seed + n)]
        if to_box is not None:
            rows.insert(0, grid(_frames(run, asked, to_box, frames, pictures[0, 0]), frames))
            labels.insert(0, "the box")
        shares = [f"{100 * share:.0f} %" for share in torch.linspace(0, 1, frames).tolist()]
        title = " → ".join(names) if ends else "; ".join([*names, _places(asked) + f" → {_numbers(to_box or ())}"])
        save_png(path, captioned(rows, labels, shares, title), texts)
    except OSError as error:
        raise UserError(f"cannot write to {path}: {error.strerror or error}") from error


def _target(run: Run, path: Path) -> tuple[bool, bool]:
    """Whether points are to be written, and whether into one file.

    Raises:
        UserError: If this is neither a file of the kind that is written nor a folder.
    """
    one_file = path.suffix.lower() in (".png", ".csv") and not path.is_dir()
    if path.suffix.lower() in (".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"):
        raise UserError(f"{path}: pictures are written as PNG; name a .png file or a folder")
    of_points = run.config.size == 1
    if of_points != (path.suffix.lower() == ".csv"):
        raise UserError(
            f"{run.path} draws numbers, not pictures: name a .csv file" if of_points
            else f"{path}: pictures are written as PNG; name a .png file or a folder"
        )  # fmt: skip
    return of_points, one_file


def _texts(run: Run, seed: int, captions: Sequence[str]) -> dict[str, str]:
    """What a file says about itself."""
    return {
        "Software": f"ganvas {ganvas_version()}",
        "Source": f"{run.settings.system} {run.settings.preset}, step {run.step}, seed {seed}",
        "Copyright": run.settings.data["licence"],
        **({"Description": "\n".join(captions)} if captions else {}),
    }


def _save_folder(
    path: Path, rows: Sequence[Iterable[Tensor]], captions: Captions | None, seed: int, texts: dict[str, str]
) -> None:
    """A file for each picture, named by its seed and the number of its caption if there are captions."""
    for number, row in enumerate(rows, 1):
        begin = "" if captions is None else f"caption-{number:03d}-"
        about = texts if captions is None else texts | {"Description": captions.names[number - 1]}
        for place, picture in enumerate(itertools.chain.from_iterable(row), seed):
            save_png(path / f"{begin}seed-{place:08d}.png", to_bytes(picture[None])[0], about)
    _write_list(path, [] if captions is None else captions.names)


def _write_list(path: Path, captions: Sequence[str]) -> None:
    """Writes `LIST`, if there are captions."""
    lines = [f"{number}\t{' '.join(caption.split())}\n" for number, caption in enumerate(captions, 1)]
    if lines:
        write_atomically(path / LIST, "".join(lines).encode())


def _frames(run: Run, asked: Asked, to_box: Box, frames: int, like: Float[Tensor, "C H W"]) -> Float[Tensor, "B C H W"]:
    """Light gray pictures with the boxes on the way."""
    boxes = along(box_of(run, asked.get("box") or ()), box_of(run, to_box), frames)
    return marked(torch.full((frames, *like.shape), 0.85), boxes)


def _places(asked: Asked) -> str:
    """What is asked for besides captions, in words; empty where nothing is."""
    parts = []
    if (box := asked.get("box")) is not None:
        parts.append(f"box {_numbers(box)}")
    if isinstance(keypoints := asked.get("keypoints"), str | Path):
        parts.append(f"keypoints {Path(keypoints).name}")
    return ", ".join(parts)


def _numbers(values: Iterable[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
