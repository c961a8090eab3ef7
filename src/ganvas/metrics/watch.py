"""What scores a run while it trains: the feature network, and the data's features to compare with."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from ganvas.data import DataOptions, Prepared, Sides
from ganvas.data.described import Described
from ganvas.data.reduced import Reduced
from ganvas.engine.distributed import Ranks
from ganvas.engine.system import System
from ganvas.engine.training import Training
from ganvas.metrics import networks
from ganvas.metrics.compute import check_names, compute
from ganvas.metrics.evaluate import describe, picture_protocol, reference_features
from ganvas.metrics.networks import Features
from ganvas.metrics.photos import SMALL
from ganvas.metrics.pictures import CHUNK, Choice, check_channels, drawn, features_of
from ganvas.metrics.score import Sets
from ganvas.nn.weights import weight_scope


class Watch:
    """Scores samples of a system against its training data, each time in the same way.

    The same pictures of the data, the same latents and the same conditions each time: what changes is the system.
    """

    def __init__(
        self,
        prepared: Prepared | Sides | Reduced | Described,
        size: int,
        options: DataOptions,
        training: Training,
        ranks: Ranks,
    ) -> None:
        """Loads the feature network.

        Args:
            prepared: The data; of two sides the sources of its pictures are translated, of photos the small versions
                of their middles; captions, boxes and keypoints are drawn from.
            size: Side of the system's pictures, in pixels.
            options: How it was read, and where its features may be kept.
            training: What is to be scored, and how.
            ranks: This process among the others.

        Raises:
            UserError: If the network cannot be had or does not see such pictures, or there is no such metric.
        """
        check_names(training.score_metrics)
        self.network = networks.find(training.score_features, device=ranks.device)
        most = training.score_samples
        if isinstance(prepared, Sides):
            self.real = Choice.of_sides(prepared, most, 0, size)
        elif isinstance(prepared, Reduced):
            self.real = Choice.of_photos(prepared, most, 0, size)
        elif isinstance(prepared, Described):
            self.real = Choice.of_described(prepared, most, 0, size)
        else:
            self.real = Choice.draw(prepared, most, 0, size)
        check_channels(self.real)
        self.options = options
        self.training = training
        self.ranks = ranks
        self.theirs: Features | None = None
        self.latest: float | None = None

    def cost(self) -> float:
        """Seconds that a score will take, from the last one; before the first, from one chunk of pictures."""
        if self.latest is None:
            start = time.perf_counter()
            self.network.features(self.real(range(min(CHUNK, len(self.real)))))
            chunk = time.perf_counter() - start
            pictures = self.training.score_samples + len(self.real)
            self.latest = chunk * pictures / min(CHUNK, len(self.real)) / self.ranks.world
        return self.latest

    def score(
        self, system: System, autocast: Callable[[], AbstractContextManager[object]], about: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Scores a system that is ready to sample; all processes together.

        Args:
            system: With its averaged weights in place.
            autocast: Makes the context that it computes in.
            about: What the protocol says about the samples.

        Returns:
            `n`, `scores` and `flags`, JSON types.
        """
        start = time.perf_counter()
        n, training = self.training.score_samples, self.training
        if self.theirs is None:
            self.real = self.real.like(system)
            self.theirs = reference_features(self.network, self.real, 0, self.options, self.ranks)
        pictures = drawn(system, self.real.conditions, 0, None, autocast)
        with weight_scope():  # the weights do not change between chunks
            ours = features_of(self.network, pictures, n, self.ranks)
        sources: dict[str, Any] = {}
        if self.real.sources is not None:
            sources = {"translated": describe(self.real.sources)}
        elif self.real.scale > 1:
            sources = {"small": SMALL.format(scale=self.real.scale)}
        sources |= self.real.drawn_from()
        protocol = {
            "samples": {"n": n, "seed": 0, "truncation": None, **sources, **about},
            "reference": describe(self.real),
            "pictures": picture_protocol(self.real, self.options),
        }
        sets = Sets(self.network, ours, self.theirs, pictures, self.real, protocol, self.ranks)
        scores, flags = compute(training.score_metrics, sets, strict=False)
        self.latest = time.perf_counter() - start
        return {"n": n, "scores": {name: score.to_json() for name, score in scores.items()}, "flags": flags}
