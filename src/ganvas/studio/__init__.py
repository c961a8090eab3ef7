"""The studio: pages in a browser to watch, play with, compare and judge runs."""

from ganvas.studio.serving import serve

__all__ = ["serve"]
