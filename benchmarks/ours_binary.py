"""The workload of `benchmarks.binary` as CortexSpec runs it: specs/binary.cortex, compiled and run as a user would."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.binary_workload import Case, Network, Program, scale_of
from benchmarks.rivals.our_bits import first_states

SPEC = Path(__file__).parent / "specs" / "binary.cortex"
STATES = "cells.x"
MEASURE = "flux(cells.x, pooled = true)"


def compiled(case: Case, backend: str) -> Any:
    """The simulation of a case. Weights, wiring and states depend on the seed alone, whatever the backend."""
    import cortexspec as cs

    circuit, arguments = "dense", {"n": case.neurons, "scale": scale_of(case)}
    if case.density < 1:
        circuit, arguments = "sparse", {**arguments, "density": case.density}
    return cs.compile(
        cs.load(SPEC), circuit, arguments=arguments, backend=backend, dtype="float32", dt=1, duration=case.steps
    )


def network(case: Case, simulation: Any) -> Network:
    """What the rivals run."""
    parameters, buffers = simulation.parameters(), simulation.buffers()
    b = parameters["cells.b"].astype(np.float32)
    if "W" in parameters:
        W = parameters["W"].astype(np.float32)
    else:
        W = np.zeros((len(b), len(b)), np.float32)
        W[buffers["cells_to_cells.post"], buffers["cells_to_cells.pre"]] = parameters["cells_to_cells.weight"]
    return Network(W, b, first_states(case.neurons, case.replicas))


def program(case: Case, simulation: Any) -> Program:
    """A run of all steps, of which the last states are read, or the flux that is estimated from the transitions."""
    if case.histogram:
        return _measured(case, simulation)
    backend = simulation.settings.backend
    return {"jax": _jax, "torch": _torch, "interpreter": _interpreter}[backend](case, simulation)


def _measured(case: Case, simulation: Any) -> Program:
    def run() -> Any:
        return simulation.measure({"flux": MEASURE}, duration=case.steps, trials=case.replicas)["flux"]

    return Program(run, flux=run)


def _jax(case: Case, simulation: Any) -> Program:
    import jax
    import jax.numpy as jnp

    circuit = simulation.module
    name, inputs = f"{STATES}[time = end]", {"trial": jnp.arange(case.replicas)}
    parameters, buffers = circuit.init(), circuit.buffers()

    def run() -> Any:
        return jax.block_until_ready(circuit.apply(parameters, inputs, buffers)[name])

    return Program(run, lambda: np.asarray(run()))


def _torch(case: Case, simulation: Any) -> Program:
    import torch

    circuit = simulation.module
    name, trial = f"{STATES}[time = end]", torch.arange(case.replicas)

    @torch.inference_mode()
    def run() -> Any:
        return circuit(trial=trial)[name]

    return Program(run, lambda: run().numpy())


def _interpreter(case: Case, simulation: Any) -> Program:
    def run() -> Any:
        return simulation.simulate(record=f"{STATES}[time = end]", trials=case.replicas)[STATES]

    return Program(run, lambda: run().values.T)
