"""Translating pictures of any size: files, folders and zips through a run that turns one side into the other.

`translator.py` fits pictures to the network, `tiles.py` takes large ones apart and puts them together again,
`reading.py` and `writing.py` are files with what they say about themselves, `files.py` is what goes where, and
`command.py` is `ganvas.translate`.
"""
