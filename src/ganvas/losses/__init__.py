"""Adversarial losses: a discriminator, an objective and what regularises them, usable in any training loop."""

from ganvas.losses.adversarial import AdversarialLoss

__all__ = ["AdversarialLoss"]
