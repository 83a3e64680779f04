"""The balanced network of a compiled circuit: its couplings, kernels, tuning and drive as the program has them.

Everything is read from functions of the program itself, run at as many neurons as there are angles on the grid: what says which
neuron it is (an index, an even draw) is set to the places of the grid. So profiles and kernels may be written in any way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.module import Function, Line, Module, Value
from cortexspec.ir.op import Context, Tensor
from cortexspec.ir.ops.arith import Le
from cortexspec.ir.ops.constant import Iota
from cortexspec.ir.ops.random import Draw, Normal, Uniform
from cortexspec.ir.ops.scan import evaluate_function
from cortexspec.ir.size import Size
from cortexspec_mean_field.kernels import Kernel, linear_kernel
from cortexspec_mean_field.network import BalancedNetwork

Array = np.ndarray[Any, Any]
_TRIAL = "trial"
_NEAR = 1e-9
_FEW = 64  # times the grid that a population may be when its size is told for the grid


def network_of(simulation: Any, angles: int = 32, parameters: Mapping[str, Any] | None = None) -> BalancedNetwork:
    """The network that the theory sees in a circuit, in coherent units (mV, ms, kHz). `simulation`: what `cortexspec.compile` gives.

    `parameters` are raw, in place of those of the simulation. Raises: SpecError CS951 where a spike moves a potential at once,
    CS952 that names what the theory does not describe.
    """
    probe = _Probe(simulation, angles, parameters or {})
    blocks = [_Block(probe, population) for population in probe.populations]
    order = [block.path for block in blocks]
    pairs = {(one.target, one.source): one for one in probe.projections(order)}
    count = len(blocks)
    profiles, degrees = np.ones((count, count, angles)), np.zeros((count, count))
    weights, kernels = np.zeros((count, count)), [[_NONE] * count for _ in range(count)]
    for (target, source), one in pairs.items():
        a, b = order.index(target), order.index(source)
        degrees[a, b], profiles[a, b] = one.in_degree, one.profile
        kernel = blocks[a].kernel(one)
        weights[a, b], kernels[a][b] = kernel.area, kernel.over(kernel.area)
    inputs = degrees[degrees > 0].mean()
    sizes = np.array([block.neurons for block in blocks])
    kinds = {one.degree for one in pairs.values()}
    if len(kinds) > 1:
        raise unfit("some of its connections have a fixed in-degree and some a random one")
    return BalancedNetwork(
        names=tuple(order),
        weights=weights * np.sqrt(inputs),
        kernels=tuple(map(tuple, kernels)),
        profiles=profiles,
        drive=np.array([block.rest for block in blocks]) / np.sqrt(inputs),
        K=inputs,
        threshold=np.array([block.threshold for block in blocks]),
        spread=np.array([block.spread for block in blocks]),
        in_degree=degrees / inputs,
        probability=degrees / sizes,
        degree="fixed" if kinds == {"fixed"} else "random",
    )


def unfit(what: str, help: str = "") -> SpecError:
    return SpecError([Diagnostic("CS952", f"the mean-field theory does not describe this circuit: {what}", help=help)])


_NONE = Kernel(1.0, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class _Projection:
    path: str
    source: str
    target: str
    in_degree: float
    profile: Array
    degree: str


class _Probe:
    """Functions of the program at few neurons."""

    def __init__(self, simulation: Any, angles: int, parameters: Mapping[str, Any]):
        self.module: Module = simulation.plain
        self.model, self.angles = simulation.model, angles
        self.populations = [one for one in self.model.populations if one.spike is not None]
        for one in self.populations:
            self._require_crossing(one)
        if not self.populations:
            raise unfit("it has no neurons that spike")
        self.whole: Mapping[str, int] = simulation.sizes
        self.sizes = self._small()
        self.values = self._start(simulation.raw_parameters() | dict(parameters))

    def _require_crossing(self, population: Any) -> None:
        spike = population.spike
        if spike.crosses is None or spike.resets or spike.refractory is not None:
            what = f"`{population.path}` does not spike at an upward crossing without reset or refractory period"
            raise unfit(what, "write `spike when v crosses θ`")
        if population.instance_axes:
            raise unfit(f"`{population.path}` stands in an array of parts")

    def _small(self) -> dict[str, int]:
        sizes = dict(self.whole)
        for population in self.populations:
            for symbol in self._size(population.axis).symbols:
                sizes[symbol] = self.angles
        sizes |= {name: 1 for name in sizes if name.endswith(".edges")}
        for population in self.populations:
            few = self._size(population.axis).evaluate(sizes)
            if few % self.angles or few > _FEW * self.angles:
                what = f"the size of `{population.path}` is written so that it cannot be told for {self.angles} neurons alone"
                raise unfit(what, "make it a parameter of the circuit, as in `circuit ring(N: int = 4000)`")
        return sizes

    def _size(self, axis: str) -> Size:
        return self.count_of[axis]

    @property
    def count_of(self) -> Mapping[str, Size]:
        found: dict[str, Size] = {}
        for state in self.module.states:
            for axis in state.value.type.axes:
                found.setdefault(axis.name, axis.size)
        return found

    def neurons(self, population: Any) -> int:
        return self._size(population.axis).evaluate(self.whole)

    def every(self, population: Any) -> Array:
        """Indices of the neurons of a population that stand on the grid."""
        few = self._size(population.axis).evaluate(self.sizes)
        return np.arange(self.angles) * (few // self.angles)

    def _start(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Values of parameters and constants; a drawn one has its mean, and its standard deviation under "name ~"."""
        middle = self.run("start", {"seed": np.array(0)}, normal=0.0)
        outer = self.run("start", {"seed": np.array(0)}, normal=1.0)
        found: dict[str, Any] = {}
        for name, tensor in middle.items():
            found[name] = tensor.array
            found[f"{name} ~"] = outer[name].array - tensor.array
        for name, value in raw.items():
            if np.ndim(value) == 0:
                found[name] = np.asarray(value)
        return found

    def run(
        self, function: str | Function, values: Mapping[str, Any], *, normal: float = 0.0, trials: int = 1
    ) -> dict[str, Tensor]:
        """The outputs by name, with places of the grid for indices and even draws."""
        whole = self.module.function(function) if isinstance(function, str) else function
        context = Context({**self.sizes, _TRIAL: trials}, self.module.layout, np.dtype(np.float64))
        body, set_to = self._placed(whole.body, context, normal)
        placed = replace(whole, body=body, inputs=(*whole.inputs, *set_to))
        known = {**values, _TRIAL: np.arange(trials)}
        tensors = [
            set_to[value] if value in set_to else self._tensor(value, known[value.name], context)
            for value in placed.inputs
        ]
        with np.errstate(all="ignore"):
            found = evaluate_function(placed, tensors, context)
        return dict(zip(placed.output_names, found, strict=True))

    def _tensor(self, value: Value, array: Any, context: Context) -> Tensor:
        array = np.asarray(array, context.numpy_dtype(value.type))
        return Tensor(np.broadcast_to(array, context.shape(value.type)), context.axes(value.type))

    def _placed(
        self, body: Sequence[Line], context: Context, normal: float
    ) -> tuple[tuple[Line, ...], dict[Value, Tensor]]:
        kept: list[Line] = []
        set_to: dict[Value, Tensor] = {}
        for line in body:
            value = line.results[0]
            match line.op:
                case Iota(axis=axis):
                    few, many = axis.size.evaluate(context.sizes), axis.size.evaluate(self.whole)
                    set_to[value] = Tensor(np.arange(few) * (many / few), (axis.name,))
                case Normal():
                    set_to[value] = self._tensor(value, normal, context)
                case Uniform(axes=(axis,)):
                    few = axis.size.evaluate(context.sizes)
                    set_to[value] = Tensor(np.arange(few) / few, (axis.name,))
                case Draw():
                    raise unfit(f"`{line.op.name}` is drawn in it")
                case _:
                    kept.append(line)
        return tuple(kept), set_to

    def projections(self, populations: Sequence[str]) -> list[_Projection]:
        wiring = self.run("wiring", self.values) if "wiring" in self.module.functions else {}
        found: list[_Projection] = []
        for one in self.model.projections:
            source = getattr(one.source, "path", "").removesuffix(".spike")
            target = one.target.rpartition(".")[0]
            if source in populations and target in populations:
                found.append(self._projection(one, source, target, wiring))
        pairs = [(one.source, one.target) for one in found]
        twice = next((pair for pair in pairs if pairs.count(pair) > 1), None)
        if twice is not None:
            what = f"`{twice[0]}` projects to `{twice[1]}` more than once"
            raise unfit(what, "a synapse may be a mixture of kernels")
        return found

    def _projection(self, one: Any, source: str, target: str, wiring: Mapping[str, Tensor]) -> _Projection:
        by_path = {population.path: population for population in self.populations}
        if f"{one.path}.K" in wiring:
            inputs = float(wiring[f"{one.path}.K"].array)
            return _Projection(one.path, source, target, inputs, np.ones(self.angles), "fixed")
        if f"{one.path}.p" not in wiring:
            raise unfit(f"`{one.path}` is wired by neither `bernoulli` nor `fixed_indegree`")
        chance = self._table(wiring[f"{one.path}.p"], by_path[source], by_path[target])
        along = chance[:, 0]
        places = (np.arange(self.angles)[:, None] - np.arange(self.angles)) % self.angles
        if not np.allclose(chance, along[places], atol=_NEAR * along.max()):
            what = (
                f"the probability of `{one.path}` does not depend on the difference of an evenly spread feature alone"
            )
            raise unfit(what)
        inputs = float(along.mean() * self.neurons(by_path[source]))
        return _Projection(one.path, source, target, inputs, along / along.mean(), "random")

    def _table(self, tensor: Tensor, source: Any, target: Any) -> Array:
        """[target, source] on the grid."""
        same = source.axis == target.axis
        rows = f"{target.axis}_target" if same else target.axis
        columns = f"{source.axis}_source" if same else source.axis
        array = tensor.array
        order = [*tensor.axes, *(axis for axis in (rows, columns) if axis not in tensor.axes)]
        array = array.reshape(array.shape + (1,) * (len(order) - array.ndim))
        array = np.transpose(array, [order.index(rows), order.index(columns)])
        few = [self._size(one.axis).evaluate(self.sizes) for one in (target, source)]
        return np.broadcast_to(array, few)[np.ix_(self.every(target), self.every(source))]


