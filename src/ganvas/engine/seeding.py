"""Random numbers as functions of what they are for, so that a resumed run draws the same ones again."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def seed_for(*parts: int | str) -> int:
    """A seed that depends on all of `parts` and on nothing else, on every machine.

    Args:
        *parts: What the random numbers are for, such as a run's seed, a step and an update.

    Returns:
        An integer in [0, 2^63).
    """
    digest = hashlib.blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def seed_generators(seed: int, device: torch.device) -> None:
    """Seeds PyTorch's random numbers on the processor and on `device`, as `torch.manual_seed` does on all devices.

    Of devices that are not in use that function notes down, with a stack trace, what is to be done should they ever
    be: a millisecond and some memory that never comes back, at every call.
    """
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)


def latents(seeds: Sequence[int], dim: int) -> Float[Tensor, "B Z"]:
    """Standard normal latents, each row from its own seed: picture i does not depend on its neighbours.

    Args:
        seeds: One integer a row.
        dim: Z, the length of a row.

    Returns:
        (B, Z) float32 on the CPU, where the numbers are the same whatever device the networks are on.
    """
    rows = [torch.randn(dim, generator=torch.Generator().manual_seed(seed_for("latent", seed))) for seed in seeds]
    return torch.stack(rows) if rows else torch.empty(0, dim)


def truncate(z: Float[Tensor, "*shape"], threshold: float) -> Float[Tensor, "*shape"]:
    """Moves standard normal numbers into [-threshold, threshold], keeping their order.

    BigGAN's truncation trick (Brock et al. 2019, section 3.1) draws again whatever lies outside. This reaches the
    same distribution by inverting its cumulative distribution function, so that the picture of one seed
    changes smoothly with the threshold instead of jumping to another.

    Args:
        z: Standard normal numbers, any shape.
        threshold: Where the normal is cut off, in standard deviations, at least 0: 2 keeps 95 % of its
            probability, 1 keeps 68 %, 0.5 keeps 38 %; 0 moves everything to the centre.

    Returns:
        A tensor like `z`.

    Raises:
        ValueError: If `threshold` is negative or not a number.
    """
    if not threshold >= 0:
        raise ValueError(f"truncation is a threshold of at least 0, not {threshold}")
    # float64 on the CPU: the quantile function is steep near 0 and 1, and not every device has doubles.
    share = math.erf(threshold / math.sqrt(2))
    uniform = torch.special.ndtr(z.detach().to("cpu", torch.float64))
    return torch.special.ndtri(0.5 + (uniform - 0.5) * share).to(z.device, z.dtype)
