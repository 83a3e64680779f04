"""What a step does about spikes, as functions of the module that the solvers compose (passes/solvers/step.py).

    jump    the states after the impulses that arrive at t; coefficients are read before the jump
    hold    which neurons a refractory period holds, under the name of each state that their reset assigns
    level   whether a neuron that fires by crossing is at its threshold or below, read at the beginning of the step
    fire    from the states after the step: who fires, what that resets, for how long it is held

Elsewhere a train reads as what it delivers per time: the number of spikes over dt, in Hz. In `derivative` it is silent.
"""

from __future__ import annotations

from dataclasses import replace

from cortexspec.analysis.model import Population, Spike, Update
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import translate, translate_draw
from cortexspec.expressions.tree import Binary, Call, Expression, Name
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.spike import Threshold
from cortexspec.ir.response import NotLinearHere, responses
from cortexspec.ir.types import RuleError
from cortexspec.library.distributions import draw
from cortexspec.lowering.connection import port
from cortexspec.lowering.frame import Frame, Here, Plan, Unwritten, guarded
from cortexspec.lowering.neuron import equations_of, highest
from cortexspec.lowering.reactions import react
from cortexspec.lowering.trains import below_of, count_of, has_trains, held_of, reached_of, support_of, train_of
from cortexspec.units import DIMENSIONLESS


def _frame(plan: Plan) -> Frame:
    frame = Frame(plan, "step")
    frame.port, frame.highest = port, highest
    return frame


# Arrival


def jump(plan: Plan) -> Function | None:
    """Every state in whose equation a train stands, after the impulses of the spikes that arrive at t.

    An impulse of area A that enters the equation of x^(n) as c*A adds c*A to the derivative of order n - 1. What c is follows
    from the equation's own lines (ir/response.py). None where no train arrives at an equation.
    """
    if not has_trains(plan.model):
        return None
    frame = _frame(plan)
    frame.impulses = "jump"
    slopes: dict[str, Value] = {}
    for equation in equations_of(plan.model):
        with guarded():
            state = equation.state + "'" * (equation.order - 1)
            slopes[state] = frame.read(state + "'").value
    try:
        changes = responses(frame.build, frame.build.lines, {p.name: amount for p, amount in frame.arrivals.values()})
    except NotLinearHere as error:
        frame.stop("CS510", "spikes arrive in a term that is not linear in them", error.span)
        return None
    outputs: dict[str, Value] = {}
    for state, slope in slopes.items():
        if slope.name in changes:
            old = frame.input(frame.declared.states[state].value)
            outputs[state] = write.add(frame.build, old, frame.spread(state, Operand(changes[slope.name])))
    if not outputs:
        return None
    frame.build.lines = _needed(frame, outputs)
    return frame.function("jump", outputs)


def _needed(frame: Frame, outputs: dict[str, Value]) -> list[Line]:
    """The lines that the outputs depend on: none of them reads a train, only its impulses."""
    wanted = {value.name for value in outputs.values()}
    kept: list[Line] = []
    for line in reversed(frame.build.lines):
        if any(result.name in wanted for result in line.results):
            wanted.update(operand.name for operand in line.operands)
            kept.append(line)
    return kept[::-1]


# Detection


def hold(plan: Plan) -> Function | None:
    """For each state that a reset assigns, where its neuron is refractory. None where no neuron is."""
    frame = _frame(plan)
    outputs: dict[str, Value] = {}
    for population, spike in _spiking(plan):
        if spike.refractory is not None:
            held = frame.input(frame.declared.states[held_of(train_of(population))].value)
            for reset in spike.resets:
                outputs[reset.state] = write.gt(frame.build, held, write.zero_like(frame.build, held))
    return frame.function("hold", outputs) if outputs else None


def level(plan: Plan) -> Function | None:
    """For each train by crossing, where it may cross within this step. None where there is none."""
    frame = _frame(plan)
    outputs: dict[str, Value] = {}
    for population, spike in _spiking(plan):
        if spike.crosses is not None and spike.condition is not None:
            with guarded():
                a, b = _compared(frame, population, spike.condition, spike.crosses)
                outputs[below_of(train_of(population))] = write.le(frame.build, a, b)
    return frame.function("level", outputs) if outputs else None


def fire(plan: Plan) -> Function | None:
    """How often each neuron fires at the end of the step, and the states after its reset. None where nothing spikes."""
    if not has_trains(plan.model):
        return None
    frame = _frame(plan)
    outputs: dict[str, Value] = {}
    for population, spike in _spiking(plan):
        with guarded():
            _fire(frame, population, spike, outputs)
    for population, _ in _spiking(plan):
        train = train_of(population)
        if count_of(train) in outputs:
            frame.counts[train] = frame.whole(plan.model.variables[train], outputs[count_of(train)])
    for projection in plan.model.projections:
        if projection.synapse is not None:
            with guarded():
                react(frame, projection, outputs)
    return frame.function("fire", outputs)


def _spiking(plan: Plan) -> list[tuple[Population, Spike]]:
    return [(one, one.spike) for one in plan.model.populations if one.spike is not None]


def _fire(frame: Frame, population: Population, spike: Spike, outputs: dict[str, Value]) -> None:
    build, train = frame.build, train_of(population)
    count = _drawn(frame, population, spike) if spike.distribution is not None else _detected(frame, population, spike)
    if spike.refractory is not None:
        held = frame.input(frame.declared.states[held_of(train)].value)
        none = write.zero_like(build, held)
        count = write.where(build, write.gt(build, held, none), none, count)
        rest = write.maximum(build, write.sub(build, held, write.const(build, 1.0)), none)
        steps = _steps(frame, population, spike.refractory)
        outputs[held_of(train)] = frame.spread(
            held_of(train), Operand(write.where(build, write.gt(build, count, none), steps, rest))
        )
    outputs[count_of(train)] = frame.spread(count_of(train), Operand(count))
    support = support_of(population)
    if support is not None:
        fired = write.gt(build, count, write.zero_like(build, count))
        reached = write.cast(build, write.or_(build, _near(frame, population, spike, support), fired), "float")
        outputs[reached_of(train)] = frame.spread(reached_of(train), Operand(reached))
    for reset in spike.resets:
        outputs[reset.state] = _assigned(frame, reset, count)


