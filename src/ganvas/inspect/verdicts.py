"""What a discriminator says of pictures, and numbers that sum it up. Pure functions of networks and tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor, nn

from ganvas.discriminators import Condition, Verdict


def verdicts(
    discriminator: nn.Module, images: Float[Tensor, "B C H W"], condition: Condition | None = None
) -> tuple[Float[Tensor, " B"] | None, Float[Tensor, "B H W"] | None]:
    """A discriminator's logits, in eval mode and without gradients; nothing of it changes, spectral norms included.

    Args:
        discriminator: Pictures and a condition in, a `Verdict` out.
        images: In [-1, 1], on its device.
        condition: Of the pictures.

    Returns:
        The first head with one logit a picture, and the first with one a pixel, each float32 on the CPU, or None
        where there is no such head. For the U-Net these are the encoder's and the decoder's.

    Raises:
        TypeError: What came out is no `Verdict`.
    """
    modes = [(module, module.training) for module in discriminator.modules()]
    try:
        discriminator.eval()  # in training mode a forward pass advances the power iteration of spectral norms
        with torch.no_grad():
            verdict = discriminator(images, condition)
    finally:
        for module, mode in modes:
            module.training = mode
    if not isinstance(verdict, Verdict):
        raise TypeError(f"the discriminator answers with a {type(verdict).__name__}, not with a Verdict")
    heads = [head.float().cpu() for head in verdict.heads.values()]
    batch, _, height, width = images.shape
    encoder = next((head for head in heads if head.shape == (batch,)), None)
    decoder = next((head[:, 0] for head in heads if head.shape == (batch, 1, height, width)), None)
    return encoder, decoder


def localisation(
    decoder_map: Float[Tensor, "B H W"], mask: Float[Tensor, "B 1 H W"] | Float[Tensor, "B H W"]
) -> Float[Tensor, " B"]:
    """How well the decoder finds the real part of CutMix pictures: mean intersection over union of both classes.

    A pixel is predicted real where sigmoid(logit) > 1/2. The IoU of a class is |predicted and true| / |predicted or
    true|; the result is the mean over the classes real and fake, without a class that is neither predicted nor true
    anywhere. A map that says real everywhere reaches half the real share of the picture, not all of it.

    Args:
        decoder_map: Logits.
        mask: The CutMix mask M, 1 = real.

    Returns:
        One number a picture: 1 is perfect, 0 inverted.
    """
    truth = mask.reshape(decoder_map.shape).to(decoder_map.device) > 0.5
    predicted = decoder_map > 0
    scores = torch.stack([_iou(predicted, truth), _iou(~predicted, ~truth)])  # (2, B)
    return scores.nanmean(0)


def _iou(predicted: Bool[Tensor, "B H W"], truth: Bool[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """Intersection over union of one class; NaN where it is in neither."""
    return (predicted & truth).sum((1, 2)) / (predicted | truth).sum((1, 2))


@dataclass(frozen=True)
class Disagreement:
    """How encoder and decoder agree about the same pictures.

    Attributes:
        n: Number of pictures.
        share: Of pictures that one calls real, logit > 0, and the other does not.
        pearson: Correlation of the logits; NaN where one of the two is constant.
        spearman: Correlation of their ranks, ties at their mean rank; NaN likewise.
    """

    n: int
    share: float
    pearson: float
    spearman: float


def disagreement(encoder: Float[Tensor, " B"], decoder: Float[Tensor, " B"]) -> Disagreement:
    """Compares the encoder's logits with the decoder's, averaged over the pixels of each picture.

    Args:
        encoder: A logit a picture.
        decoder: The mean logit of a picture's pixels.
    """
    encoder, decoder = encoder.double(), decoder.double()
    share = ((encoder > 0) != (decoder > 0)).double().mean()
    return Disagreement(
        len(encoder), float(share), _correlation(encoder, decoder), _correlation(ranks(encoder), ranks(decoder))
    )


def separation(real: Float[Tensor, " R"], fake: Float[Tensor, " F"]) -> float:
    """Share of pairs in which the real picture has the larger logit, ties count half: the area under the ROC curve.

    It needs no line between real and fake. A discriminator trained with CutMix puts that line elsewhere than at 0,
    because most of what its encoder is shown counts as fake.

    Args:
        real: A logit for every real picture.
        fake: A logit for every generated picture.

    Returns:
        1 if they are told apart without fail, 1/2 if not at all.
    """
    fake = fake.sort().values
    below, not_above = (torch.searchsorted(fake, real.contiguous(), right=right) for right in (False, True))
    return float((below + not_above).double().mean() / (2 * len(fake)))


def _correlation(a: Float[Tensor, " B"], b: Float[Tensor, " B"]) -> float:
    """Pearson's; NaN where one side is constant."""
    if (a == a[:1]).all() or (b == b[:1]).all():  # rounding would turn 0 / 0 into a number
        return float("nan")
    return float(torch.corrcoef(torch.stack([a, b]))[0, 1])


def ranks(values: Float[Tensor, " B"]) -> Float64[Tensor, " B"]:
    """Ranks from 0 up, ties at the mean of the ranks they share; float64."""
    from scipy import stats

    return torch.from_numpy(stats.rankdata(values.numpy())) - 1
