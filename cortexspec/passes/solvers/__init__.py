"""Fixed-step solvers: each writes `step` from `derivative`."""
