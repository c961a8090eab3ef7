"""Training: the contract with a system, the loop, and all that keeps a run alive."""
