"""What all one-step solvers share: from `derivative` and `update` to the function `step`.

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
GIVEN = ("t", "dt", "n", "seed", "trial")  # what a program is given beside what its module declares


@dataclass(frozen=True, slots=True)
class Slopes:
    """The derivative at the beginning of a step, and how to evaluate it again.

    `states` has each integrated state and its slope by name; `lines` are those written so far, on which the slopes depend;
    `at(states, node)` gives the slopes of other states, at the time t + node*dt.
    """

    states: Mapping[str, tuple[Value, Value]]
    lines: Sequence[Line]
    at: Callable[[Mapping[str, Value], float], Mapping[str, Value]]


Integrate = Callable[[Builder, Slopes, Value], Mapping[str, Value]]
WriteNoise = Callable[[Builder, Value, Mapping[str, Value]], Value]


def step_with(module: Module, integrate: Integrate, noise: WriteNoise | None = None) -> Module:
    """The module with `step`. `integrate` gives the new value of every state that has a slope.

    `noise` writes the value of a white noise that the derivative reads. Raises: SpecError CS721 where it reads one and the
    solver has none.
    """
    derivative, update = module.functions.get("derivative"), module.functions.get("update")
    functions = [function for function in (derivative, update) if function is not None]
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
    after: dict[str, Value] = {state.value.name: state.value for state in module.states}
    if derivative is not None:
        after |= _integrated(build, module, derivative, known, dt, integrate)
    if update is not None:
        after |= inline(build, update, _arguments(update, known))
    outputs = {name: _spread(build, value, module, name) for name, value in after.items()}
    function = build.function("step", inputs.values(), outputs.values(), outputs.keys())
    return module.with_functions(step=function)


def _integrated(
    build: Builder, module: Module, derivative: Function, known: dict[str, Value], dt: Value, integrate: Integrate
) -> dict[str, Value]:
    found = inline(build, derivative, _arguments(derivative, known))
    states = {state.value.name: state.value for state in module.states if state.value.name in found}

    def at(moved: Mapping[str, Value], node: float) -> Mapping[str, Value]:
        stage = {**known, **{name: _spread(build, value, module, name) for name, value in moved.items()}}
        stage["t"] = _time(build, dt, node)
        given = inline(build, derivative, _arguments(derivative, stage))
        return {name: given[name] for name in states}

    pairs = {name: (state, found[name]) for name, state in states.items()}
    new = integrate(build, Slopes(pairs, tuple(build.lines), at), dt)
    shown = {name: value for name, value in found.items() if name not in states}
    return {**shown, **new}


def _arguments(function: Function, known: Mapping[str, Value]) -> dict[str, Value]:
    return {value.name: known[value.name] for value in function.inputs}


def _inputs(module: Module, functions: Sequence[Function], noises: Mapping[str, Value], dt: Value) -> dict[str, Value]:
    """All that the functions and the solver read, each once: what is declared, then what is given."""
    read = {value.name: value for function in functions for value in function.inputs if value.name not in ("t", "dt")}
    read |= {state.value.name: state.value for state in module.states}
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
