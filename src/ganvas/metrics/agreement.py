"""Whether pictures show what their captions say, asked of networks that learnt it from real pairs.

`train_matcher` brings pictures and caption vectors into one space; `r_precision` is the share of pictures whose own
caption is nearer there than others drawn at random (Xu et al. 2018, arXiv 1711.10485, section 4). Where the data has
classes `caption_accuracy` says how often a picture is taken for one of the class asked for.

Pictures are (N, C, H, W), float in [-1, 1] or uint8; networks compute where the pictures are. The same seed trains the
same network, and the global random state stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from ganvas.errors import UserError
from ganvas.metrics.checks import check_comparable, check_features
from ganvas.metrics.interval import Interval, bootstrap
from ganvas.metrics.judges import Classifier, Pixels, as_seen, split
from ganvas.metrics.neighbours import ROUNDING
from ganvas.metrics.translation import Retrieval, unit_length

CANDIDATES = 100
"""Captions that a picture's own is looked for among, itself included (Xu et al. 2018)."""
SIDE = 32
"""Pixels: larger pictures are reduced to so many a side before a judge looks at them."""
STEPS = 600
"""Of training, unless told otherwise."""
JOINT = 128
"""Dimensions of the space in which pictures and captions are compared."""
SHARPEST = 100.0
"""What cosines are multiplied by at most, before the softmax."""
SAME = 1e-9
"""Captions with cosines of 1 but for less than this say the same."""

Vectors = Float[Tensor, "_ E"] | Callable[[Tensor, torch.Generator], Tensor]
"""Caption vectors of pictures: one for each, or what draws one for each of these rows."""


@dataclass(frozen=True)
class Matcher:
    """A judge of pictures beside captions.

    Attributes:
        network: (B, C, H, W) in [-1, 1] to (B, D).
        texts: Caption vectors (B, E) to (B, D).
        held_out: Rows of the real pairs that it was not trained on.
        real: R-precision on those, of captions of all pairs: the most that generated pictures can be expected to reach;
            None where nothing is held out, or all is of one kind.
        candidates: Captions in that.
    """

    network: nn.Module
    texts: nn.Module
    held_out: Int64[Tensor, " n"]
    real: Interval | None = None
    candidates: int = 0

    def of_pictures(self, images: Pixels) -> Float64[Tensor, "_ D"]:
        """Where they lie in the joint space, at length 1."""
        with torch.no_grad():
            return unit_length(torch.cat([self.network(as_seen(part, SIDE)) for part in torch.split(images, 256)]))

    def of_texts(self, vectors: Float[Tensor, "N E"]) -> Float64[Tensor, "N D"]:
        """Where captions lie there, at length 1."""
        with torch.no_grad():
            return unit_length(self.texts(vectors))


class _Texts(nn.Module):
    """A linear map of vectors that are moved to mean 0 and scaled to mean square 1 first."""

    def __init__(self, vectors: Float[Tensor, "N E"], dim: int) -> None:
        super().__init__()
        self.mean = nn.Buffer(vectors.mean(0))
        self.scale = nn.Buffer((vectors - self.mean).square().mean().sqrt().clamp_min(1e-6))
        self.linear = nn.Linear(vectors.shape[1], dim)

    def forward(self, vectors: Float[Tensor, "B E"]) -> Float[Tensor, "B D"]:
        return self.linear((vectors - self.mean) / self.scale)


