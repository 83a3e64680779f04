"""What all explicit one-step solvers share: a Butcher tableau becomes the function `step`.

`step` reads what `derivative` and `update` read, the step number `n` and the step `dt`; it gives each state after the step
under the state's name, and what else `derivative` gives (a `let`, `NAME.arriving`) as the first stage used it.
Undelayed continuous couplings are inside `derivative`, so each stage evaluates them; inputs and states changed by `<-` are held.
Discrete updates read the states at t and are committed with the integrated ones (docs/language.md, "A step").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.inline import inline
from cortexspec.ir.module import Function, Module, Value
from cortexspec.ir.ops.arith import Add, Cast, Mul
from cortexspec.ir.ops.constant import Const
from cortexspec.ir.ops.shape import Expand
from cortexspec.ir.types import Type
from cortexspec.units import Unit, parse_unit

STEP_NUMBER = Value("n", Type((), "int"))


@dataclass(frozen=True, slots=True)
class Tableau:
    """Row i of `stages` has the weights of earlier slopes in stage i + 1, and `nodes[i]` the share of dt at which it stands; `weights` close the step."""

    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]


def step_of(module: Module, tableau: Tableau) -> Module:
    """Writes `step` from `derivative` and `update`. Shapes and units are the states'."""
    derivative = module.functions.get("derivative")
    update = module.functions.get("update")
    functions = [function for function in (derivative, update) if function is not None]
    step = step_length(module)
    inputs = gather_inputs(functions, leave_out=("t",), more=(STEP_NUMBER, step))
    build = Builder(Names(value.name for value in inputs))
    arguments = {value.name: value for value in inputs}
    arguments["t"] = time_of(build, STEP_NUMBER, step, 0.0)
    after: dict[str, Value] = {}
    if derivative is not None:
        after |= _integrate(build, module, derivative, tableau, arguments, step)
    if update is not None:
        after |= inline(build, update, arguments)
    held = {state.value.name: state.value for state in module.states if state.value.name not in after}
    missing = tuple(value for value in held.values() if value.name not in arguments)
    outputs = {name: _as(build, value, module, name) for name, value in (held | after).items()}
    function = build.function("step", (*inputs, *missing), outputs.values(), outputs.keys())
    return module.with_functions(step=function)


def _integrate(
    build: Builder, module: Module, derivative: Function, tableau: Tableau, arguments: dict[str, Value], step: Value
) -> dict[str, Value]:
    states = [name for name in derivative.output_names if name in state_types(module)]
    slopes = [inline(build, derivative, arguments)]
    for node, row in zip(tableau.nodes, tableau.stages, strict=True):
        stage = dict(arguments)
        stage["t"] = time_of(build, STEP_NUMBER, step, node)
        for name in states:
            value = _moved(build, arguments.get(name), [slope[name] for slope in slopes], row, step)
            if name in arguments:
                stage[name] = _as(build, value, module, name)
        slopes.append(inline(build, derivative, stage))
    after = {name: value for name, value in slopes[0].items() if name not in states}
    own = {state.value.name: state.value for state in module.states}
    for name in states:
        after[name] = _moved(build, arguments.get(name, own[name]), [s[name] for s in slopes], tableau.weights, step)
    return after


def _moved(build: Builder, start: Value | None, slopes: Sequence[Value], weights: Sequence[float], step: Value) -> Value:
    """start + dt * sum of weighted slopes."""
    total: Value | None = None
    for slope, weight in zip(slopes, weights, strict=True):
        if weight == 0:
            continue
        term = slope if weight == 1 else build.one(Mul(), build.one(Const(weight)), slope)
        total = term if total is None else build.one(Add(), total, term)
    assert total is not None and start is not None
    return build.one(Add(), start, build.one(Mul(), step, total))


def _as(build: Builder, value: Value, module: Module, name: str) -> Value:
    """The value with all axes of the state `name`: a slope that depends on less is spread. Other values stay."""
    wanted = state_types(module).get(name, value.type)
    missing = tuple(axis for axis in wanted.axes if not value.type.has(axis.name))
    return build.one(Expand(missing), value) if missing else value


def state_types(module: Module) -> dict[str, Type]:
    """Types of the states by name."""
    return {state.value.name: state.value.type for state in module.states}


def step_length(module: Module) -> Value:
    """`dt`, in ms or, where time is a number, in steps."""
    return Value("dt", Type((), "float", _unit_of_time(module)))


def _unit_of_time(module: Module) -> Unit:
    """That of `t` or `dt` where a function reads one; else that of a state over its slope."""
    for function in module.functions.values():
        for value in function.inputs:
            if value.name in ("t", "dt"):
                return value.type.unit
    derivative, states = module.functions.get("derivative"), state_types(module)
    if derivative is not None:
        for name, slope in zip(derivative.output_names, derivative.outputs, strict=True):
            if name in states:
                return states[name].unit / slope.type.unit
    return parse_unit("ms")[0]


def gather_inputs(functions: Sequence[Function], leave_out: Sequence[str], more: Sequence[Value]) -> tuple[Value, ...]:
    """All inputs of the functions, each once, then `more`."""
    found: dict[str, Value] = {}
    for function in functions:
        for value in function.inputs:
            found.setdefault(value.name, value)
    for name in leave_out:
        found.pop(name, None)
    for value in more:
        found.setdefault(value.name, value)
    return tuple(found.values())


def time_of(build: Builder, n: Value, step: Value, node: float) -> Value:
    """t = (n + node) * dt."""
    number = build.one(Cast("float"), n)
    if node:
        number = build.one(Add(), number, build.one(Const(node)))
    return build.one(Mul(), number, step, hint="t")
