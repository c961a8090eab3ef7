"""The pages, each a file: what it is for, and what its script can ask for."""
