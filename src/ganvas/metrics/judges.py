"""Small networks that are trained on real pictures and then asked about generated ones.

The FCN-score of pix2pix made general: whether a network that knows real pictures recognises in a translation what it
was to show, `train_segmenter` and `segmentation_scores`. Where nobody has labelled pixels, `ganvas.metrics.label_maps`
takes the colours of the sources as labels. And the other way round, as SimGAN is measured: how good a classifier for
real pictures becomes that is trained on generated ones, `train_on`. Both train in a minute or two on one core.

Pictures are float (N, C, H, W) in [-1, 1]; networks compute where the pictures are. The same seed trains the same
network, and the global random state stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Tensor, nn

from ganvas.errors import UserError

UNLABELLED = -1
"""Class of pixels that nobody has labelled: not trained on and not counted."""
BATCH = 256
"""Pictures that a judge looks at together."""


Pixels = Float[Tensor, "N C H W"] | UInt8[Tensor, "N C H W"]
"""Pictures in [-1, 1], or bytes."""


@dataclass(frozen=True)
class Classifier:
    """A judge of whole pictures.

    Attributes:
        network: (B, C, H, W) in [-1, 1] to a logit for each class.
    """

    network: nn.Sequential

    def logits(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N K"]:
        """One for each class."""
        return _in_batches(self.network, images)

    def features(self, images: Float[Tensor, "N C H W"]) -> Float[Tensor, "N D"]:
        """What the last layer sees."""
        return _in_batches(self.network[:-1], images)

    def classes(self, images: Float[Tensor, "N C H W"]) -> Int64[Tensor, " N"]:
        """The class that each picture looks most like."""
        return self.logits(images).argmax(1)

    def accuracy_on(self, images: Float[Tensor, "N C H W"], labels: Int64[Tensor, " N"]) -> float:
        """Share of pictures whose class it names."""
        return float((self.classes(images) == labels).double().mean())


def train_classifier(
    pictures: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " M"],
    classes: int,
    *,
    seed: int = 0,
    epochs: int = 25,
    batch: int = 64,
    shift: int = 2,
    edge: float | None = None,
) -> Classifier:
    """Trains a network of two convolutions to tell classes, by Adam at 0.001, falling to 0.

    Args:
        pictures: In [-1, 1].
        labels: From 0 to `classes` - 1; M = N.
        classes: How many there are.
        seed: Of weights, order and shifts.
        epochs: How often every picture is seen. Compare judges of equally many pictures.
        batch: Pictures a step.
        shift: Pixels that pictures are moved by, at most, either way.
        edge: What moves in from outside, such as -1 for black; None is the nearest pixel.

    Raises:
        UserError: Labels and pictures do not match.
    """
    _check_labels(labels, len(pictures), classes)
    _, channels, height, width = pictures.shape
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Dropout(0.5), nn.Linear(64 * (height // 4) * (width // 4), classes),
        ).to(pictures.device)  # fmt: skip
        optimizer = torch.optim.Adam(network.parameters(), 1e-3)
        for epoch in range(epochs):
            for group in optimizer.param_groups:
                group["lr"] = 1e-3 * (1 - epoch / epochs)
            for rows in torch.split(torch.randperm(len(pictures)), batch):
                left, top = torch.randint(0, 2 * shift + 1, (2,)).tolist()
                padded = F.pad(pictures[rows], [shift] * 4, "replicate" if edge is None else "constant", edge)
                moved = padded[..., top : top + height, left : left + width]
                optimizer.zero_grad()
                F.cross_entropy(network(moved), labels[rows]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
    return Classifier(network.eval().requires_grad_(False))


Labelled = tuple[Float[Tensor, "_ _ _ _"], Int64[Tensor, " _"]]
"""Pictures and their classes."""


def train_on(
    pictures: Float[Tensor, "N C H W"],
    labels: Int64[Tensor, " M"],
    real: Labelled,
    classes: int,
    *,
    seed: int = 0,
    epochs: int = 25,
) -> float:
    """Accuracy on real pictures of a classifier that has seen these instead (Shrivastava et al. 2017, section 3).

    Args:
        pictures: What it is trained on: synthetic, refined or real.
        labels: Of these.
        real: Real pictures, none of which was trained on, and their labels.
        classes: How many there are.
        seed: See `train_classifier`.
        epochs: See `train_classifier`.

    Raises:
        UserError: As `train_classifier`.
    """
    images, truth = real
    _check_labels(truth, len(images), classes)
    return train_classifier(pictures, labels, classes, seed=seed, epochs=epochs).accuracy_on(images, truth)


def accuracies(
    arms: Mapping[str, Callable[[int], Labelled]],
    real: Labelled,
    classes: int,
    seeds: Sequence[int],
    *,
    epochs: int = 25,
) -> dict[str, list[float]]:
    """`train_on` for each arm of a comparison and each seed; entry i of every arm is of the same seed.

    Args:
        arms: By name, what gives the labelled pictures to train on for a seed: the same ones, or those of that seed's
            run. Equally many in every arm, since more pictures are more steps.
        real: See `train_on`.
        classes: How many there are.
        seeds: One classifier each.
        epochs: See `train_classifier`.

    Raises:
        UserError: As `train_classifier`, or arms differ in their number of pictures.
    """
    found: dict[str, list[float]] = {name: [] for name in arms}
    for seed in seeds:
        given = {name: arm(seed) for name, arm in arms.items()}
        counts = {name: len(labels) for name, (_, labels) in given.items()}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{name} {count}" for name, count in counts.items())
            raise UserError(f"arms are compared at equally many pictures, not {told}")
        for name, (pictures, labels) in given.items():
            found[name].append(train_on(pictures, labels, real, classes, seed=seed, epochs=epochs))
    return found


@dataclass(frozen=True)
class Segmenter:
    """A judge of pixels.

    Attributes:
        network: (B, C, H, W) in [-1, 1] to logits (B, K, H, W).
    """

    network: nn.Module

    def classes(self, images: Float[Tensor, "N C H W"]) -> Int64[Tensor, "N H W"]:
        """The class that each pixel looks most like."""
        return _in_batches(lambda part: self.network(part).argmax(1), images)


class SmallUNet(nn.Module):
    """Three resolutions, two convolutions with batch norm at each on the way down and up, skips between them.

    Args:
        channels: Of the pictures.
        classes: Of the pixels.
        width: Channels at full resolution.
    """

    def __init__(self, channels: int, classes: int, width: int = 16) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
                nn.Conv2d(outputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            )  # fmt: skip

        self.fine, self.middle, self.coarse = (
            block(channels, width),
            block(width, 2 * width),
            block(2 * width, 4 * width),
        )
        self.up_middle, self.up_fine = block(6 * width, 2 * width), block(3 * width, width)
        self.last = nn.Conv2d(width, classes, 1)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B K H W"]:
        """Logits; H and W are multiples of 4."""
        fine = self.fine(images)
        middle = self.middle(F.max_pool2d(fine, 2))
        h = self.coarse(F.max_pool2d(middle, 2))
        h = self.up_middle(torch.cat([F.interpolate(h, scale_factor=2), middle], 1))
        h = self.up_fine(torch.cat([F.interpolate(h, scale_factor=2), fine], 1))
        return self.last(h)


def train_segmenter(
    pictures: Float[Tensor, "N C H W"],
    label_maps: Int64[Tensor, "N H W"],
    classes: int,
    *,
    steps: int = 400,
    seed: int = 0,
    batch: int = 16,
) -> Segmenter:
    """Trains a small U-Net to say what each pixel shows, by Adam at 0.002, falling to 0; half of them mirrored.

    Args:
        pictures: Real ones, in [-1, 1], H and W multiples of 4.
        label_maps: From 0 to `classes` - 1, or `UNLABELLED`.
        classes: How many there are.
        steps: Of training.
        seed: Of weights, order and mirroring.
        batch: Pictures a step.

    Raises:
        UserError: Maps and pictures do not match, or pictures cannot be halved twice.
    """
    _check_labels(label_maps, len(pictures), classes, UNLABELLED)
    if label_maps.shape[1:] != pictures.shape[2:] or any(side % 4 for side in pictures.shape[2:]):
        shapes = f"{tuple(label_maps.shape[1:])} and {tuple(pictures.shape[2:])}"
        raise UserError(f"label maps and pictures have the same sides, multiples of 4 pixels, not {shapes}")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SmallUNet(pictures.shape[1], classes).to(pictures.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(network.parameters(), 2e-3)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * (1 - step / steps)
            rows = torch.randint(len(pictures), (batch,))
            mirrored = torch.rand(batch) < 0.5
            images, maps = pictures[rows], label_maps[rows]
            images = torch.where(mirrored.to(images.device)[:, None, None, None], images.flip(3), images)
            maps = torch.where(mirrored.to(maps.device)[:, None, None], maps.flip(2), maps)
            optimizer.zero_grad()
            logits = network(images.contiguous(memory_format=torch.channels_last))
            F.cross_entropy(logits, maps, ignore_index=UNLABELLED).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return Segmenter(network.eval().requires_grad_(False))


class Segmentation(NamedTuple):
    """How well pixels are recognised; all three are better when higher.

    Attributes:
        pixel_accuracy: Share of the pixels.
        class_accuracy: Mean over classes of the share of each one's own pixels.
        mean_iou: Mean over classes of intersection over union.
    """

    pixel_accuracy: float
    class_accuracy: float
    mean_iou: float


def segmentation_scores(predicted: Int64[Tensor, "N H W"], truth: Int64[Tensor, "N H W"], classes: int) -> Segmentation:
    """The three numbers of the FCN-score (Isola et al. 2017, table 1), of the pixels of all pictures together.

    Classes that are in no truth have no part in the class accuracy; those that are not predicted either have none in
    the mean IoU.

    Args:
        predicted: From 0 to `classes` - 1.
        truth: The same, or `UNLABELLED`, which is not counted.
        classes: How many there are.

    Raises:
        UserError: The two do not match, or no pixel is labelled.
    """
    if predicted.shape != truth.shape:
        raise UserError(f"label maps {tuple(predicted.shape)} cannot be compared with {tuple(truth.shape)}")
    _check_labels(truth, len(truth), classes, UNLABELLED)
    _check_labels(predicted, len(predicted), classes)
    known = truth != UNLABELLED
    if not known.any():
        raise UserError("no pixel is labelled")
    pairs = torch.bincount(truth[known] * classes + predicted[known], minlength=classes**2)
    confusion = pairs.view(classes, classes).double()
    right, of_truth, of_predicted = confusion.diagonal(), confusion.sum(1), confusion.sum(0)
    union = of_truth + of_predicted - right
    return Segmentation(
        float(right.sum() / confusion.sum()),
        float((right / of_truth)[of_truth > 0].mean()),
        float((right / union)[union > 0].mean()),
    )


def split(count: int, held_out: float, seed: int) -> tuple[Int64[Tensor, " n"], Int64[Tensor, " m"]]:
    """Numbers from 0 to `count` - 1 in two parts, each in order: to train a judge on, and to check it on.

    Args:
        count: How many there are.
        held_out: Share of the second part, from 0 to below 1, rounded down to whole ones.
        seed: Of which these are.
    """
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    held = int(count * held_out)
    return order[held:].sort().values, order[:held].sort().values


def as_seen(images: Pixels, most: int) -> Float[Tensor, "N C h w"]:
    """Pictures as a judge of at most `most` pixels a side sees them: in [-1, 1], larger ones reduced by means.

    Args:
        images: Float in [-1, 1], or bytes.
        most: Pixels a side.
    """
    if images.dtype == torch.uint8:
        images = images.float() / 127.5 - 1
    height, width = (min(side, most) for side in images.shape[2:])
    return images if images.shape[2:] == (height, width) else F.adaptive_avg_pool2d(images, (height, width))


def _in_batches(network: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    with torch.no_grad():
        return torch.cat([network(part) for part in torch.split(images, BATCH)])


def _check_labels(labels: Tensor, count: int, classes: int, least: int = 0) -> None:
    if not count or len(labels) != count:
        raise UserError(f"{len(labels)} labels of {count} pictures: there is one for each")
    if int(labels.min()) < least or int(labels.max()) >= classes:
        raise UserError(f"labels go from 0 to {classes - 1}, not from {int(labels.min())} to {int(labels.max())}")
