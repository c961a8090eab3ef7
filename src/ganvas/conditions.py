"""What a user asks a run to draw, as tensors: captions, a box, keypoints.

Places are shares of the picture, x from the left and y from the top, 0 to 1.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import torch
from jaxtyping import Float
from torch import Tensor

from ganvas.engine.system import Batch
from ganvas.errors import UserError
from ganvas.systems import nearest

if TYPE_CHECKING:
    from ganvas.run import Run

Text = str | Sequence[str]
"""One caption, or several."""

Box = Sequence[float]
"""x and y of the upper left corner, width, height."""

Keypoints = Path | str | Mapping[str, Sequence[float] | None] | Sequence[Sequence[float] | None] | Tensor
"""A JSON file, or what it holds: {part: [x, y]}, or [x, y, visible] for each part in order; null where not visible."""


class Asked(TypedDict, total=False):
    """What a run that draws from captions, boxes or keypoints is asked for.

    What is left out, or None, is taken from training pictures that the run has kept.
    """

    text: Text | None
    """One caption, or several that are drawn in turn."""

    embeddings: str | Path | Tensor | None
    """Instead of that their vectors, as the run's encoder gives them: (T, E), or such a .npy or .safetensors file."""

    box: Box | None
    """Where the object is to be."""

    keypoints: Keypoints | None
    """Where its parts are to be."""

    complete: Run | str | Path | None
    """A run that completes keypoints, for the parts that `keypoints` leaves out; without `keypoints` all of them."""


EDGE = 1e-6
"""How far a box may reach over the edge of the picture, for numbers that were added up."""


@dataclass(frozen=True)
class Captions:
    """Captions as a run takes them.

    Attributes:
        names: The captions; of rows of a file what to call them.
        vectors: One each.
    """

    names: list[str]
    vectors: Float[Tensor, "T E"]

    def __len__(self) -> int:
        return len(self.names)


def captions_of(run: Run, text: Text | None, embeddings: str | Path | Tensor | None) -> Captions | None:
    """The captions that are asked for, as vectors; None if none are.

    Raises:
        UserError: If the run draws from no captions, or from those of another encoder, or they are empty.
    """
    if text is None and embeddings is None:
        return None
    if text is not None and embeddings is not None:
        raise UserError("--text and --embeddings both say what to draw: give one of them")
    if "text" not in run.needs:
        raise UserError(f"{run.path} was trained without captions: leave --text and --embeddings out")
    if text is not None:
        names = [text] if isinstance(text, str) else [*text]
        if not names:
            raise UserError("no caption is given: name one, or leave the choice to the system")
        return Captions(names, run.encoder.encode(names))
    if isinstance(embeddings, Tensor):
        vectors, what, name = embeddings.float().cpu(), "the embeddings", "the embeddings"
    else:
        from ganvas.text.embeddings import read_vectors

        path = Path(str(embeddings))
        vectors, what, name = read_vectors(path), str(path), path.name
    wanted = run.settings.data["encoder"]["dim"]
    if vectors.ndim != 2 or not len(vectors) or vectors.shape[1] != wanted:
        raise UserError(f"{what}: (N, {wanted}) is wanted, as {run.path} learnt from, not {tuple(vectors.shape)}")
    return Captions([f"row {row} of {name}" for row in range(len(vectors))], vectors)


def box_of(run: Run, box: Box) -> Float[Tensor, "4"]:
    """A box that is asked for.

    Raises:
        UserError: If the run draws into no boxes, or this is none inside of the picture.
    """
    if "boxes" not in run.needs:
        raise UserError(f"{run.path} was trained without boxes: leave --box out")
    values = [float(value) for value in box]
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise UserError(f"a box is four numbers, x,y,width,height, not {_listed(values)}")
    x, y, width, height = values
    if min(x, y) < 0 or min(width, height) <= 0 or max(x + width, y + height) > 1 + EDGE:
        raise UserError(
            f"the box {_listed(values)} is not inside of the picture: x,y,width,height are shares of it, x and y of "
            "the upper left corner, such as 0.25,0.25,0.5,0.5 for the middle"
        )
    return torch.tensor(values)


