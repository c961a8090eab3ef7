"""A judge of digits for experiments: a small convolutional network, trained on `digits:test`.

No GAN here is trained on those 1,000 pictures, so the judge has seen none of what a GAN may have copied. How good it is
on the 4,000 pictures of `digits:train`, which it was not trained on, stands beside every verdict.
"""

from __future__ import annotations

from dataclasses import dataclass

from findings import real_pictures
from ganvas.metrics.judges import Classifier, train_classifier

EPOCHS = 25


@dataclass(frozen=True)
class Judge(Classifier):
    """A classifier of digits, (B, 1, H, W) in [-1, 1] to ten logits.

    Attributes:
        accuracy: On the pictures of `digits:train`.
    """

    accuracy: float


def train_judge(size: int, epochs: int = EPOCHS) -> Judge:
    """Trains the judge on pictures of a size, always the same; about 15 seconds on one core."""
    found = train_classifier(*real_pictures("digits:test", size), 10, epochs=epochs, edge=-1)
    return Judge(found.network, found.accuracy_on(*real_pictures("digits:train", size)))
