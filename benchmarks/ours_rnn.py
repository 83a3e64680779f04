"""The workload of `benchmarks.rnn` as CortexSpec runs it: specs/rnn.cortex, and the trainer that an experiment's `train` section uses."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rivals.program import Training
from benchmarks.rnn_workload import BETA1, BETA2, EPSILON, LEARNING_RATE, NAMES, Case, Problem

SPEC = Path(__file__).parent / "specs" / "rnn.cortex"
PATHS = {"W": "rec.weight", "V": "drive.weight", "b": "hidden.b", "U": "readout.kernel", "c": "readout.bias"}


def compiled(case: Case, problem: Problem, backend: str, gradient: str = "auto") -> Any:
    """The simulation, its parameters those of the problem."""
    import cortexspec as cs

    simulation = cs.compile(
        cs.load(SPEC),
        "rnn_with_penalty" if case.penalty else "rnn",
        arguments={"n": case.n, "n_in": case.channels, "n_out": case.classes},
        backend=backend,
        dtype=str(problem.x.dtype),
        dt=1,
        duration=case.steps,
        gradient=gradient,
    )
    raw = {path: problem.trained()[name] for name, path in PATHS.items()}
    simulation.set_parameters({**raw, **({"D": problem.D} if case.penalty else {})})
    return simulation


def program(case: Case, problem: Problem, backend: str, gradient: str = "auto") -> Training:
    """A training step: cross entropy at the end, and the circuit's penalties."""
    from cortexspec.contracts.backend import Recipe
    from cortexspec.expressions.parse import parse_expression
    from cortexspec.expressions.tree import Name
    from cortexspec.lowering.readout import Readout
    from cortexspec.runtime.compile import Wanted
    from cortexspec.runtime.given import read_inputs

    simulation = compiled(case, problem, backend, gradient)
    given = read_inputs(simulation.model, simulation.plain, {"x": problem.x, "label": problem.label}, None, fields=True)
    outputs = {"of_data": parse_expression("cross_entropy(logits[time = end], label)")}
    outputs |= {one.name: Name(one.name) for one in simulation.model.penalties}
    readout = Readout("loss", outputs, total=tuple(outputs), fields=dict(given.fields))
    trained = tuple(PATHS[name] for name in NAMES)
    loaded = simulation.load(
        Wanted(readouts=(readout,), trained=("loss",), rollout=False),
        case.steps,
        streams=given.streams,
        fields=given.fields,
        wrt={"loss": trained},
    )
    arguments = simulation.arguments(loaded, "loss", given, 0, 0)
    options = {"lr": LEARNING_RATE, "beta1": BETA1, "beta2": BETA2, "eps": EPSILON}
    trainer = loaded.simulator.trainer(Recipe(optimizer="adam", options=options, trainable=trained))

    def step() -> dict[str, float]:
        return trainer.step(arguments)

    def value_and_gradients() -> tuple[float, tuple[Any, ...]]:
        values, gradients = loaded.simulator.value_and_grad("loss", arguments, trained)
        return float(values["loss"]), tuple(gradients[path] for path in trained)

    return Training(step, value_and_gradients)


def penalty_program(case: Case, problem: Problem, backend: str, gradient: str = "auto") -> Training:
    """Only the penalty, forward and backward, by W."""
    from cortexspec.expressions.tree import Name
    from cortexspec.lowering.readout import Readout
    from cortexspec.runtime.compile import Wanted

    simulation = compiled(case, problem, backend, gradient)
    wanted = Wanted(readouts=(Readout("loss", {"loss": Name("direct")}),), trained=("loss",), rollout=False)
    loaded = simulation.load(wanted, case.steps, wrt={"loss": (PATHS["W"],)})
    inputs = {"x": np.zeros((case.channels, 1))}  # which the penalty does not read

    def value_and_gradients() -> tuple[float, tuple[np.ndarray[Any, Any], ...]]:
        values, gradients = loaded.simulator.value_and_grad("loss", inputs, (PATHS["W"],))
        return float(values["loss"]), (gradients[PATHS["W"]],)

    return Training(value_and_gradients, value_and_gradients)
