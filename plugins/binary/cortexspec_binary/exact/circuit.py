"""The exact network of a compiled circuit: its weights, biases and noise as the program has them, however they were wired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.module import Function, Line, Module, Value
from cortexspec.ir.op import Context, Tensor
from cortexspec.ir.ops.arith import Sigmoid
from cortexspec.ir.ops.random import Bernoulli, Draw, Normal
from cortexspec.ir.ops.scan import evaluate_function
from cortexspec_binary.exact.network import ExactNetwork, exact, require_few
from cortexspec_binary.exact.transition import state_values

Array = np.ndarray[Any, Any]
_TRIAL = "trial"
_NEAR = 1e-9


@dataclass(frozen=True, eq=False)
class ExactCircuit:
    """The network, and the indices of its neurons by the name of their state: `groups["core.x"]`."""

    network: ExactNetwork
    groups: Mapping[str, tuple[int, ...]]

    def group(self, state: str, *places: int) -> tuple[int, ...]:
        """The indices of some neurons of a population, of all of them without `places`."""
        members = self.groups[state]
        return tuple(members[place] for place in places) if places else members


def exact_of(
    simulation: Any, inputs: Mapping[str, float] | None = None, *, softness: str = "t0", seed: int | None = None
) -> ExactCircuit:
    """The exact network of a circuit whose states are drawn each step with a probability sigmoid(affine in the states).

    The program's own update is evaluated in every state, so every connection rule and every edit counts. `inputs` are held
    at these values, at their defaults without one; other states, such as a fixed bias, at their start. Weights and biases are
    in units of the input where the population has a parameter of the name `softness`, else divided by it already.
    `simulation` is what `cortexspec.compile` gives.
    Raises: SpecError CS932 for more than 10 neurons, before anything is computed; CS934 where the circuit is more than that.
    """
    return probed(simulation, inputs, softness=softness, seed=seed)[0]


def probed(
    simulation: Any, inputs: Mapping[str, float] | None = None, *, softness: str = "t0", seed: int | None = None
) -> tuple[ExactCircuit, Probe]:
    """The exact network with the update that it was read from. Raises: SpecError as `exact_of` does."""
    probe = Probe(simulation, inputs or {}, simulation.settings.seed if seed is None else seed)
    require_few(sum(probe.count(coin) for coin in probe.coins))
    owners = probe.owners()
    low, high = probe.levels(owners)
    groups, first = {}, 0
    for name in owners:
        groups[name] = tuple(range(first, first + len(low[name])))
        first += len(low[name])
    bits = state_values(first)
    states = {name: low[name] + (high[name] - low[name]) * bits[:, list(groups[name])] for name in owners}
    weights, biases = _affine(probe.drives(states, {}), bits)
    sigma = probe.noise(states)
    kind = _kind(low, high)
    if kind == "plus_minus":  # v = c + A (s + 1)/2
        weights, biases = weights / 2, biases + weights.sum(axis=1) / 2
    t0 = _softness(simulation, owners, groups, softness)
    network = exact(weights * t0[:, None], biases * t0, t0=t0, sigma=sigma, states=kind)
    probe.states = states
    return ExactCircuit(network, groups), probe


class Probe:
    """The circuit's update with its coins and its noise as inputs, and the drive of each coin as an output."""

    def __init__(self, simulation: Any, inputs: Mapping[str, float], seed: int):
        self.simulation, self.seed = simulation, seed
        self.states: dict[str, Array] = {}  # of every neuron in every state, [2^n, element], once they are known
        self.module: Module = simulation.plain
        if "update" not in self.module.functions or "derivative" in self.module.functions:
            raise _more("the states of the circuit do not change by updates `<-` alone")
        self.update = self.module.function("update")
        made = {result.name: line for line in self.update.body for result in line.results}
        drawn = [line for line in self.update.body if isinstance(line.op, Draw) and getattr(line.op, "per_step", False)]
        self.coins = [line for line in drawn if isinstance(line.op, Bernoulli)]
        self.normals = [line for line in drawn if isinstance(line.op, Normal)]
        others = [line for line in drawn if line not in self.coins and line not in self.normals]
        if others or not self.coins:
            raise _more(
                f"`{others[0].op.name}` is drawn each step" if others else "no state is drawn from a probability"
            )
        self.drive = [self._drive(coin, made) for coin in self.coins]
        self.values = self._values(inputs)
        self.start = self._run(self.module.function("init"), self.values, 1)

    def _drive(self, coin: Line, made: Mapping[str, Line]) -> Value:
        line = made.get(coin.operands[0].name)
        if line is None or not isinstance(line.op, Sigmoid):
            raise _more("the probability of a state is not a `sigmoid` of its input")
        return line.operands[0]

    def _values(self, inputs: Mapping[str, float]) -> dict[str, Array]:
        simulation, module = self.simulation, self.module
        values = dict(simulation.in_layout(module, simulation.raw_parameters() | simulation.buffers()))
        for entry in module.inputs:
            sizes = {**simulation.sizes, _TRIAL: 1}
            shape = [
                entry.value.type.axis(name).size.evaluate(sizes) for name in module.layout.sort(entry.value.type.names)
            ]
            values[entry.value.name] = np.full(shape, inputs.get(entry.value.name, entry.default or 0.0), float)
        values |= {"seed": np.array(self.seed), "n": np.array(0), "t": np.array(0.0)}
        return values | {"dt": np.array(simulation.settings.dt or 1.0)}

    def count(self, coin: Line) -> int:
        return self.length(coin.results[0])

    def length(self, value: Value) -> int:
        axes = [axis for axis in value.type.axes if axis.name != _TRIAL]
        return int(np.prod([axis.size.evaluate(self.simulation.sizes) for axis in axes], dtype=int))

    def _run(self, function: Function, values: Mapping[str, Array], trials: int) -> dict[str, Array]:
        """The outputs by name, [trial, element]; what does not differ between trials is told for each."""
        context = self._context(trials)
        arrays = self.inputs_of(function, values, trials)
        tensors = [Tensor(arrays[value.name], context.axes(value.type)) for value in function.inputs]
        with np.errstate(all="ignore"):
            found = evaluate_function(function, tensors, context)
        return {name: self._flat(tensor, trials) for name, tensor in zip(function.output_names, found, strict=True)}

    def _context(self, trials: int) -> Context:
        return Context({**self.simulation.sizes, _TRIAL: trials}, self.module.layout, np.dtype(np.float64))

    def inputs_of(self, function: Function, values: Mapping[str, Array], trials: int) -> dict[str, Array]:
        """What a function reads, each of its whole shape, in the module's layout."""
        known, context = {**values, _TRIAL: np.arange(trials)}, self._context(trials)
        return {
            value.name: np.broadcast_to(
                np.asarray(known[value.name], context.numpy_dtype(value.type)), context.shape(value.type)
            )
            for value in function.inputs
        }

    def _flat(self, tensor: Tensor, trials: int) -> Array:
        array = np.moveaxis(tensor.array, tensor.axes.index(_TRIAL), 0) if _TRIAL in tensor.axes else tensor.array[None]
        return np.broadcast_to(array.reshape(len(array), -1), (trials, array[0].size))

    def step(
        self, states: Mapping[str, Array], coins: Sequence[bool], noise: Mapping[int, Array], trials: int
    ) -> tuple[dict[str, Array], list[Array]]:
        """The states after a step with these coins, and the drive of each coin, [trial, element]."""
        outputs = dict(zip(self.update.output_names, self.update.outputs, strict=True))
        function = self.function({**outputs, **dict(zip(self.drive_names, self.drive, strict=True))})
        found = self._run(function, self.given(states, coins, noise, trials), trials)
        return found, [found[name] for name in self.drive_names]

    @property
    def drive_names(self) -> list[str]:
        return [f"drive {k}" for k in range(len(self.drive))]

    def function(self, outputs: Mapping[str, Value]) -> Function:
        """The update with coins and noise as inputs."""
        removed = {id(line): line.results[0] for line in (*self.coins, *self.normals)}
        return replace(
            self.update,
            inputs=(*self.update.inputs, *removed.values()),
            body=tuple(line for line in self.update.body if id(line) not in removed),
            outputs=tuple(outputs.values()),
            output_names=tuple(outputs),
        )

    def given(
        self, states: Mapping[str, Array], coins: Sequence[bool], noise: Mapping[int, Array], trials: int
    ) -> dict[str, Array]:
        """What the function reads, in the module's layout."""
        values = {
            **self.values,
            **self._all_states({name: np.broadcast_to(one, (trials, one.shape[1])) for name, one in states.items()}),
        }
        values |= {line.results[0].name: np.array(coin) for line, coin in zip(self.coins, coins, strict=True)}
        for number, line in enumerate(self.normals):
            value = line.results[0]
            flat = noise.get(number, np.zeros((1, self.length(value))))
            values[value.name] = self.arranged(value, np.broadcast_to(flat, (trials, flat.shape[1])))
        return values

    def _all_states(self, states: Mapping[str, Array]) -> dict[str, Array]:
        """Those that are given, and the others at their start, as the module wants them."""
        values = {state.value.name: state.value for state in self.module.states}
        return {name: self.arranged(value, states.get(name, self.start[name])) for name, value in values.items()}

    def arranged(self, value: Value, flat: Array) -> Array:
        """[trial, element] with the axes of the value, in the module's order."""
        order = self.module.layout.sort(value.type.names)
        shape = [value.type.axis(axis).size.evaluate(self.simulation.sizes) for axis in order if axis != _TRIAL]
        return np.moveaxis(np.asarray(flat).reshape(len(flat), *shape), 0, order.index(_TRIAL))

    def owners(self) -> dict[str, int]:
        """The state that each coin decides, with the coin's number. Raises: SpecError CS934."""
        silent = [False] * len(self.coins)
        base, _ = self.step({}, silent, {}, 1)
        found: dict[str, int] = {}
        for number, coin in enumerate(self.coins):
            flipped, _ = self.step({}, [k == number for k in range(len(self.coins))], {}, 1)
            names = [
                s.value.name
                for s in self.module.states
                if not np.array_equal(base[s.value.name], flipped[s.value.name])
            ]
            if len(names) != 1 or names[0] in found or base[names[0]].shape[1] != self.count(coin):
                raise _more(f"a draw changes {_listed(names)}: each is to decide one state, element by element")
            found[names[0]] = number
        for state in self.module.states:
            name = state.value.name
            if name not in found and not np.array_equal(base[name], self.start[name]):
                raise _more(f"`{name}` moves as well")
        return found

    def levels(self, owners: Mapping[str, int]) -> tuple[dict[str, Array], dict[str, Array]]:
        """The values of each binary state when its coin falls so or so."""
        low, _ = self.step({}, [False] * len(self.coins), {}, 1)
        high, _ = self.step({}, [True] * len(self.coins), {}, 1)
        return {name: low[name][0] for name in owners}, {name: high[name][0] for name in owners}

    def drives(self, states: Mapping[str, Array], noise: Mapping[int, Array], trials: int | None = None) -> Array:
        """The drive of every neuron in every state, [2^n, n], or in `trials` copies of the only one."""
        trials = trials or len(next(iter(states.values())))
        _, found = self.step(states, [False] * len(self.coins), noise, trials)
        order = list(self.owners().values())
        return np.concatenate([found[number] for number in order], axis=1)

    def noise(self, states: Mapping[str, Array]) -> Array:
        """The standard deviation of each neuron's drive, [n]. Raises: SpecError CS934 where neurons share noise."""
        quiet = self.drives(states, {})
        variance = np.zeros(quiet.shape[1])
        at_zero = {name: one[:1] for name, one in states.items()}
        for number, line in enumerate(self.normals):
            length = self.length(line.results[0])
            gain = self.drives(states, {number: np.ones((1, length))}) - quiet
            twice = self.drives(states, {number: np.full((1, length), 2.0)}) - quiet
            if not (np.allclose(gain, gain[0], atol=_NEAR) and np.allclose(twice, 2 * gain, atol=_NEAR)):
                raise _more("noise does not enter the drive of a neuron as a term of its own")
            one_by_one = self.drives(at_zero, {number: np.eye(length)}, length) - quiet[0]
            if ((np.abs(one_by_one) > _NEAR).sum(axis=1) > 1).any():
                raise _more("neurons share their noise, so they are not independent given the states")
            variance += gain[0] ** 2
        return np.sqrt(variance)