def _assigned(frame: Frame, reset: Update, count: Value) -> Value:
    """(1 - z)*x + z*new: exact where z is 0 or 1, and the gradient passes z."""
    build = frame.build
    new = frame.translated(frame.model.variables[reset.state], reset.value).value
    old = frame.input(frame.declared.states[reset.state].value)
    stays = write.mul(build, write.sub(build, write.const(build, 1.0), count), old)
    return frame.spread(reset.state, Operand(write.add(build, stays, write.mul(build, count, new))))


def _detected(frame: Frame, population: Population, spike: Spike) -> Value:
    """1 where a neuron fires, 0 elsewhere."""
    build, condition = frame.build, spike.condition
    assert condition is not None
    if spike.crosses is not None:
        fired = _above(frame, population, spike)
        below = frame.input(Value(below_of(train_of(population)), replace(fired.type, dtype="bool")))
        return write.where(build, below, fired, write.zero_like(build, fired))
    if spike.surrogate is None:
        operand = translate(condition, _scope(frame, population), build)
        if operand is None:
            raise Unwritten
        return write.cast(build, operand.value, "float")
    return _above(frame, population, spike)


def _sides(frame: Frame, population: Population, spike: Spike) -> tuple[Value, Value]:
    """What fires where it is greater, and its threshold. Raises: Unwritten."""
    if spike.condition is not None and spike.crosses is not None:
        return _compared(frame, population, spike.condition, spike.crosses)
    match spike.condition:
        case Binary(operator=">", left=left, right=right):
            return _compared(frame, population, left, right)
        case Binary(operator="<", left=left, right=right):
            b, a = _compared(frame, population, left, right)
            return a, b
        case _:
            raise Unwritten  # analysis said so: CS321


def _near(frame: Frame, population: Population, spike: Spike, support: float) -> Value:
    """Where the surrogate has a slope."""
    assert spike.surrogate is not None
    build, (a, b) = frame.build, _sides(frame, population, spike)
    _, steepness = _surrogate(frame, population, spike.surrogate, a)
    u = write.mul(build, steepness, write.sub(build, a, b))
    return write.lt(build, write.abs(build, u), write.const(build, support))


def _above(frame: Frame, population: Population, spike: Spike) -> Value:
    build, (a, b) = frame.build, _sides(frame, population, spike)
    if spike.surrogate is None:
        return write.cast(build, write.gt(build, a, b), "float")
    name, steepness = _surrogate(frame, population, spike.surrogate, a)
    try:
        return build.one(Threshold(name), a, b, steepness, hint=train_of(population))
    except RuleError as error:
        raise frame.stop(error.code, error.message, spike.surrogate.span, label=error.label) from None


def _surrogate(frame: Frame, population: Population, surrogate: Expression, a: Value) -> tuple[str, Value]:
    """Its name and its steepness, 1 in the coherent unit where none is written."""
    build = frame.build
    match surrogate:
        case Call(function=Name(name), arguments=(argument,)) if argument.value is not None:
            operand = translate(argument.value, _scope(frame, population), build)
            if operand is None:
                raise Unwritten
            return name, operand.value
        case Call(function=Name(name)) | Name(name):
            return name, write.const(build, 1.0, DIMENSIONLESS / a.type.unit)
        case _:
            raise frame.stop("CS301", "this is no surrogate", surrogate.span)


def _compared(frame: Frame, population: Population, left: Expression, right: Expression) -> tuple[Value, Value]:
    """Both sides of a comparison; a literal 0 takes the unit of the other. Raises: Unwritten."""
    scope, build = _scope(frame, population), frame.build
    a, b = translate(left, scope, build), translate(right, scope, build)
    if a is None or b is None:
        raise Unwritten
    if b.zero:
        return a.value, write.zero_like(build, a.value)
    if a.zero:
        return write.zero_like(build, b.value), b.value
    return a.value, b.value


def _scope(frame: Frame, population: Population) -> Here:
    variable = frame.model.variables[train_of(population)]
    return Here(frame, variable.around or (*population.instance_axes, population.axis), variable)


def _steps(frame: Frame, population: Population, period: Expression) -> Value:
    """A refractory period in steps."""
    operand = translate(period, _scope(frame, population), frame.build)
    if operand is None:
        raise Unwritten
    if operand.zero:
        return write.const(frame.build, 0.0)
    return write.round(frame.build, write.div(frame.build, operand.value, frame.read("dt").value))


def _drawn(frame: Frame, population: Population, spike: Spike) -> Value:
    """Spikes of a train that is drawn, one draw a step, trial and neuron."""
    assert spike.distribution is not None
    path = train_of(population)
    variable = frame.model.variables[path]
    drawn = translate_draw(spike.distribution, _scope(frame, population), frame.build)
    if drawn is None:
        raise Unwritten
    axes = [variable.type.axis(name) for name in variable.axes_written]
    try:
        value = draw(frame.build, drawn, f"{path}#0", axes, frame.keys())
    except RuleError as error:
        raise frame.stop(error.code, error.message, spike.distribution.span, label=error.label) from None
    return write.cast(frame.build, value, "float")
