"""Discriminators: pictures and a condition in, a `Verdict` out."""

from ganvas.discriminators.verdict import Condition, Verdict

__all__ = ["Condition", "Verdict"]
