"""Fixed points of a circuit's equations, its Jacobian there, and the spectrum: from the IR function `derivative` and its adjoint."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.interpreter.interpreter import run
from cortexspec.ir.module import Function, Module
from cortexspec.ir.op import Array, Context
from cortexspec.passes.differentiate import forward_and_backward
from cortexspec.passes.remove_dead import remove_dead

_SAME = 1e-6  # two fixed points closer than this, relative to the largest state, are one


@dataclass(frozen=True, slots=True)
class Place:
    """One element of the state: its variable's path and its index there, in the layout's order of axes."""

    state: str
    index: tuple[int, ...]

    def __str__(self) -> str:
        return self.state if not any(self.index) else f"{self.state}[{', '.join(map(str, self.index))}]"


@dataclass(frozen=True, slots=True)
class Equilibrium:
    """A fixed point: the state there, the Jacobian, its eigenvalues. `stable`: all real parts below 0."""

    state: Mapping[str, Array]
    jacobian: Array
    eigenvalues: Array
    residual: float

    @property
    def stable(self) -> bool:
        return bool(self.eigenvalues.real.max() < 0)


class Flow:
    """The vector field of a module as a function of one flat vector.

    `values` has parameters (raw), buffers and inputs by name, axes in the layout's order; the sample axis has size 1.
    Everything is float64, on the interpreter. Units: states in coherent units, time in ms (or steps), so eigenvalues
    are in 1/ms.
    Raises: SpecError CS700 where the circuit has no continuous equations.
    """

    def __init__(self, module: Module, values: Mapping[str, Array], sizes: Mapping[str, int]):
        if "derivative" not in module.functions:
            raise SpecError(
                [Diagnostic("CS700", "the circuit has no differential equations: it has no fixed points to find")]
            )
        self.module = module
        self.derivative: Function = _slopes_alone(module)
        self.sizes = {**sizes, **{axis.size.terms[0][0][0]: 1 for axis in _sample_axes(module) if axis.size.symbols}}
        context = Context(self.sizes, module.layout, np.dtype("float64"))
        self.states = {s.value.name: context.shape(s.value.type) for s in module.states}
        self.slopes = [name for name in self.derivative.output_names if name in self.states]
        others = sorted(set(self.states) - set(self.slopes))
        if others:
            raise SpecError(
                [
                    Diagnostic(
                        "CS700",
                        f"`{others[0]}` changes in steps (`<-`): fixed points are those of differential equations",
                    )
                ]
            )
        self.values = {value.name: values[value.name] for value in self.derivative.inputs if value.name in values}
        self.values.setdefault("t", np.zeros(()))
        read = [value.name for value in self.derivative.inputs if value.name in self.states]
        self._forward, self._backward = forward_and_backward(self.derivative, read)
        self._read = read

    @property
    def places(self) -> list[Place]:
        """The elements of the flat vector in order."""
        return [Place(name, index) for name in self.slopes for index in np.ndindex(*self.states[name])]

    def unpack(self, flat: Array) -> dict[str, Array]:
        """The flat vector [n] as one array a state."""
        result: dict[str, Array] = {}
        place = 0
        for name in self.slopes:
            shape = self.states[name]
            size = int(np.prod(shape, dtype=int))
            result[name] = flat[place : place + size].reshape(shape)
            place += size
        return result

    def pack(self, state: Mapping[str, Array]) -> Array:
        """One array a state as the flat vector [n]."""
        return np.concatenate([np.broadcast_to(state[name], self.states[name]).reshape(-1) for name in self.slopes])

    def __call__(self, flat: Array) -> Array:
        """The slope [n] at a state [n]."""
        return self.pack(self._run(self.derivative, self.unpack(flat)))

    def jacobian(self, flat: Array) -> Array:
        """[n, n]: row i is how slope i changes with each state. Exact to rounding: one reverse sweep a row."""
        state = self.unpack(flat)
        forward = self._run(self._forward, state)
        residuals = {name: forward[name] for name in self._forward.output_names[len(self.derivative.outputs) :]}
        rows: list[Array] = []
        for place in np.eye(flat.size):
            seeds = {f"d:{name}": array for name, array in self.unpack(place).items()}
            back = self._run(self._backward, state, {**residuals, **seeds})
            gradient = {name: back[f"grad:{name}"] for name in self._read}
            rows.append(self.pack({name: gradient.get(name, np.zeros(self.states[name])) for name in self.slopes}))
        return np.array(rows)

    def _run(
        self, function: Function, state: Mapping[str, Array], more: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        inputs = {**self.values, **state, **(more or {})}
        given = {value.name: self._fitted(value, inputs[value.name]) for value in function.inputs}
        return run(function, given, self.sizes, self.module.layout)

    def _fitted(self, value: Any, array: Array) -> Array:
        """Seeds and slopes may lack axes of the state that they belong to, or have more: size 1 either way."""
        context = Context(self.sizes, self.module.layout, np.dtype("float64"))
        shape = context.shape(value.type)
        return (
            np.asarray(array).reshape(shape) if np.size(array) == int(np.prod(shape, dtype=int)) else np.asarray(array)
        )


def _slopes_alone(module: Module) -> Function:
    """`derivative` without what it gives for recordings only."""
    function, states = module.function("derivative"), {state.value.name for state in module.states}
    pairs = [(n, v) for n, v in zip(function.output_names, function.outputs, strict=True) if n in states]
    outputs, names = tuple(value for _, value in pairs), tuple(name for name, _ in pairs)
    return remove_dead(replace(function, outputs=outputs, output_names=names))


def spectrum(flow: Flow, at: Mapping[str, Array] | None = None) -> Array:
    """Eigenvalues of the Jacobian at a state (default: all zero) [n], in 1/ms, by falling real part."""
    flat = np.zeros(len(flow.places)) if at is None else flow.pack(at)
    values = np.linalg.eigvals(flow.jacobian(flat))
    return values[np.lexsort((-values.imag, -values.real))]


def fixed_points(
    flow: Flow, starts: Sequence[Array] = (), *, count: int = 64, spread: float = 3.0, seed: int = 0
) -> list[Equilibrium]:
    """Equilibria found by Newton's method (MINPACK hybrj, exact Jacobian) from many starts, by falling leading real part.

    `starts` [n] each; else `count` normal draws of standard deviation `spread` (in coherent units) and the origin. What no start
    leads to is not found: this is a search, not a proof.
    """
    root = importlib.import_module("scipy.optimize").root  # untyped, and slow to import
    size = len(flow.places)
    if len(starts) == 0:
        draws = np.random.Generator(np.random.Philox(key=[seed, 0])).normal(size=(count, size)) * spread
        starts = [np.zeros(size), *draws]
    found: list[Equilibrium] = []
    for start in starts:
        reached: Array = root(flow, start, jac=flow.jacobian, method="hybr", tol=1e-12).x
        residual = float(np.abs(flow(reached)).max())
        scale = max(1.0, float(np.abs(reached).max()))
        if not np.isfinite(residual) or residual > 1e-9 * scale:
            continue
        state = flow.unpack(reached)
        if any(np.abs(flow.pack(other.state) - reached).max() < _SAME * scale for other in found):
            continue
        jacobian = flow.jacobian(reached)
        values = np.linalg.eigvals(jacobian)
        found.append(Equilibrium(state, jacobian, values[np.lexsort((-values.imag, -values.real))], residual))
    return sorted(found, key=lambda point: -point.eigenvalues.real.max())


def _sample_axes(module: Module) -> list[Any]:
    return [axis for state in module.states for axis in state.value.type.axes if axis.role == "sample"]
