"""The workload as CortexSpec runs it: specs/cmc_ode.cortex, compiled and trained as a user would.

torch: the module's forward, a loss, `backward()`. JAX: `value_and_grad` of a loss of `apply`, jitted, by the parameters as
one vector (`jax.flatten_util.ravel_pytree`): each array that a jitted call gives back costs some microseconds, and the
spec names 16 parameters where the rivals have four arrays.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.rivals.program import Program
from benchmarks.workload import COUPLINGS, DT, POPULATIONS, STEPS, Array, Case, Parameters

SPEC = Path(__file__).parent / "specs" / "cmc_ode.cortex"
OUTPUT = "sp[time = end]"


def compiled(case: Case, backend: str) -> Any:
    """The simulator for one number of regions."""
    import cortexspec as cs

    return cs.compile(
        cs.load(SPEC),
        "cmc_ode",
        arguments={"regions": case.regions},
        backend=backend,
        dtype="float32",
        solver="euler",
        dt=f"{DT} ms",
        duration=f"{DT * STEPS} ms",
    )


# ---------------------------------------------------------------- names and axes


def by_name(parameters: Parameters) -> dict[str, Array]:
    """The rivals' arrays under the names that the spec gives its parameters, an array [R] each."""
    rates = {f"V.{name}.κ": parameters.kappa[:, p] for p, name in enumerate(POPULATIONS)}
    strengths = {f"V.{name}": parameters.gamma[:, k] for k, (name, *_) in enumerate(COUPLINGS)}
    return rates | strengths | {"W": parameters.W, "a": parameters.a}


def as_arrays(named: Mapping[str, Array]) -> tuple[Array, Array, Array, Array]:
    """Inverse of `by_name`: κ [R, 4], γ [R, 10], W, a."""
    kappa = np.stack([named[f"V.{name}.κ"] for name in POPULATIONS], 1)
    gamma = np.stack([named[f"V.{name}"] for name, *_ in COUPLINGS], 1)
    return kappa, gamma, named["W"], named["a"]


def arranged(module: Any, case: Case, start: tuple[Array, Array]) -> dict[str, Array]:
    """The start [B, R, 4] with its axes in the order of the module's layout.

    Axes are told apart by their role and size: the number of regions is never 4.
    """
    inputs = {value.name: value.type for value in module.function("rollout").inputs}
    result: dict[str, Array] = {}
    for name, array in zip(("v0", "w0"), start, strict=True):
        axes = {axis.name: axis for axis in inputs[name].axes}
        places = [_place(axes[axis], case, module.sizes) for axis in module.layout.sort(tuple(axes))]
        result[name] = np.ascontiguousarray(array.transpose(places))
    return result


def _place(axis: Any, case: Case, sizes: Mapping[str, int]) -> int:
    if axis.role == "sample":
        return 0
    return 1 if axis.size.bind(sizes).fixed == case.regions else 2


def sample_first(module: Any, case: Case) -> Callable[[Any], Any]:
    """What turns the output into [B, R]. The population's own axis, of one neuron, goes."""
    function = module.function("rollout")
    output = function.outputs[function.output_names.index(OUTPUT)].type
    first = module.layout.sort(output.names)[0]
    is_sample = next(axis for axis in output.axes if axis.name == first).role == "sample"
    if is_sample:
        return lambda x: x.reshape(case.batch, case.regions)
    return lambda x: x.reshape(case.regions, case.batch).T


# ---------------------------------------------------------------- the two programs


def torch_program(case: Case, parameters: Parameters, start: tuple[Array, Array]) -> Program:
    import torch

    circuit = compiled(case, "torch").module
    ir = circuit.bound.module
    inputs = {name: torch.from_numpy(array) for name, array in arranged(ir, case, start).items()}
    trained = dict(circuit.named_parameters())
    with torch.no_grad():
        for name, array in by_name(parameters).items():
            trained[name].copy_(torch.from_numpy(array))
    turn = sample_first(ir, case)
    leaves = tuple(trained.values())

    def forward() -> torch.Tensor:
        with torch.no_grad():
            return turn(circuit(**inputs)[OUTPUT])

    def step() -> torch.Tensor:
        for leaf in leaves:
            leaf.grad = None
        loss = circuit(**inputs)[OUTPUT].square().mean()
        loss.backward()
        return loss

    def value_and_gradients() -> tuple[float, tuple[Array, ...]]:
        value = step().item()
        found = {n: np.zeros(tuple(p.shape)) if p.grad is None else p.grad.numpy() for n, p in trained.items()}
        return value, as_arrays(found)

    return Program(forward, step, value_and_gradients)


def jax_program(case: Case, parameters: Parameters, start: tuple[Array, Array]) -> Program:
    import jax
    import jax.numpy as jnp
    from jax.flatten_util import ravel_pytree

    circuit = compiled(case, "jax").module
    ir = circuit.bound.module
    inputs = {name: jnp.asarray(array) for name, array in arranged(ir, case, start).items()}
    trained, named = ravel_pytree({name: jnp.asarray(array) for name, array in by_name(parameters).items()})
    turn = sample_first(ir, case)

    def loss(trained: jax.Array, inputs: dict[str, jax.Array]) -> jax.Array:
        return jnp.mean(circuit.apply(named(trained), inputs)[OUTPUT] ** 2)

    run = jax.jit(lambda trained, inputs: turn(circuit.apply(named(trained), inputs)[OUTPUT]))
    train = jax.jit(jax.value_and_grad(loss))

    def forward() -> jax.Array:
        return run(trained, inputs).block_until_ready()

    def step() -> tuple[jax.Array, jax.Array]:
        return jax.block_until_ready(train(trained, inputs))

    def value_and_gradients() -> tuple[float, tuple[Array, ...]]:
        value, gradient = step()
        return float(value), as_arrays({name: np.asarray(g) for name, g in named(gradient).items()})

    return Program(forward, step, value_and_gradients)
