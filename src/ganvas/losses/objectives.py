"""What discriminator and generator minimise, as functions of logits, element by element.

Larger logits mean more real. BCE(l, 1) = softplus(-l) and BCE(l, 0) = softplus(l).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch.nn.functional as F
from torch import Tensor

ObjectiveName = Literal["minimax", "non-saturating", "hinge", "least-squares", "wasserstein", "relativistic"]

Elementwise = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Objective:
    """Elementwise losses, all to be minimised; each takes logits of any shape and returns the same shape.

    Attributes:
        real: The discriminator's, on logits of real pictures.
        fake: The discriminator's, on logits of generated pictures.
        generator: The generator's, on logits of its own pictures.
        relative: Logits are compared in pairs, real minus fake, instead of each with zero.
    """

    real: Elementwise
    fake: Elementwise
    generator: Elementwise
    relative: bool = False


def _bce_one(logits: Tensor) -> Tensor:
    return F.softplus(-logits)


def _bce_zero(logits: Tensor) -> Tensor:
    return F.softplus(logits)


_OBJECTIVES: dict[ObjectiveName, Objective] = {
    # Goodfellow et al. 2014, eq. 1: the generator minimises log(1 - D(G(z))) = -softplus(l).
    "minimax": Objective(_bce_one, _bce_zero, lambda logits: -F.softplus(logits)),
    # The same, section 3, last paragraph: the generator maximises log D(G(z)).
    "non-saturating": Objective(_bce_one, _bce_zero, _bce_one),
    # Lim & Ye 2017, arXiv 1705.02894; Brock et al. 2019.
    "hinge": Objective(lambda logits: F.relu(1 - logits), lambda logits: F.relu(1 + logits), lambda logits: -logits),
    # Mao et al. 2017, arXiv 1611.04076, eq. 9: targets 1 for real, 0 for fake, 1 for the generator.
    "least-squares": Objective(
        lambda logits: 0.5 * (logits - 1) ** 2,
        lambda logits: 0.5 * logits**2,
        lambda logits: 0.5 * (logits - 1) ** 2,
    ),
    # Arjovsky et al. 2017, arXiv 1701.07875; needs a gradient penalty or another Lipschitz constraint.
    "wasserstein": Objective(lambda logits: -logits, lambda logits: logits, lambda logits: -logits),
    # Jolicoeur-Martineau 2018, arXiv 1807.00734, section 4.1; Huang et al. 2024 (R3GAN), eq. 2.
    "relativistic": Objective(_bce_one, _bce_zero, _bce_one, relative=True),
}


def objective(name: ObjectiveName) -> Objective:
    """The objective of that name.

    Raises:
        ValueError: There is none.
    """
    if name not in _OBJECTIVES:
        raise ValueError(f"no objective {name!r}; there are {', '.join(get_args(ObjectiveName))}")
    return _OBJECTIVES[name]
