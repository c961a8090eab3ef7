"""Whether the object is where it was asked for: boxes and keypoints, found by networks that learnt it from real data.

`train_object_segmenter` tells the object's pixels from the background's, from masks or from boxes alone, and
`find_boxes` gives the box around them; `train_keypoint_finder` finds the places of parts. `box_iou` and
`keypoint_distance` compare them with what was asked for. A score is to be read between two others: that of the same
judge on real pictures, the best that can be expected, and that of places asked of other pictures, which is chance.

Pictures are (N, C, H, W), float in [-1, 1] or uint8, as high as wide; boxes (N, 4) and keypoints (N, K, 3) are as in
training batches: x, y, w, h from the left top corner, and x, y, visible, shares of the picture. Networks compute where
the pictures are. The same seed trains the same network, and the global random state stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor, nn

from ganvas.errors import UserError
from ganvas.metrics.judges import Pixels, Segmenter, SmallUNet, as_seen, train_segmenter

SIDE = 64
"""Pixels: larger pictures are reduced to so many a side before a judge looks at them."""
STEPS = 300
"""Of training, unless told otherwise."""
AROUND = 2
"""Pixels to either side of the likeliest one that a keypoint's place is a mean over."""


def box_iou(a: Float[Tensor, "B 4"], b: Float[Tensor, "M 4"]) -> Float64[Tensor, " B"]:
    """Intersection over union of boxes (x, y, w, h), row by row, M = B; 0 where neither has an area.

    Raises:
        UserError: The two are not of the same shape, (B, 4).
    """
    if a.shape != b.shape or a.ndim != 2 or a.shape[1] != 4:
        raise UserError(f"boxes (B, 4) are compared row by row, not {tuple(a.shape)} with {tuple(b.shape)}")
    a, b = a.double(), b.double()
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, :2] + a[:, 2:], b[:, :2] + b[:, 2:])
    common = (high - low).clamp_min(0).prod(1)
    union = a[:, 2:].prod(1) + b[:, 2:].prod(1) - common
    return torch.where(union > 0, common / union.clamp_min(1e-300), 0.0)


def box_of(masks: Bool[Tensor, "B H W"]) -> Float32[Tensor, "B 4"]:
    """The smallest box that holds all pixels of each mask; zeros where there are none."""
    edges = []
    for along in (masks.any(1), masks.any(2)):  # columns, then rows
        length = along.shape[1]
        first = along.float().argmax(1)
        last = length - along.flip(1).float().argmax(1)
        edges.append((first / length, (last - first) / length))
    (x, width), (y, height) = edges
    return torch.stack([x, y, width, height], 1) * masks.flatten(1).any(1)[:, None]


def mask_of(boxes: Float[Tensor, "B 4"], height: int, width: int) -> Bool[Tensor, "B {height} {width}"]:
    """The pixels whose centres are in each box."""
    inside = []
    for axis, length in enumerate((width, height)):
        centres = (torch.arange(length, device=boxes.device) + 0.5) / length
        low, high = boxes[:, axis, None], (boxes[:, axis] + boxes[:, axis + 2])[:, None]
        inside.append((centres >= low) & (centres < high))
    return inside[1][:, :, None] & inside[0][:, None, :]


def largest_part(masks: Bool[Tensor, "B H W"]) -> Bool[Tensor, "B H W"]:
    """Of each mask the largest set of pixels that hang together by their sides: stray pixels would stretch its box."""
    from scipy import ndimage

    found = np.zeros(masks.shape, dtype=bool)
    for one, mask in zip(found, masks.cpu().numpy(), strict=True):
        parts, count = ndimage.label(mask)
        if count:
            one[:] = parts == 1 + np.bincount(parts.ravel())[1:].argmax()
    return torch.from_numpy(found).to(masks.device)


