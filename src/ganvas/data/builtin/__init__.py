"""Pictures that come with packages and need no download: one file for each, named as its users name it.

Each has `open_source(parts: str, options: DataOptions) -> Source`; `parts` is what follows the colon.
"""
