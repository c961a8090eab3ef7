"""Pictures with what is said of them: captions, and where in them something is."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor

from ganvas.data.cache import hash_file
from ganvas.data.options import DataOptions
from ganvas.data.places import (
    BBOX,
    KEYPOINTS,
    as_array,
    box_of,
    cut_boxes,
    cut_points,
    mirrored_boxes,
    mirrored_points,
    partners,
    parts_of,
    points_of,
)
from ganvas.data.prepare import refusal
from ganvas.data.sampler import Drawn, Sampler, fits, stream
from ganvas.data.source import Problem, Progress, Unusable, printable
from ganvas.data.store import Prepared
from ganvas.errors import UserError

if TYPE_CHECKING:
    from ganvas.text.embeddings import Embeddings

DESCRIBED = ("text", "boxes", "keypoints")
"""Keys of a batch that pictures alone do not give."""

COLUMNS = {"text": "text", "boxes": BBOX, "keypoints": KEYPOINTS}
"""The column of the metadata that each of them comes from."""

LEAST = 1e-6
"""The least width and height of a box that is used, as shares of the picture: what is below is rounding."""


@dataclass(frozen=True)
class Described:
    """Pictures with captions, boxes or keypoints, all of which have what is needed.

    Takes the place of `Prepared` in training.

    Attributes:
        pictures: The pictures, also those that lack something.
        needs: Which of `DESCRIBED` batches hold.
        rows: Positions in `pictures` of the N that are usable.
        size: Side of the pictures in training, pixels.
        captions: Of each usable picture; without any where `text` is not needed, or its numbers were given.
        mean_of: Captions whose mean describes a picture.
        embeddings: The captions of each usable picture as numbers; None where not needed.
        encoder: `name`, `hash` and `dim` of what made these; empty without.
        boxes: (N, 4), x, y, width and height of each in shares of the prepared square; None where not needed.
        points: (N, K, 3), x, y and 1 of each keypoint in such shares, all 0 where it is not visible; or None.
        parts: The names of the K keypoints.
        lost: Pictures that lack something, and what.
        remark: What a reader should know of captions that are used; else empty.
    """

    pictures: Prepared
    needs: frozenset[str]
    rows: NDArray[np.int64]
    size: int
    captions: list[list[str]]
    mean_of: int
    embeddings: Embeddings | None
    encoder: dict[str, Any]
    boxes: NDArray[np.float64] | None
    points: NDArray[np.float64] | None
    parts: tuple[str, ...]
    lost: tuple[Problem, ...] = ()
    remark: str = ""

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def labels(self) -> NDArray[np.int64] | None:
        """Those of the usable pictures, int64 (N,), or None."""
        return None if self.pictures.labels is None else self.pictures.labels[self.rows]

    @property
    def classes(self) -> list[str]:
        """Names of the labels; empty without labels."""
        return self.pictures.classes

    @property
    def unlabelled(self) -> str:
        """Why there are no labels, where one might think there are; else empty."""
        return self.pictures.unlabelled

    def keys(self) -> frozenset[str]:
        """The keys of a batch drawn from it."""
        return self.pictures.keys() | self.needs

    @property
    def name(self) -> str:
        """What the user called it."""
        return self.pictures.source

    @property
    def amount(self) -> str:
        """How much there is of what, in words."""
        unit = {"pixels": "pixels", "relative": "shares of the picture"}.get(
            self.pictures.options.get("coordinates", "")
        )
        what = " and ".join(name for name in ("boxes", "keypoints") if name in self.needs)
        placed = f" ({what} in {unit})" if what and unit else ""
        return f"{len(self)} pictures{placed}"

    @property
    def licence(self) -> str | None:
        """The line of attribution of the pictures, or None."""
        return self.pictures.licence

    @property
    def skipped(self) -> list[Problem]:
        """What could not be used, and why."""
        return [*self.pictures.skipped, *self.lost]

    @property
    def embedding(self) -> int:
        """E, numbers in an embedded caption; 0 without."""
        return 0 if self.embeddings is None else self.embeddings.vectors.shape[1]

    @functools.cached_property
    def hash(self) -> str:
        """SHA-256 of the pictures, of which of them are used, and of what is said of them."""
        digest = hashlib.sha256(self.pictures.hash.encode())
        said = [sorted(self.needs), self.rows.tolist(), self.captions, self.encoder, list(self.parts)]
        digest.update(json.dumps(said, sort_keys=True).encode())
        for values in (self.boxes, self.points):
            if values is not None:
                digest.update(values.astype("<f8").tobytes())
        return digest.hexdigest()

    def describe(self) -> dict[str, Any]:
        """What it is, as JSON values."""
        return self.pictures.describe() | {
            "count": len(self),
            "keys": sorted(self.keys()),
            "hash": self.hash,
            "skipped": len(self.skipped),
            "encoder": self.encoder,
            "parts": list(self.parts),
        }

    def texts(self, row: int) -> list[str]:
        """The captions of a usable picture, by its position among these; none where only their numbers are known."""
        return self.captions[row] if self.captions else []

    def conditions(self, rows: Sequence[int] | NDArray[np.int64]) -> dict[str, Tensor]:
        """What is said of usable pictures, by their positions among these: see `DescribedSampler.batch`.

        Captions are the first ones, and places are those in the middle square, which is not mirrored.
        """
        chosen = np.asarray(rows, dtype=np.int64)
        found = {}
        if self.labels is not None:
            found["label"] = torch.from_numpy(self.labels[chosen])
        if self.embeddings is not None:
            offsets = self.embeddings.offsets.numpy()
            places, weights = first_of(offsets[chosen], offsets[chosen + 1], self.mean_of)
            found["text"] = mean_text(self.embeddings.vectors, torch.from_numpy(places), torch.from_numpy(weights))
        start = np.full(len(chosen), (self.pictures.images.shape[1] - self.size) // 2)
        drawn = self.with_boxes(chosen, Drawn(np.zeros(len(chosen), bool), start, start), self.size)
        return found | {
            key: torch.from_numpy(values) for key, values in self.places(chosen, drawn, self.size, False).items()
        }

    def with_boxes(self, rows: NDArray[np.int64], drawn: Drawn, size: int) -> Drawn:
        """The same squares, moved just so far that the centre of each picture's box is inside.

        Args:
            rows: (B,), positions among the usable pictures.
            drawn: Of these.
            size: Side of the squares, pixels.
        """
        if self.boxes is None:
            return drawn
        side = self.pictures.images.shape[1]
        centre = (self.boxes[rows, :2] + self.boxes[rows, 2:] / 2) * side
        first, last = np.ceil(centre - size).astype(np.int64), np.floor(centre).astype(np.int64)
        left, top = (
            start.clip(first[:, i].clip(0, side - size), last[:, i].clip(0, side - size))
            for i, start in enumerate((drawn.left, drawn.top))
        )
        return Drawn(drawn.mask, top, left)

    def places(self, rows: NDArray[np.int64], drawn: Drawn, size: int, flip: bool) -> dict[str, NDArray[np.float32]]:
        """`boxes` and `keypoints`, as far as they are needed, in pictures that were cut and mirrored.

        Args:
            rows: (B,), positions among the usable pictures.
            drawn: What was done to them.
            size: Side of the squares that were cut out, pixels.
            flip: Whether pictures are mirrored at all.
        """
        side, found = self.pictures.images.shape[1], {}
        mask = drawn.mask & flip
        if self.boxes is not None:
            boxes = cut_boxes(self.boxes[rows], drawn.top, drawn.left, side, size)
            found["boxes"] = mirrored_boxes(boxes, mask).astype(np.float32)
        if self.points is not None:
            points = cut_points(self.points[rows], drawn.top, drawn.left, side, size)
            order = partners(self.parts) if flip else range(len(self.parts))
            found["keypoints"] = mirrored_points(points, mask, order).astype(np.float32)
        return found

    def sampler(
        self,
        *,
        batch: int,
        seed: int,
        options: DataOptions,
        device: torch.device | str,
        size: int,
        rank: int = 0,
        world: int = 1,
    ) -> DescribedSampler:
        """What batches are drawn by: see `DescribedSampler`.

        Raises:
            UserError: As `ganvas.data.sampler.Sampler` does.
        """
        return DescribedSampler(
            self, batch=batch, seed=seed, options=options, device=device, size=size, rank=rank, world=world
        )


class DescribedSampler(Sampler):
    """Draws batches of pictures with what is said of them: functions of (seed, step, draw, attempt) alone.

    Pictures, order, squares and mirroring are those of `Sampler` at the same seed, but that a square which would leave
    out the centre of its picture's box is moved just so far that it does not.
    """

    def __init__(
        self,
        data: Described,
        *,
        batch: int,
        seed: int,
        options: DataOptions,
        device: torch.device | str,
        size: int,
        rank: int = 0,
        world: int = 1,
    ):
        """Put pictures and embedded captions on the device, if they fit there.

        Args:
            data: Pictures, at least `size` pixels wide.
            batch: Pictures in a batch, all ranks together.
            seed: Seed of the run.
            options: `flip`, `balance` and `captions` are used.
            device: Where batches are wanted.
            size: Side of the pictures of a batch, in pixels.
            rank: Which part of each batch to return.
            world: In how many parts it is cut.

        Raises:
            UserError: As `ganvas.data.sampler.Sampler` does.
        """
        super().__init__(
            data.pictures, batch=batch, seed=seed, options=options, device=device, size=size, rank=rank, world=world,
            rows=data.rows,
        )  # fmt: skip
        self.data, self.keys, self.mean_of = data, data.keys(), options.captions
        self.place = np.full(len(data.pictures), -1)
        self.place[data.rows] = np.arange(len(data))
        self.vectors: Tensor | None = None
        if data.embeddings is not None:
            vectors = data.embeddings.vectors
            self.vectors = vectors.to(self.device) if fits(vectors, self.device) else vectors
            self.offsets = data.embeddings.offsets.numpy()
            self.most = int(np.diff(self.offsets).max())

    def batch(self, step: int, draw: int = 0, attempt: int = 0) -> dict[str, Tensor]:
        """This rank's part of a batch.

        Args:
            step: Of training, from 0.
            draw: Which batch of the step; each number is a stream of its own.
            attempt: Counts repetitions of a step that failed; each is a stream of its own.

        Returns:
            `image` and `label`: As `ganvas.data.sampler.Sampler.batch`.
            `text`: (b, E) float32, the mean of `captions` embedded captions of each picture, drawn without replacement;
                of all where it has fewer.
            `boxes`: (b, 4) float32, x, y, width and height in shares of the picture as drawn, x and y of the left top
                corner; what is outside of the picture is cut off.
            `keypoints`: (b, K, 3) float32, x and y in such shares and 1, or all 0 where the part is not visible.
            All but the image as far as there are labels, and the others are needed.
        """
        index = self.indices(step, draw, attempt)
        rows = self.place[index]
        drawn = self.data.with_boxes(rows, self.squares(step, draw, attempt), self.size)
        batch = self.pictures(index, drawn)
        if self.vectors is not None:
            # For the whole batch, so that ranks together see what one would.
            order = stream(self.seed, "captions", draw, attempt, step).random((self.global_batch, self.most))
            places, weights = self._captions(rows, order)
            batch["text"] = mean_text(self.vectors, self._put(places[self.part]), self._put(weights[self.part]))
        own = Drawn(drawn.mask[self.part], drawn.top[self.part], drawn.left[self.part])
        placed = self.data.places(rows[self.part], own, self.size, self.flip)
        return batch | {key: self._put(values) for key, values in placed.items()}

    def _captions(
        self, rows: NDArray[np.int64], order: NDArray[np.float64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Which captions describe each picture: (B, k) positions among all vectors, and (B, k) their weights."""
        starts, ends = self.offsets[rows], self.offsets[rows + 1]
        counts = (ends - starts)[:, None]
        order = np.where(np.arange(self.most) < counts, order, np.inf)  # those that a picture does not have come last
        chosen = order.argsort(1, kind="stable")[:, : self.mean_of]
        return starts[:, None] + chosen.clip(max=counts - 1), _weights(chosen.shape[1], counts)


