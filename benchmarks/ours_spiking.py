"""The workload of `benchmarks.spiking` as CortexSpec runs it: specs/lif.cortex, compiled and simulated as a user would."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.spiking_workload import DRIVE, DT, EXCITATORY, INHIBITORY, NEURONS, Case, Network, Program, rate_of

SPEC = Path(__file__).parent / "specs" / "lif.cortex"
FIRED = "cells.fired[time = end]"


def compiled(case: Case, backend: str, dtype: str = "float32") -> Any:
    """The simulation of a case. Wiring, weights and start depend on the seed alone."""
    import cortexspec as cs

    inhibitory = case.degree // 5
    arguments = {
        "N_E": EXCITATORY,
        "N_I": INHIBITORY,
        "K_E": case.degree - inhibitory,
        "K_I": inhibitory,
        "J": f"{case.jump} mV",
        "g": case.inhibition,
        "μ": f"{DRIVE} mV",
    }
    circuit = "each" if case.each else "shared"
    return cs.compile(
        cs.load(SPEC), circuit, arguments=arguments, backend=backend, dtype=dtype, dt=f"{DT} ms", solver="exact", seed=1
    )


def network(case: Case, simulation: Any) -> Network:
    """What the rivals run: both projections as one, by source."""
    parameters, buffers = simulation.parameters(), simulation.buffers()
    pre, post, weight = [], [], []
    for name, first, jump in (("excitation", 0, case.jump), ("inhibition", EXCITATORY, -case.inhibition * case.jump)):
        pre.append(np.asarray(buffers[f"{name}.pre"]) + first)
        post.append(np.asarray(buffers[f"{name}.post"]))
        count = INHIBITORY if first else EXCITATORY
        weight.append(parameters[f"{name}.weight"] if case.each else np.full(count, jump))
    counts = np.bincount(np.concatenate(pre), minlength=NEURONS)
    rows = np.concatenate([[0], np.cumsum(counts)])
    start = simulation.simulate(duration="0 ms", record="cells.v[time = end]")["cells.v"].values.reshape(-1)
    return Network(
        rows, np.concatenate(post), np.concatenate(weight).astype(np.float32), start.astype(np.float32), DRIVE
    )


def program(case: Case, simulation: Any) -> Program:
    duration = f"{case.steps * DT} ms"

    def run() -> Any:
        return simulation.simulate(duration=duration, record=FIRED)

    return Program(run, lambda: rate_of(run()["cells.fired"].values, case))