def train_object_segmenter(
    pictures: Pixels,
    *,
    masks: Bool[Tensor, "N H W"] | None = None,
    boxes: Float[Tensor, "N 4"] | None = None,
    steps: int = STEPS,
    seed: int = 0,
    batch: int = 16,
) -> Segmenter:
    """Trains a `ganvas.metrics.judges.SmallUNet` to tell the object, class 1, from the background, 0.

    With boxes alone every pixel in the box counts as object. These are weak labels: what is found is then the box
    rather than the object, which is what boxes are compared by.

    Args:
        pictures: Real ones.
        masks: Pixels of the object, if they are known.
        boxes: Otherwise the object's box.
        steps: Of training.
        seed: Of weights, order and mirroring.
        batch: Pictures a step.

    Raises:
        UserError: Neither or both are given, or they do not match the pictures.
    """
    if (masks is None) == (boxes is None):
        raise UserError("an object is shown by masks or by boxes: give one of them")
    seen = as_seen(pictures, SIDE)
    height, width = seen.shape[2:]
    if boxes is not None:
        masks = mask_of(boxes.to(seen.device), height, width)
    elif masks is not None and masks.shape[1:] != seen.shape[2:]:
        masks = F.adaptive_avg_pool2d(masks[:, None].float(), (height, width))[:, 0] >= 0.5
    assert masks is not None
    return train_segmenter(seen, masks.long(), 2, steps=steps, seed=seed, batch=batch)


def find_boxes(judge: Segmenter, pictures: Pixels) -> Float32[Tensor, "N 4"]:
    """The box of the largest connected part that a judge takes for the object; zeros where it sees none.

    Args:
        judge: Of `train_object_segmenter`.
        pictures: Of the side that it was trained on, or such that both are above 64 pixels.
    """
    return box_of(largest_part(judge.classes(as_seen(pictures, SIDE)) == 1))


def keypoint_distance(
    found: Float[Tensor, "B K 3"], asked: Float[Tensor, "M L 3"], boxes: Float[Tensor, "N 4"] | None = None
) -> Float64[Tensor, " B"]:
    """Mean distance of keypoints from where they were asked for, of those that were asked to be visible.

    Args:
        found: Their places; whether these are visible is not looked at.
        asked: Where they should be; M = B, L = K.
        boxes: Of the object, N = B. With them the unit is its box's diagonal, without the picture's.

    Returns:
        One number a picture, NaN where no keypoint was asked for.

    Raises:
        UserError: The shapes do not match.
    """
    if found.shape != asked.shape or found.ndim != 3 or found.shape[2] != 3:
        raise UserError(
            f"keypoints (B, K, 3) are compared one by one, not {tuple(found.shape)} and {tuple(asked.shape)}"
        )
    if boxes is not None and boxes.shape != (len(found), 4):
        raise UserError(f"boxes {tuple(boxes.shape)} of {len(found)} pictures: there is one (4) for each")
    found, asked = found.double(), asked.double()
    far = (found[..., :2] - asked[..., :2]).square().sum(2).sqrt()
    there = asked[..., 2] > 0
    mean = torch.where(there, far, 0.0).sum(1) / there.sum(1)  # 0 / 0 is NaN
    return mean / (2**0.5 if boxes is None else boxes.double()[:, 2:].square().sum(1).sqrt())


@dataclass(frozen=True)
class KeypointFinder:
    """A judge of where parts are.

    Attributes:
        network: (B, C, H, W) in [-1, 1] to a map of logits for each part, (B, K, H, W).
    """

    network: nn.Module

    def find(self, pictures: Pixels) -> Float32[Tensor, "N K 3"]:
        """The place of every part, always visible: the mean of the probability around its highest point."""
        with torch.no_grad():
            return torch.cat([_places(self.network(as_seen(part, SIDE))) for part in torch.split(pictures, 256)])


