"""Layers and blocks that two or more systems share."""