class _Block:
    """The linear equations of one population: x' = A x + c, of its membrane and of what its synapses carry."""

    def __init__(self, probe: _Probe, population: Any):
        self.probe, self.population, self.path = probe, population, population.path
        self.neurons = probe.neurons(population)
        self.states = [
            state.value
            for state in probe.module.states
            if set(state.value.type.names) == {population.axis, _TRIAL}
            if not state.value.name.endswith(".spike.count")
        ]
        size = len(self.states)
        outputs = [state.name for state in self.states]
        slopes = self._linear("derivative", outputs)
        self.constant = slopes[0]  # [state, angle]
        self.dynamics = (slopes[1 : size + 1] - slopes[0]).transpose(1, 0, 2)  # [state, state, angle]
        mixed = slopes[0] + np.einsum("sti,t->si", self.dynamics, self._elsewhere)
        if not np.allclose(slopes[size + 1], mixed, rtol=1e-9, atol=1e-9 * np.abs(mixed).max()):
            raise unfit(f"the equations of `{self.path}` are not linear")
        matrix = self.dynamics[..., 0]
        if not np.allclose(self.dynamics, matrix[..., None], rtol=1e-9, atol=1e-9 * np.abs(matrix).max()):
            raise unfit(f"the equations of `{self.path}` differ between its neurons")
        self.matrix = matrix
        self._detection()

    @property
    def _elsewhere(self) -> Array:
        """Values of the states, far apart, at which equations that are linear must be so."""
        return 100 * (1.7 + np.arange(len(self.states)))

    def _detection(self) -> None:
        """The potential as a sum over states, and the threshold as far as it is from where the potential has no states."""
        probe, whole = self.probe, self.probe.module.function("level")
        name = f"{self.path}.spike.below"
        result = whole.outputs[whole.output_names.index(name)]
        line = next(line for line in whole.body if result in line.results)
        assert isinstance(line.op, Le)
        sides = replace(whole, outputs=line.operands, output_names=("potential", "threshold"))
        potential = self._linear(sides, ["potential"])[:, 0]
        self.readout = (potential[1 : len(self.states) + 1] - potential[0])[:, 0]
        rest = -np.linalg.solve(self.matrix, self.constant)
        self.rest = self.readout @ rest + potential[0]
        middle = self._values(sides, probe.values, "threshold")
        outer = dict(probe.values)
        outer |= {
            key: value + probe.values[f"{key} ~"] for key, value in probe.values.items() if f"{key} ~" in probe.values
        }
        self.threshold = float(middle[0])
        self.spread = abs(float((self._values(sides, outer, "threshold") - middle)[0]))
        if not np.allclose(middle, middle[0]):
            raise unfit(f"the thresholds of `{self.path}` are not of one distribution")

    def _values(self, function: Function, values: Mapping[str, Any], output: str) -> Array:
        zero = {state.value.name: 0.0 for state in self.probe.module.states}
        tensor = self.probe.run(function, {**values, **zero})[output]
        return self._on_grid(tensor)[0]

    def _linear(self, function: str | Function, outputs: Sequence[str]) -> Array:
        """Outputs with all states 0, each of this population's states 1, and all of them elsewhere; [trial, output, angle]."""
        size = len(self.states)
        directions = np.concatenate([np.zeros((1, size)), np.eye(size), self._elsewhere[None]])
        values: dict[str, Any] = {**self.probe.values, **{state.value.name: 0.0 for state in self.probe.module.states}}
        layout = self.probe.module.layout
        for state, along in zip(self.states, directions.T, strict=True):
            order = layout.sort(state.type.names)
            values[state.name] = along if order[-1] == _TRIAL else along[:, None]
        found = self.probe.run(function, {**values, "t": 0.0, "n": 0, "dt": 1.0, "seed": 0}, trials=size + 2)
        return np.stack(
            [np.broadcast_to(self._on_grid(found[name]), (size + 2, self.probe.angles)) for name in outputs], axis=1
        )

    def _on_grid(self, tensor: Tensor) -> Array:
        """[trial, angle], one of either where it has none."""
        axis, array = self.population.axis, tensor.array
        if not set(tensor.axes) <= {axis, _TRIAL}:
            raise unfit(f"`{self.path}` is joined to something else")
        if set(tensor.axes) == {axis, _TRIAL} and tensor.axes.index(_TRIAL) == 1:
            array = array.T
        if tensor.axes == (_TRIAL,):
            array = array[:, None]
        array = array.reshape(1, -1) if array.ndim < 2 else array
        return (
            array[:, self.probe.every(self.population)]
            if axis in tensor.axes
            else np.repeat(array, self.probe.angles, 1)
        )

    def kernel(self, projection: _Projection) -> Kernel:
        """What one spike that arrives by a projection adds to the potential."""
        probe = self.probe
        values: dict[str, Any] = {**probe.values, **{state.value.name: 0.0 for state in probe.module.states}}
        source = next(one for one in probe.populations if one.path == projection.source)
        count = next(s.value for s in probe.module.states if s.value.name == f"{projection.source}.spike.count")
        spiked = np.zeros(probe._size(source.axis).evaluate(probe.sizes))
        spiked[0] = 1
        values[count.name] = spiked if probe.module.layout.sort(count.type.names)[-1] != _TRIAL else spiked[:, None]
        for buffer in probe.module.buffers:
            name = buffer.value.name
            if name.endswith((".pre", ".post")):
                values[name] = 0
        if "jump" not in probe.module.functions:
            raise unfit(f"no spike of `{projection.source}` arrives at an equation of `{self.path}`")
        unknown = [v.name for v in probe.module.function("jump").inputs if v.name not in values and v.name != _TRIAL]
        if unknown:
            raise unfit(
                f"`{unknown[0]}` differs between connections", "give all connections of a projection one weight"
            )
        found = probe.run("jump", values)
        impulse = [float(self._on_grid(found[s.name])[0, 0]) if s.name in found else 0.0 for s in self.states]
        return linear_kernel(self.matrix, np.array(impulse), self.readout)
