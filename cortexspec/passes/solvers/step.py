"""What all one-step solvers share: from the functions that lowering gives to the function `step`.

The order of a step is this file's (docs/language.md, "A step"): `jump` gives the states after the spikes that arrive at t,
`derivative` is integrated from there, `update` reads the states at t; what `hold` names stays, and `fire` detects and resets.

`step` reads what those two read, the states, the step number `n` and the step's length `dt`; it gives each state after the
step under the state's name, and what else `derivative` or `update` gives (a `let`, `NAME.arriving`) as the step used it.
Undelayed continuous couplings are inside `derivative`; inputs and states changed by `<-` are held over the step. Discrete
updates read the states at t and are committed with the integrated ones (docs/language.md, "A step").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.inline import inline
from cortexspec.ir.module import Function, Line, Module, Value
from cortexspec.ir.ops import write
from cortexspec.ir.types import Type
from cortexspec.units import Unit, parse_unit

STEP_NUMBER = Value("n", Type((), "int"))
COMPOSED = (
    "jump",
    "hold",
    "seen",
    "derivative",
    "update",
    "level",
    "fire",
)  # what lowering gives and a step is made of
GIVEN = ("t", "dt", "n", "seed", "trial")  # what a program is given beside what its module declares


@dataclass(frozen=True, slots=True)
class Slopes:
    """The derivative at the beginning of a step, and how to evaluate it again.

    `states` has each integrated state and its slope by name, 0 where a refractory period holds it; `lines` are those written so
    far, on which the slopes depend; `at(states, node)` gives the slopes of other states, at the time t + node*dt. `free` are the
    slopes as `derivative` gives them: what multiplies a state in these is one for all neurons.
    """

    states: Mapping[str, tuple[Value, Value]]
    lines: Sequence[Line]
    at: Callable[[Mapping[str, Value], float], Mapping[str, Value]]
    free: Mapping[str, Value]


Integrate = Callable[[Builder, Slopes, Value], Mapping[str, Value]]
WriteNoise = Callable[[Builder, Value, Mapping[str, Value]], Value]


def step_with(module: Module, integrate: Integrate, noise: WriteNoise | None = None) -> Module:
    """The module with `step`. `integrate` gives the new value of every state that has a slope.

    `noise` writes the value of a white noise that the derivative reads. Raises: SpecError CS721 where it reads one and the
    solver has none.
    """
    present = {name: function for name in COMPOSED if (function := module.functions.get(name)) is not None}
    functions = list(present.values())
    noises = noises_of(module, functions)
    if noises and noise is None:
        raise SpecError([_needs_noise(name) for name in noises])
    dt = Value("dt", Type((), "float", time_unit(module)))
    inputs = _inputs(module, functions, noises, dt)
    build = Builder(Names(inputs))
    known = dict(inputs)
    known["t"] = _time(build, dt, 0.0)
    if noise is not None:
        known |= {name: noise(build, value, inputs) for name, value in noises.items()}

    def written(name: str, given: Mapping[str, Value]) -> dict[str, Value]:
        function = present.get(name)
        if function is None:
            return {}
        found = inline(build, function, {value.name: given[value.name] for value in function.inputs})
        return {each: _spread(build, value, module, each) for each, value in found.items()}

    states = {state.value.name: state.value for state in module.states}
    arrived = {**known, **written("jump", known)}
    held = written("hold", known)
    after = {name: arrived[name] for name in states} | written("seen", arrived)
    if "derivative" in present:
        after |= _integrated(build, module, present["derivative"], arrived, held, dt, integrate)
    after |= written("update", known)
    for name, where in held.items():
        after[name] = write.where(build, where, known[name], _spread(build, after[name], module, name))
    if "fire" in present:
        now = {**known, **after, **written("level", known), "t": _time(build, dt, 1.0)}
        after |= written("fire", now)
    outputs = {name: _spread(build, value, module, name) for name, value in after.items()}
    function = build.function("step", inputs.values(), outputs.values(), outputs.keys())
    return module.with_functions(step=function)


def _integrated(
    build: Builder,
    module: Module,
    derivative: Function,
    known: dict[str, Value],
    held: Mapping[str, Value],
    dt: Value,
    integrate: Integrate,
) -> dict[str, Value]:
    found = inline(build, derivative, _arguments(derivative, known))
    states = {state.value.name: known[state.value.name] for state in module.states if state.value.name in found}

    def slopes(given: Mapping[str, Value]) -> dict[str, Value]:
        return {name: _held(build, held.get(name), given[name]) for name in states}

    def at(moved: Mapping[str, Value], node: float) -> Mapping[str, Value]:
        stage = {**known, **{name: _spread(build, value, module, name) for name, value in moved.items()}}
        stage["t"] = _time(build, dt, node)
        return slopes(inline(build, derivative, _arguments(derivative, stage)))

    free = {name: found[name] for name in states}
    pairs = {name: (states[name], slope) for name, slope in slopes(found).items()}
    new = integrate(build, Slopes(pairs, tuple(build.lines), at, free), dt)
    shown = {name: value for name, value in found.items() if name not in states}
    return {**shown, **new}


def _held(build: Builder, where: Value | None, slope: Value) -> Value:
    return slope if where is None else write.where(build, where, write.zero_like(build, slope), slope)


def _arguments(function: Function, known: Mapping[str, Value]) -> dict[str, Value]:
    return {value.name: known[value.name] for value in function.inputs}


def _inputs(module: Module, functions: Sequence[Function], noises: Mapping[str, Value], dt: Value) -> dict[str, Value]:
    """All that the functions and the solver read, each once: what is declared, then what is given."""
    read = {value.name: value for function in functions for value in function.inputs if value.name not in ("t", "dt")}
    read |= {state.value.name: state.value for state in module.states}
    for function in functions:
        if function.name == "level":  # read by `fire`
            read = {name: value for name, value in read.items() if name not in function.output_names}
    for name in noises:
        del read[name]
    if noises:
        sample = next((axis for value in noises.values() for axis in value.type.axes if axis.role == "sample"), None)
        read["seed"] = Value("seed", Type((), "int"))
        if sample is not None:
            read["trial"] = Value("trial", Type((sample,), "int"))
    return {**read, "n": STEP_NUMBER, "dt": dt}


def _time(build: Builder, dt: Value, node: float) -> Value:
    """t = (n + node)*dt."""
    number = write.cast(build, STEP_NUMBER, "float")
    if node:
        number = write.add(build, number, write.const(build, node))
    return write.mul(build, number, dt)


def _spread(build: Builder, value: Value, module: Module, name: str) -> Value:
    """A state's value with all its axes: one that depends on less is the same along the others. Other values stay."""
    for state in module.states:
        if state.value.name == name:
            missing = [axis for axis in state.value.type.axes if not value.type.has(axis.name)]
            return write.expand(build, value, missing)
    return value


