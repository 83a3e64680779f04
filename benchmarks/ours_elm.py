"""The workload of `benchmarks.elm` as CortexSpec runs it: specs/elm.cortex, its neuron that of plugin `elm`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.elm_workload import BRANCHES, NAMES, SYNAPSES, N, Problem, Program, frames

SPEC = Path(__file__).parent / "specs" / "elm.cortex"
LOSS = "mean((hidden.a - 1)^2)"
PATHS = {
    "W1": "hidden.W_1", "c1": "hidden.c_1", "W2": "hidden.W_2", "c2": "hidden.c_2", "Wy": "hidden.W_y", "b": "hidden.b_out",
    "w": "wires.weight",
}  # fmt: skip


def compiled(backend: str, steps: int, dtype: str, segment: int | None = None) -> Any:
    """The simulation. With `segment` the reverse pass keeps one state in so many steps."""
    import cortexspec as cs
    from cortexspec.runtime.registry import load_backend

    more: dict[str, Any] = {}
    if segment is not None:
        more["pipeline"] = (*load_backend(backend).pipeline, ("checkpoint", {"segment": segment}))
    return cs.compile(
        cs.load(SPEC), "layer", backend=backend, dtype=dtype, dt=1, duration=steps, gradient="native", **more
    )


def drawn(steps: int, dtype: str) -> Problem:
    """What the spec draws, whatever the backend."""
    simulation = compiled("interpreter", steps, dtype)
    parameters, buffers = simulation.parameters(), simulation.buffers()
    by_target = _by_target(buffers["wires.post"])
    arrays = {name: np.asarray(parameters[path], dtype) for name, path in PATHS.items()}
    arrays["w"] = arrays["w"][by_target]
    tau = np.logspace(-1, 2, arrays["c2"].shape[1])
    return Problem(**arrays, pre=np.asarray(buffers["wires.pre"])[by_target], tau=tau, x=frames(steps, dtype))


def _by_target(post: Any) -> Any:
    """The connections of each branch [N*branch, synapse]."""
    return np.argsort(post, kind="stable").reshape(N * BRANCHES, SYNAPSES)


def program(problem: Problem, backend: str, segment: int | None = None) -> Program:
    from cortexspec.expressions.parse import parse_expression
    from cortexspec.lowering.readout import Readout
    from cortexspec.runtime.compile import Wanted
    from cortexspec.runtime.given import read_inputs

    steps, trained = problem.x.shape[1], tuple(PATHS[name] for name in NAMES)
    simulation = compiled(backend, steps, str(problem.x.dtype), segment)
    given = read_inputs(simulation.model, simulation.plain, {"x": problem.x}, None, fields=True)
    readout = Readout("loss", {"loss": parse_expression(LOSS)}, fields=dict(given.fields))
    wanted = Wanted(readouts=(readout,), trained=("loss",), rollout=False)
    loaded = simulation.load(wanted, steps, streams=given.streams, fields=given.fields, wrt={"loss": trained})
    arguments = simulation.arguments(loaded, "loss", given, 0, 0)
    simulator, by_target = loaded.simulator, _by_target(simulation.buffers()["wires.post"])

    def step() -> Any:
        return simulator.value_and_grad("loss", arguments, trained)

    def value_and_gradients() -> tuple[float, dict[str, Any]]:
        values, gradients = step()
        found = {name: np.asarray(gradients[PATHS[name]]) for name in NAMES}
        return float(values["loss"]), {**found, "w": found["w"][by_target]}

    size = _jax_bytes(simulator, arguments, trained) if backend == "jax" else None
    return Program(lambda: simulator.call("loss", arguments), step, value_and_gradients, size)


def _jax_bytes(simulator: Any, arguments: Any, trained: Sequence[str]) -> int:
    """What XLA allots to a training step beside what it is given and gives."""
    circuit = simulator.module
    names = circuit.table["loss"][1]
    given = dict(zip(names, circuit.arguments("loss", arguments, simulator.params, simulator.state), strict=True))
    leaves = {name: value for name, value in given.items() if name in trained}
    others = {name: value for name, value in given.items() if name not in trained}
    compiled = circuit.gradient("loss", tuple(leaves), "loss").lower(leaves, others).compile()
    return int(compiled.memory_analysis().temp_size_in_bytes)