def first_of(
    starts: NDArray[np.int64], ends: NDArray[np.int64], most: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Positions from each start on, `most` or until its end, and their weights in a mean: (B, k) both."""
    counts = (ends - starts)[:, None]
    k = min(most, int(counts.max(initial=1)))
    return starts[:, None] + np.arange(k).clip(max=counts - 1), _weights(k, counts)


def mean_text(vectors: Float[Tensor, "S E"], places: Tensor, weights: Float32[Tensor, "B k"]) -> Float32[Tensor, "B E"]:
    """The weighted sum of k of the vectors for each of B, on the device of the weights."""
    chosen = vectors.index_select(0, places.flatten().to(vectors.device)).to(weights.device)
    return (chosen.view(*places.shape, -1).float() * weights[:, :, None]).sum(1)


def _weights(k: int, counts: NDArray[np.int64]) -> NDArray[np.float32]:
    used = np.minimum(counts, k)
    return np.where(np.arange(k) < used, 1 / used, 0).astype(np.float32)


def captions_of(value: Any) -> list[str]:
    """The captions that a row of metadata gives, without those that are empty.

    Raises:
        Unusable: There are none; the message says why.
    """
    if value is None or value == []:
        raise Unusable("no text")
    every = [value] if isinstance(value, str) else value
    if not isinstance(every, list) or not all(isinstance(one, str) for one in every):
        raise Unusable("its text is neither a string nor a list of strings")
    # Half of a character, which JSON can hold, cannot be encoded.
    found = [one.encode("utf-8", "replace").decode() for one in every if one.strip()]
    if not found:
        raise Unusable("an empty text")
    return found


def describe_pictures(
    pictures: Prepared, needs: Iterable[str], options: DataOptions, *, size: int, progress: Progress
) -> Described:
    """Pictures with what is said of them.

    Args:
        pictures: Prepared with their columns.
        needs: Of these `DESCRIBED` are looked for.
        options: `captions`, `encoder`, `embeddings`, `parts`, `flip` and `strict` are used.
        size: Side of the pictures in training, pixels.
        progress: Told how far the encoding of captions is.

    Raises:
        UserError: Fewer than two pictures have all that is needed (with `strict`: one has not), the encoder or the file
            of embeddings cannot be used, or keypoints cannot be mirrored because it is not known what they are of.
    """
    needed = frozenset(needs) & {*DESCRIBED}
    given = options.embeddings if "text" in needed else None
    found: dict[int, dict[str, Any]] = {}
    lost: list[Problem] = []
    parts = _parts(pictures, options) if "keypoints" in needed else ()
    readers: dict[str, Callable[[Any], Any]] = {
        "text": captions_of if given is None else _captions_if_any,
        "boxes": _kept_box,
        "keypoints": functools.partial(_kept_points, parts=parts),
    }
    nothing: list[Any] = [None] * len(pictures)
    for i, name in enumerate(pictures.names):
        try:
            found[i] = {
                key: readers[key](pictures.columns.get(COLUMNS[key], nothing)[i]) for key in DESCRIBED if key in needed
            }
        except Unusable as error:
            lost.append(Problem(name, str(error)))
    if options.strict and lost:
        raise refusal(pictures.source, lost)
    if len(found) < 2:
        _refuse(pictures, needed, len(found), lost)
    rows = np.array([*found], dtype=np.int64)
    captions = [one["text"] for one in found.values()] if "text" in needed else []
    embeddings: Embeddings | None = None
    encoder: dict[str, Any] = {}
    remark = ""
    if given is not None:
        embeddings, encoder = _given(given, pictures.names, rows)
    elif captions:
        embeddings, encoder, remark = _embedded(captions, options, progress)
    return Described(
        pictures,
        needed,
        rows,
        size,
        captions,
        options.captions,
        embeddings,
        encoder,
        np.stack([one["boxes"] for one in found.values()]) if "boxes" in needed else None,
        np.stack([one["keypoints"] for one in found.values()]) if "keypoints" in needed else None,
        parts,
        tuple(lost),
        remark,
    )


def _parts(pictures: Prepared, options: DataOptions) -> tuple[str, ...]:
    """The names of the keypoints.

    Raises:
        UserError: As `parts_of` and `partners` do.
    """
    every = [points_of(value) for value in pictures.columns.get(KEYPOINTS, ()) if value is not None]
    parts = parts_of(every, options)
    if options.flip:
        if not options.parts and any(isinstance(points, list) for points in every):
            raise UserError(
                f"The keypoints of {pictures.source} are lists without names, so that left and right cannot be "
                "exchanged in mirrored pictures: give --parts with their names, or --no-flip."
            )
        partners(parts)
    return parts


def _kept_box(value: Any) -> NDArray[np.float64]:
    if value is None:
        raise Unusable("no bbox")
    box = cut_boxes(np.array([box_of(value)]), np.zeros(1, np.int64), np.zeros(1, np.int64), 1, 1)[0]
    if not (box[2:] > LEAST).all():
        raise Unusable("its bbox lies outside of what is kept of the picture")
    return box


def _kept_points(value: Any, parts: Sequence[str]) -> NDArray[np.float64]:
    if value is None:
        raise Unusable("no keypoints")
    points = as_array(points_of(value), parts)
    if not points[:, 2].any():
        raise Unusable("none of its keypoints is visible in what is kept of the picture")
    return points


def _captions_if_any(value: Any) -> list[str]:
    try:
        return captions_of(value)
    except Unusable:
        return []


def _refuse(pictures: Prepared, needed: frozenset[str], count: int, lost: Sequence[Problem]) -> None:
    """Says what is missing.

    Raises:
        UserError: Always.
    """
    absent = [COLUMNS[key] for key in DESCRIBED if key in needed and COLUMNS[key] not in pictures.columns]
    if absent:
        what = f"no {absent[0]} column, which this system learns from: metadata.jsonl gives it beside each file_name"
        raise UserError(f"{pictures.source} has {what}.")
    wanted = " and ".join(COLUMNS[key] for key in DESCRIBED if key in needed)
    have = "1 usable picture" if count else "no usable picture"
    raise UserError(f"{pictures.source} holds {have} with {wanted}; at least 2 are needed; {lost[0]}.")


def _embedded(
    captions: Sequence[Sequence[str]], options: DataOptions, progress: Progress
) -> tuple[Embeddings, dict[str, Any], str]:
    """Captions as numbers, what made these, and what a reader should know."""
    # Here, because most data has no captions, and this imports a library for them.
    from ganvas.text.embeddings import embed
    from ganvas.text.encoders import find_encoder

    encoder = find_encoder(options.encoder)
    distinct = sorted({text for own in captions for text in own})
    return embed(captions, encoder, options, progress), encoder.to_json(), encoder.doubts(distinct)


def _given(path: Path, names: Sequence[str], rows: NDArray[np.int64]) -> tuple[Embeddings, dict[str, Any]]:
    """The vectors in a user's file of the pictures that are usable, and what is known of their origin."""
    from ganvas.text.embeddings import Embeddings, read_embeddings

    every = read_embeddings(path.expanduser(), names)
    parts = [every.of(row) for row in rows.tolist()]
    offsets = torch.tensor([0, *map(len, parts)]).cumsum(0)
    found = Embeddings(torch.cat(parts), offsets)
    return found, {"name": printable(path.name), "hash": hash_file(path.expanduser()), "dim": found.vectors.shape[1]}