def time_unit(module: Module) -> Unit:
    """That of `t` or `dt` where a function reads one; else that of a state over its slope."""
    for function in module.functions.values():
        for value in function.inputs:
            if value.name in ("t", "dt"):
                return value.type.unit
    derivative, states = module.functions.get("derivative"), {s.value.name: s.value for s in module.states}
    if derivative is not None:
        for name, slope in zip(derivative.output_names, derivative.outputs, strict=True):
            if name in states:
                return states[name].type.unit / slope.type.unit
    return parse_unit("ms")[0]


def noises_of(module: Module, functions: Iterable[Function]) -> dict[str, Value]:
    """White noises that the functions read: inputs that the module does not declare, of unit 1/sqrt(time)."""
    declared = {entry.value.name for entry in (*module.params, *module.buffers, *module.states, *module.inputs)}
    unit = time_unit(module) ** Fraction(-1, 2)
    return {
        value.name: value
        for function in functions
        for value in function.inputs
        if value.name not in declared and value.name not in GIVEN and value.type.unit == unit and not unit.dimensionless
    }


def _needs_noise(name: str) -> Diagnostic:
    message = f"the noise `{name}` needs the solver `euler_maruyama`"
    return Diagnostic("CS721", message, help="write `solver = euler_maruyama`")