def _affine(drive: Array, bits: Array) -> tuple[Array, Array]:
    """A and c of v = A z + c over all states. Raises: SpecError CS934 where there are none."""
    neurons = bits.shape[1]
    constant = drive[0]
    weights = (drive[1 << np.arange(neurons)] - constant).T
    scale = max(float(np.abs(drive).max()), 1.0)
    if not np.allclose(drive, bits @ weights.T + constant, rtol=0, atol=_NEAR * scale):
        raise _more("the input of a neuron is not a weighted sum of the states")
    return weights, constant


def _kind(low: Mapping[str, Array], high: Mapping[str, Array]) -> Any:
    """Raises: SpecError CS934 where states are neither 0 and 1 nor -1 and 1, or of both kinds."""
    for kind, (off, on) in {"zero_one": (0, 1), "plus_minus": (-1, 1)}.items():
        if all((one == off).all() for one in low.values()) and all((one == on).all() for one in high.values()):
            return kind
    raise _more("its states are not all 0 and 1, or all -1 and 1")


def _softness(simulation: Any, owners: Mapping[str, int], groups: Mapping[str, Sequence[int]], name: str) -> Array:
    parameters = simulation.parameters()
    found = [
        np.broadcast_to(parameters.get(f"{state.rpartition('.')[0]}.{name}", 1.0), (len(groups[state]),))
        for state in owners
    ]
    return np.concatenate(found).astype(float)


def _listed(names: Sequence[str]) -> str:
    return " and ".join(f"`{name}`" for name in names) or "no state"


def _more(what: str) -> SpecError:
    help = "hold what moves beside the binary states, or estimate from a run"
    return SpecError([Diagnostic("CS934", f"this is no network of binary neurons alone: {what}", help=help)])