def _places(maps: Float[Tensor, "B K H W"]) -> Float32[Tensor, "B K 3"]:
    height, width = maps.shape[2:]
    maps = maps - maps.amax((2, 3), keepdim=True)
    best = maps.flatten(2).argmax(2)
    row, column = best // width, best % width
    rows, columns = (torch.arange(length, device=maps.device) for length in (height, width))
    near = ((rows - row[..., None]).abs() <= AROUND)[..., :, None] & ((columns - column[..., None]).abs() <= AROUND)[
        ..., None, :
    ]
    weights = maps.exp() * near
    weights = weights / weights.sum((2, 3), keepdim=True)
    x = (weights.sum(2) * (columns + 0.5)).sum(2) / width
    y = (weights.sum(3) * (rows + 0.5)).sum(2) / height
    return torch.stack([x, y, torch.ones_like(x)], 2)


def train_keypoint_finder(
    pictures: Pixels,
    keypoints: Float[Tensor, "M K 3"],
    *,
    steps: int = STEPS,
    seed: int = 0,
    batch: int = 16,
    shift: int = 2,
) -> KeypointFinder:
    """Trains a `ganvas.metrics.judges.SmallUNet` to show, in a map for each part, where it is.

    The loss is the cross entropy of a softmax over all places, where the truth is spread over the four pixels around
    the keypoint so that their mean is its place; keypoints that are not visible have no part in it. By Adam at 0.002,
    falling to 0. Pictures are moved, not mirrored, which would exchange left and right parts.

    Args:
        pictures: Real ones.
        keypoints: Of these; M = N.
        steps: Of training.
        seed: Of weights, order and shifts.
        batch: Pictures a step.
        shift: Pixels that pictures are moved by, at most, either way; the nearest pixel moves in.

    Raises:
        UserError: Keypoints and pictures do not match, none is visible, or pictures cannot be halved twice.
    """
    if not len(pictures) or keypoints.ndim != 3 or keypoints.shape[::2] != (len(pictures), 3):
        raise UserError(f"keypoints {tuple(keypoints.shape)} of {len(pictures)} pictures: (N, K, 3) are needed")
    if not bool((keypoints[..., 2] > 0).any()):
        raise UserError("no keypoint is visible")
    seen, keypoints = as_seen(pictures, SIDE), keypoints.to(pictures.device)
    height, width = seen.shape[2:]
    if height % 4 or width % 4:
        raise UserError(f"pictures have sides of multiples of 4 pixels, not {height} x {width}")
    sides = torch.tensor([width, height], device=seen.device)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = SmallUNet(seen.shape[1], keypoints.shape[1]).to(seen.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.Adam(network.parameters(), 2e-3)
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * (1 - step / steps)
            rows = torch.randint(len(seen), (batch,))
            left, top = torch.randint(0, 2 * shift + 1, (2,)).tolist()
            moved = F.pad(seen[rows], [shift] * 4, "replicate")[..., top : top + height, left : left + width]
            places = keypoints[rows, :, :2] * sides + torch.tensor([shift - left, shift - top], device=seen.device)
            inside = (keypoints[rows, :, 2] > 0) & ((places >= 0) & (places < sides)).all(2)
            truth = _spread(places, height, width)
            optimizer.zero_grad()
            maps = network(moved.contiguous(memory_format=torch.channels_last))
            losses = -(truth * maps.flatten(2).log_softmax(2)).sum(2)
            (torch.where(inside, losses, 0.0).sum() / inside.sum().clamp_min(1)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return KeypointFinder(network.eval().requires_grad_(False))


def _spread(places: Float[Tensor, "B K 2"], height: int, width: int) -> Float[Tensor, "B K {height}*{width}"]:
    """Probabilities over pixels whose mean is each place, in pixels, moved to the outermost centres from beyond."""
    weights = []
    for axis, length in enumerate((width, height)):
        centres = torch.arange(length, device=places.device) + 0.5
        place = places[..., axis, None].clamp(0.5, length - 0.5)
        weights.append((1 - (centres - place).abs()).clamp_min(0))
    return (weights[1][..., :, None] * weights[0][..., None, :]).flatten(2)
