"""Scores of generated pictures, each named after its feature network and protocol."""
