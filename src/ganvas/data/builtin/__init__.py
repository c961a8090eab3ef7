"""Data that comes with packages or is made on the spot, without a download: one file each, named as its users name it.

Each of pictures has `open_source(parts: str, options: DataOptions) -> Source`, each of points
`open_points(parts: str) -> Points`; `parts` is what follows the colon.
"""