def keypoints_of(run: Run, keypoints: Keypoints) -> Float[Tensor, "K 3"]:
    """Keypoints that are asked for: x, y and 1 of each part of the run's that is placed, else zeros.

    Raises:
        UserError: If the run draws at no keypoints, or these are none of its parts inside of the picture.
    """
    if "keypoints" not in run.needs:
        raise UserError(f"{run.path} was trained without keypoints: leave --keypoints out")
    parts: list[str] = run.settings.data["parts"]
    given: Any = keypoints.tolist() if isinstance(keypoints, Tensor) else keypoints
    if isinstance(given, str | Path):
        given = _read(Path(given))
    if isinstance(given, Mapping):
        for name in given:
            if name not in parts:
                raise UserError(f"there is no part {str(name)!r} of what {run.path} draws{nearest(str(name), parts)}")
        given = [given.get(part) for part in parts]
    if not isinstance(given, Sequence) or len(given) != len(parts):
        count = len(given) if isinstance(given, Sequence) else "none"
        raise UserError(f"a list of keypoints has one for each of {len(parts)} parts, not {count}: {', '.join(parts)}")
    rows = [_keypoint(part, value) for part, value in zip(parts, given, strict=True)]
    return torch.tensor(rows, dtype=torch.float32)


def completed(
    run: Run, other: Run, keypoints: Float[Tensor, "B K 3"], text: Float[Tensor, "B E"], seeds: Sequence[int]
) -> Float[Tensor, "B K 3"]:
    """Keypoints whose missing parts a run that completes them has drawn; those that are placed stay.

    Args:
        run: What the keypoints are for.
        other: The run that completes.
        keypoints: See `keypoints_of`.
        text: Embedded captions.
        seeds: One integer a picture.

    Raises:
        UserError: If `other` completes no keypoints, or those of other parts, or reads captions by another encoder.
    """
    complete = getattr(other.system, "complete", None)
    if complete is None:
        raise UserError(
            f"{other.path} is a run of {other.settings.system} that completes no keypoints: name one that does"
        )
    ours, theirs = run.settings.data, other.settings.data
    if ours["parts"] != theirs["parts"]:
        raise UserError(
            f"{other.path} completes other parts ({', '.join(theirs['parts'])}) than {run.path} has "
            f"({', '.join(ours['parts'])})"
        )
    if ours["encoder"]["hash"] != theirs["encoder"]["hash"]:
        raise UserError(
            f"{other.path} learnt captions from another encoder ({theirs['encoder']['name']}) than {run.path} "
            f"({ours['encoder']['name']})"
        )
    with torch.no_grad():
        found: Tensor = complete(keypoints, text, seeds)
    return found.float().cpu()


def along(start: Float[Tensor, "..."], end: Float[Tensor, "..."], frames: int) -> Float[Tensor, "N ..."]:
    """`frames` steps in a straight line from one to the other, both of them included."""
    shares = torch.linspace(0, 1, frames, dtype=start.dtype).reshape(-1, *[1] * start.ndim)
    return torch.lerp(start[None], end[None], shares)


def repeated(values: Batch, n: int) -> Batch:
    """Conditions of n pictures, those there are in turn."""
    return {name: value[torch.arange(n) % len(value)] for name, value in values.items()}


def _keypoint(part: str, value: Any) -> list[float]:
    if value is None:
        return [0.0, 0.0, 0.0]
    numbers = isinstance(value, Sequence) and not isinstance(value, str) and all(type(v) in (int, float) for v in value)
    if not numbers or len(value) not in (2, 3) or not all(map(math.isfinite, value)):
        raise UserError(f"keypoint {part} is [x, y] or [x, y, visible], not {json.dumps(value)}")
    if len(value) == 3 and not value[2]:
        return [0.0, 0.0, 0.0]
    x, y = float(value[0]), float(value[1])
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise UserError(f"keypoint {part} is outside of the picture: x and y are shares of it, not {_listed([x, y])}")
    return [x, y, 1.0]


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the keypoints in {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON file: {error}") from error


def _listed(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
