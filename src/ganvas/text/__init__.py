"""Captions as vectors.

`encoders.py` is the networks that read sentences, `embeddings.py` what they made of the captions of data, computed once
and kept, or read from a user's file.
"""