def train_matcher(
    pictures: Pixels,
    vectors: Vectors,
    *,
    kinds: Int64[Tensor, " M"] | None = None,
    held_out: float = 0.2,
    seed: int = 0,
    steps: int = STEPS,
    batch: int = 64,
    shift: int = 2,
) -> Matcher:
    """Trains a network of pictures and a linear map of caption vectors to tell which belong together.

    The loss is the symmetric cross entropy of cosines within a batch, InfoNCE (van den Oord et al. 2018, eq. 4) both
    ways, with a learnt temperature; by AdamW at 0.001, falling to 0. Captions of a batch that say the same need no
    care: at the optimum they have equal cosines.

    Args:
        pictures: Real ones.
        vectors: Of their captions.
        kinds: Class of each pair, if there are: captions of the same class are no mistakes in `Matcher.real`.
        held_out: Share of the pairs that is not trained on but checked on.
        seed: Of the pairs held out, weights, order and shifts.
        steps: Of training.
        batch: Pairs a step.
        shift: Pixels that pictures are moved by, at most, either way; the nearest pixel moves in.

    Raises:
        UserError: Pictures and vectors do not match, or there are too few.
    """
    count = len(pictures)
    if isinstance(vectors, Tensor) and len(vectors) != count:
        raise UserError(f"{len(vectors)} caption vectors of {count} pictures: there is one for each")
    trained, rest = split(count, held_out, seed)
    if len(trained) < 2:
        raise UserError(f"pictures and captions are told apart by at least 2 pairs, and {len(trained)} are there")
    generator = torch.Generator().manual_seed(seed)

    def texts_of(rows: Tensor) -> Tensor:
        return (vectors[rows] if isinstance(vectors, Tensor) else vectors(rows, generator)).to(pictures.device)

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _network(pictures.shape[1], min(SIDE, *pictures.shape[2:])).to(pictures.device)
        texts = _Texts(texts_of(trained), JOINT).to(pictures.device)
        sharpness = nn.Parameter(torch.tensor(1 / 0.07, device=pictures.device).log())
        optimizer = torch.optim.AdamW([*network.parameters(), *texts.parameters(), sharpness], 1e-3, weight_decay=0.05)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (1 - step / steps)
            rows = trained[torch.randperm(len(trained))[:batch]]
            left, top = torch.randint(0, 2 * shift + 1, (2,)).tolist()
            seen = as_seen(pictures[rows], SIDE)
            height, width = seen.shape[2:]
            moved = F.pad(seen, [shift] * 4, "replicate")[..., top : top + height, left : left + width]
            optimizer.zero_grad()
            cosines = F.normalize(network(moved)) @ F.normalize(texts(texts_of(rows))).T
            logits = cosines * sharpness.exp().clamp_max(SHARPEST)
            own = torch.arange(len(rows), device=logits.device)
            loss = (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    judge = Matcher(network.eval().requires_grad_(False), texts.eval().requires_grad_(False), rest)
    if not len(rest):
        return judge
    given = texts_of(torch.arange(count))
    kinds = kinds_of(given) if kinds is None else kinds.to(given.device)
    pool = distinct(given)
    candidates = most_candidates(kinds[pool])
    if candidates < 2:
        return judge
    places = judge.of_texts(given)
    real = r_precision(
        judge.of_pictures(pictures[rest]), places[rest], places[pool], kinds=(kinds[rest], kinds[pool]),
        candidates=candidates, seed=seed,
    )  # fmt: skip
    return replace(judge, real=real, candidates=candidates)


class _Everywhere(nn.Module):
    """Means and maxima over all places: captions say what is there, not where."""

    def forward(self, maps: Float[Tensor, "B C H W"]) -> Float[Tensor, "B 2*C"]:
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)


