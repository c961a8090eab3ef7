"""Pictures of runs: grids, curves, what a discriminator sees."""
