"""Augmentations that generator and discriminator both see."""

from ganvas.augment.diffaugment import DiffAugment

__all__ = ["DiffAugment"]