def _network(channels: int, side: int) -> nn.Sequential:
    """Halves the side until it is below 16, then looks for the same at all places."""
    layers: list[nn.Module] = []
    width = 32
    while side >= 16:
        layers += [nn.Conv2d(channels, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.LeakyReLU(0.2)]
        channels, width, side = width, min(2 * width, 128), side // 2
    layers += [nn.Conv2d(channels, 256, 3, 1, 1, bias=False), nn.BatchNorm2d(256), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, _Everywhere(), nn.Dropout(0.2), nn.Linear(512, JOINT))


def kinds_of(vectors: Float[Tensor, "N E"]) -> Int64[Tensor, " N"]:
    """A number for each caption vector, the same for equal ones."""
    found = np.unique(vectors.cpu().numpy(), axis=0, return_inverse=True)[1]
    return torch.from_numpy(found.reshape(-1)).to(vectors.device)


def distinct(vectors: Float[Tensor, "N E"]) -> Int64[Tensor, " M"]:
    """The rows of caption vectors that no earlier row equals, in order."""
    found = np.unique(vectors.cpu().numpy(), axis=0, return_index=True)[1]
    return torch.from_numpy(np.sort(found)).to(vectors.device)


def most_candidates(kinds: Int64[Tensor, " M"]) -> int:
    """How many candidates each picture has among captions of these kinds, its own included; `CANDIDATES` at most."""
    return min(CANDIDATES, 1 + len(kinds) - int(kinds.bincount().max()))


def caption_ranks(
    images: Float[Tensor, "N D"],
    own: Float[Tensor, "O E"],
    others: Float[Tensor, "M F"],
    *,
    kinds: tuple[Int64[Tensor, " O"], Int64[Tensor, " M"]] | None = None,
    candidates: int = CANDIDATES,
    seed: int = 0,
    block: int = 256,
) -> Retrieval:
    """Where among its candidates the own caption of each picture stands, by the cosine of their vectors.

    The candidates are the own caption and, drawn for each picture without replacement, `candidates` - 1 of the others
    that are mismatches.

    Args:
        images: Pictures in the joint space, one row each.
        own: The caption that each was drawn from, or is of; O = N.
        others: Captions to draw candidates from, each once (`distinct`); F = E = D.
        kinds: Of `own` and of `others`, such as classes: captions of another kind are mismatches. Without them it is
            those whose vector differs.
        candidates: With the own one.
        seed: Of the draws.
        block: Pictures at a time; memory grows with it, the result does not change.

    Raises:
        UserError: Numbers are not finite, shapes do not match, or a picture has too few mismatches.
    """
    for rows, name in ((images, "pictures"), (own, "captions"), (others, "other captions")):
        check_features(rows, name, varied=False)
        check_comparable(images, rows)
    if len(images) != len(own):
        raise UserError(f"{len(own)} captions of {len(images)} pictures: there is one for each")
    if candidates < 2:
        raise UserError(f"an own caption among {candidates} says nothing: give 2 candidates or more")
    images, own, others = (unit_length(rows) for rows in (images, own, others))
    random = np.random.default_rng(seed)
    nearer, equal = [], []
    for start in range(0, len(images), block):
        part = slice(start, start + block)
        strange = _mismatches(own[part], others, None if kinds is None else (kinds[0][part], kinds[1]))
        if len(short := (strange.sum(1) < candidates - 1).nonzero()):
            there = int(strange[short[0]].sum())
            raise UserError(
                f"picture {start + int(short[0])} has {there} captions that do not belong to it, and {candidates - 1} "
                "are wanted: give fewer candidates"
            )
        draws = torch.from_numpy(random.random(strange.shape)).to(images.device)
        drawn = draws.masked_fill(~strange, 2.0).topk(candidates - 1, largest=False).indices
        cosines = (images[part] @ others.T).gather(1, drawn)
        asked = (images[part] * own[part]).sum(1, keepdim=True)
        nearer.append((cosines > asked + ROUNDING).sum(1))
        equal.append(((cosines - asked).abs() <= ROUNDING).sum(1))
    return Retrieval(torch.cat(nearer), torch.cat(equal))


def _mismatches(own: Tensor, others: Tensor, kinds: tuple[Tensor, Tensor] | None) -> Bool[Tensor, "B M"]:
    if kinds is None:
        return own @ others.T < 1 - SAME
    return kinds[0][:, None] != kinds[1]


def r_precision(
    images: Float[Tensor, "N D"],
    own: Float[Tensor, "O E"],
    others: Float[Tensor, "M F"],
    *,
    kinds: tuple[Int64[Tensor, " O"], Int64[Tensor, " M"]] | None = None,
    candidates: int = CANDIDATES,
    r: int = 1,
    seed: int = 0,
) -> Interval:
    """Share of pictures whose own caption is among the `r` nearest of its candidates, with a bootstrap interval.

    At `r` = 1 the R-precision of Xu et al. 2018; ties are put in order at random. By chance it is `r` / `candidates`
    where no two candidates say the same.

    Args:
        images: See `caption_ranks`, which has the single ranks.
        own: As there.
        others: As there.
        kinds: As there.
        candidates: As there.
        r: Places that count.
        seed: As there.

    Raises:
        UserError: As there.
    """
    found = caption_ranks(images, own, others, kinds=kinds, candidates=candidates, seed=seed)
    return bootstrap(found.within(r).cpu().numpy()[:, None])


def caption_accuracy(judge: Classifier, images: Float[Tensor, "N C H W"], labels: Int64[Tensor, " M"]) -> Interval:
    """Share of pictures that a classifier takes for one of the class asked for, with a bootstrap interval.

    Args:
        judge: Of `ganvas.metrics.judges.train_classifier`, trained on real pictures of the same side.
        images: In [-1, 1].
        labels: The class that each was to show; M = N.

    Raises:
        UserError: Labels and pictures do not match.
    """
    if len(images) != len(labels):
        raise UserError(f"{len(labels)} labels of {len(images)} pictures: there is one for each")
    return bootstrap((judge.classes(images) == labels).double().cpu().numpy()[:, None])
