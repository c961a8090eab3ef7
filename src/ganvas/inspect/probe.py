"""What a discriminator has learnt about pictures: a linear classifier on its features, with few labels.

The protocol of Radford et al. 2016 (arXiv 1511.06434, section 5): activations of every convolution, max-pooled to a 4x4
grid, flattened and joined, and a linear SVM on them. Beside it stand the same features of fresh random weights, and the
pixels themselves: what is better than both, training has put there.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ganvas.discriminators import Condition
from ganvas.engine.seeding import seed_for
from ganvas.errors import UserError
from ganvas.inspect.latents import BATCH
from ganvas.inspect.subject import Drawn, NotMade, Subject
from ganvas.metrics.interval import Interval, interval
from ganvas.nn.weights import reference_scope
from ganvas.run import build
from ganvas.viz.figures import new_figure, save_figure

GRID = 4
"""Side of the grid that activations are pooled to."""
PER_CLASS = 10
"""Labelled pictures of each class."""
DRAWS = 5
"""Random choices of them."""
CLASSES = 10
PICTURES = 1200
PIXELS = 2**21
"""Of all pictures together, on a processor; it bounds the time. Sixteen times as many elsewhere."""


@dataclass(frozen=True)
class Probe:
    """Accuracies on pictures that were not trained on, with 95 % intervals over the choices of labelled ones.

    Attributes:
        trained: Of the discriminator's features.
        random: Of the same features of fresh random weights.
        pixels: Of the pixels themselves.
        chance: Share of the most frequent class among the tested pictures.
        features: Numbers in a picture's features.
        per_class: Labelled pictures of each class.
        tested: All other pictures, which are tested.
    """

    trained: Interval
    random: Interval
    pixels: Interval
    chance: float
    features: int
    per_class: int
    tested: int


def probe(
    discriminator: nn.Module,
    images: Float[Tensor, "B C H W"],
    labels: Int64[Tensor, " B"],
    per_class: int = PER_CLASS,
    seeds: Sequence[int] = range(DRAWS),
    *,
    condition: Condition | None = None,
    fresh: nn.Module | None = None,
) -> Probe:
    """Trains a linear classifier on a discriminator's features, once for each seed, and tests it on the other pictures.

    Features are standardised on the labelled pictures alone, and scaled so that a picture's have length 1 on average;
    then C = 1 means as much for few features as for many.

    Args:
        discriminator: Pictures and a condition in; what comes out is not looked at. It stays as it is.
        images: In [-1, 1].
        labels: Their classes.
        per_class: Labelled pictures of each class, drawn anew for each seed.
        seeds: Of these draws.
        condition: What a conditional discriminator is given beside the pictures. It must not tell the classes.
        fresh: The same discriminator with fresh random weights; `randomised(discriminator)` if not given.

    Raises:
        UserError: scikit-learn is missing, there is one class only, a class has not more than `per_class` pictures, or
            the discriminator has neither convolutions nor linear layers.
    """
    count = labels.bincount()
    present = count[count > 0]
    if len(present) < 2 or per_class < 1 or int(present.min()) <= per_class or not len(seeds):
        raise UserError(
            f"{per_class} labelled pictures a class need two or more classes with more pictures than that, not "
            f"{len(present)} with {int(present.min()) if len(present) else 0} or more"
        )
    fresh = randomised(discriminator) if fresh is None else fresh
    kinds = {
        "trained": activations(discriminator, images, condition),
        "random": activations(fresh, images, condition),
        "pixels": images.flatten(1).cpu().float(),
    }
    classes = labels.cpu().numpy()
    accuracies: dict[str, list[float]] = {name: [] for name in kinds}
    for seed in seeds:
        chosen = _labelled(classes, per_class, seed)
        for name, features in kinds.items():
            accuracies[name].append(_accuracy(features.numpy(), classes, chosen))
    tested = len(labels) - per_class * len(present)
    return Probe(
        **{name: interval(found) for name, found in accuracies.items()},
        chance=(int(present.max()) - per_class) / tested,
        features=kinds["trained"].shape[1],
        per_class=per_class,
        tested=tested,
    )


def activations(
    network: nn.Module, images: Float[Tensor, "B C H W"], condition: Condition | None = None
) -> Float[Tensor, "B F"]:
    """What the convolutions of a network give, max-pooled to 4x4, flattened and joined.

    Of a convolution it is the output itself, before normalisation and non-linearity. Maps smaller than 4x4 stay as they
    are. Of a network without convolutions it is what its linear layers give, all but the last. The network runs in
    eval mode and stays as it is.

    Args:
        network: Pictures and a condition in.
        images: In [-1, 1], on any device.
        condition: Of all pictures, (B, ...).

    Returns:
        float32, on the CPU, in the order in which layers are first called.

    Raises:
        UserError: There are no such layers.
    """
    layers: list[nn.Module] = [layer for layer in network.modules() if isinstance(layer, _ConvNd)]
    if not layers:
        layers.extend([layer for layer in network.modules() if isinstance(layer, nn.Linear)][:-1])
    if not layers:
        raise UserError("the network has neither convolutions nor linear layers before its last to take features from")
    device = next(network.parameters()).device
    caught: list[Tensor] = []

    def catch(layer: nn.Module, inputs: Any, output: Tensor) -> None:
        if output.ndim == 4:
            output = F.adaptive_max_pool2d(output, (min(GRID, output.shape[2]), min(GRID, output.shape[3])))
        caught.append(output.flatten(1).float().cpu())

    modes = [(module, module.training) for module in network.modules()]
    hooks = [layer.register_forward_hook(catch) for layer in layers]
    parts = []
    try:
        network.eval()
        # Layers that fold a change of resolution into their convolution are not called otherwise, and hooks not either.
        with torch.no_grad(), reference_scope():
            for start in range(0, len(images), BATCH):
                part = slice(start, start + BATCH)
                given = None if condition is None else _part(condition, part, device)
                network(images[part].to(device), given)
                parts.append(torch.cat(caught, 1))
                caught.clear()
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes:
            module.training = mode
    return torch.cat(parts)


def randomised(network: nn.Module, seed: int = 0) -> nn.Module:
    """A copy with fresh weights: normal of variance 2 / inputs (He et al. 2015), biases 0, norms as new.

    Args:
        network: Stays as it is.
        seed: Of the weights.
    """
    copied = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed_for("randomised", seed))
    with torch.no_grad():
        for module in copied.modules():
            parameters = [*module.parameters(recurse=False)]
            reset = getattr(module, "reset_parameters", None)
            if callable(reset) and all(parameter.ndim < 2 for parameter in parameters):  # a norm
                reset()
                continue
            for parameter in parameters:
                if parameter.ndim < 2:
                    parameter.zero_()
                else:
                    fresh = torch.randn(parameter.shape, generator=generator)
                    parameter.copy_(fresh * (2 / parameter[0].numel()) ** 0.5)
    return copied


def draw(subject: Subject, path: Path) -> Drawn:
    """Draws the three accuracies with their intervals.

    Raises:
        NotMade: There is no data or no checkpoint, the data has no labels or too few pictures of each, the system has
            no discriminator, or scikit-learn is missing.
    """
    discriminator = getattr(subject.system, "discriminator", None)
    if not isinstance(discriminator, nn.Module):
        raise NotMade("the system has no network named discriminator")
    images, labels = _data(subject)
    classes = subject.classes
    # No class at all: features must not be told what is to be found out.
    condition = Condition(vector=torch.zeros(len(images), classes)) if classes else None
    with torch.random.fork_rng():
        fresh = getattr(build(subject.run.settings, subject.run.device), "discriminator", None)
    try:
        found = probe(discriminator, images, labels, condition=condition, fresh=fresh)
    except (UserError, TypeError, ValueError) as error:
        raise NotMade(str(error)) from error
    kinds = {"discriminator": found.trained, "random weights": found.random, "pixels": found.pixels}
    _plot(subject, path, kinds, found.chance)
    said = "; ".join(f"{name} {_percent(value)}" for name, value in kinds.items())
    among = len({*labels.tolist()})
    caption = (
        f"Accuracy of a linear SVM with {found.per_class} labelled pictures of each of {among} classes, "
        f"on {found.tested:,} others, over {DRAWS} choices of the labelled ones (95 % intervals): {said}; the most "
        f"frequent class alone {found.chance:.1%}. Features are the {found.features:,} outputs of the discriminator's "
        "layers, convolutions max-pooled to 4x4. "
    )
    caption += (
        "This discriminator was trained with the classes of all pictures: its features may know what it was told."
        if classes
        else "The discriminator was trained on all of these pictures, without their classes."
    )
    return Drawn(caption, numbers={**asdict(found), "seeds": DRAWS})


def _data(subject: Subject) -> tuple[Tensor, Tensor]:
    """Pictures of the most frequent classes, as many of each, at most; chosen by chance, always the same."""
    data, run = subject.prepared, subject.run
    if data.labels is None:
        raise NotMade(data.unlabelled or "the data has no labels")
    size = run.config.size
    budget = min(PICTURES, PIXELS * (1 if run.device.type == "cpu" else 16) // size**2)
    frequent = [label for label in np.bincount(data.labels).argsort()[::-1][:CLASSES] if (data.labels == label).any()]
    each = budget // max(1, len(frequent))
    random = np.random.default_rng(seed_for("probed pictures", 0))
    rows = np.concatenate([random.permutation(np.flatnonzero(data.labels == label))[:each] for label in frequent])
    enough = [label for label in frequent if (data.labels[rows] == label).sum() > PER_CLASS]
    rows = np.sort(rows[np.isin(data.labels[rows], enough)])
    if len(enough) < 2:
        raise NotMade(
            f"fewer than two classes have more than {PER_CLASS} pictures among the {budget} that are looked at at this "
            "size; `ganvas.inspect.probe` takes as many as you give it"
        )
    start = (data.images.shape[1] - size) // 2
    middle = slice(start, start + size)
    pixels = torch.from_numpy(np.ascontiguousarray(data.images[rows][:, middle, middle]))
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1, torch.from_numpy(data.labels[rows])


def _labelled(classes: NDArray[np.int64], per_class: int, seed: int) -> NDArray[np.int64]:
    """Rows of the labelled pictures."""
    random = np.random.default_rng(seed_for("labelled pictures", seed))
    rows = [random.permutation(np.flatnonzero(classes == label))[:per_class] for label in np.unique(classes)]
    return np.concatenate(rows)


def _accuracy(features: NDArray[np.float32], classes: NDArray[np.int64], chosen: NDArray[np.int64]) -> float:
    """Of a classifier trained on the chosen rows, on all others."""
    try:
        from sklearn.svm import LinearSVC
    except ImportError:
        raise UserError('features are classified with scikit-learn: pip install "ganvas[analysis]"') from None
    others = np.setdiff1d(np.arange(len(classes)), chosen)
    mean, spread = features[chosen].mean(0), features[chosen].std(0)
    scale = np.where(spread > 1e-6 * np.abs(mean).clip(1e-6), spread, np.inf) * features.shape[1] ** 0.5
    classifier = LinearSVC(C=1.0, random_state=0, max_iter=5000)
    classifier.fit((features[chosen] - mean) / scale, classes[chosen])
    return float((classifier.predict((features[others] - mean) / scale) == classes[others]).mean())


def _part(condition: Condition, part: slice, device: torch.device) -> Condition:
    parts = {name: None if value is None else value[part].to(device) for name, value in vars(condition).items()}
    return Condition(**parts)


def _percent(value: Interval) -> str:
    known = value.low is not None and value.high is not None
    return f"{value.mean:.1%}" + (f" ({value.low:.1%} to {value.high:.1%})" if known else "")


def _plot(subject: Subject, path: Path, kinds: dict[str, Interval], chance: float) -> None:
    figure = new_figure(760, 260, layout="constrained")
    panel = figure.subplots()
    for place, (name, value) in enumerate(kinds.items()):
        low, high = value.low, value.high
        error = None if low is None or high is None else [[value.mean - low], [high - value.mean]]
        panel.barh(place, value.mean, 0.6, color=f"C{place}", alpha=0.7, label=name)
        panel.errorbar(value.mean, place, xerr=error, color="black", capsize=4)
    panel.axvline(chance, color="0.4", linestyle="--", linewidth=1)
    panel.set(
        yticks=range(len(kinds)), yticklabels=list(kinds), xlim=(0, 1), xlabel="accuracy (dashed: one class alone)"
    )
    panel.invert_yaxis()
    panel.grid(axis="x", alpha=0.3)
    panel.set_title(f"{subject.name}, step {subject.run.step}: a linear classifier with few labels", parse_math=False)
    save_figure(figure, path, subject.texts)
