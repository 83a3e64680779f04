"""Equations of any order become slopes of states; `<-` updates become new states; what is recorded is given beside them."""

from __future__ import annotations

from collections.abc import Iterator

from cortexspec.analysis.model import Equation, Model, Population, Variable
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import fit, translate
from cortexspec.expressions.linear import ONE, NotLinear, solve
from cortexspec.expressions.tree import Derivative, Expression, Reference
from cortexspec.ir.module import Function, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.constant import Const
from cortexspec.ir.ops.random import Bernoulli
from cortexspec.ir.types import RuleError, Type
from cortexspec.lowering.connection import delivered, next_past, port
from cortexspec.lowering.delays import delayed, past_of
from cortexspec.lowering.depends import reads_step
from cortexspec.lowering.frame import Frame, Here, Plan, Unwritten, guarded, written_axes
from cortexspec.lowering.renewed import new_state
from cortexspec.lowering.trains import has_trains


def derivative(plan: Plan, shown: bool) -> Function | None:
    """The slope of every state that has an equation, under the state's name; with `shown` also what a recording may read.

    An equation of order n gives n states: `v' ` is the slope of `v`, and the last one is what the equation is solved for.
    """
    equations = list(equations_of(plan.model))
    if not equations:
        return None
    frame = Frame(plan, "step")
    frame.port, frame.highest, frame.impulses = port, highest, "none"
    outputs: dict[str, Value] = {}
    for equation in equations:
        for order in range(equation.order):
            with guarded():
                path = equation.state + "'" * order
                outputs[path] = frame.spread(path, frame.read(path + "'"))
    if shown:
        outputs |= seen(frame)
    return frame.function("derivative", {**outputs, **frame.running})


def equations_of(model: Model) -> Iterator[Equation]:
    """Those of neurons, then those of synapses."""
    for population in model.populations:
        yield from population.equations
    for projection in model.projections:
        if projection.synapse is not None:
            yield from projection.synapse.equations


def shown_by(model: Model) -> str:
    """The function that gives what a recording reads of a step: one of its own where a train is silent in the slopes."""
    if has_trains(model):
        return "seen"
    return "derivative" if next(equations_of(model), None) is not None else "update"


def shown(plan: Plan) -> Function:
    """What a recording may read of the states that a step integrates from, where spikes have arrived already."""
    frame = Frame(plan, "step")
    frame.port, frame.highest = port, highest
    outputs = seen(frame)
    return frame.function("seen", {**outputs, **frame.running})


def update(plan: Plan, shown: bool) -> Function | None:
    """The new value of every state with a `<-`, and of what delays carry, under the state's name. All right sides see the old states."""
    late = list(delayed(plan.model))
    if not late and not any(population.updates for population in plan.model.populations):
        return None
    frame = Frame(plan, "step")
    frame.port, frame.highest = port, highest
    outputs: dict[str, Value] = {}
    for population in plan.model.populations:
        for one in population.updates:
            with guarded():
                operand = new_state(frame, one.state)
                outputs[one.state] = _kept(frame, population, one.state, frame.spread(one.state, operand))
    for projection in late:
        with guarded():
            past = past_of(plan.model, projection)
            outputs[past] = frame.spread(past, Operand(next_past(frame, projection)))
    if shown:
        outputs |= seen(frame)
    return frame.function("update", {**outputs, **frame.running})


def _kept(frame: Frame, population: Population, state: str, new: Value) -> Value:
    """A state that is no number stays none, so that a probability outside [0, 1] at any step is still seen after the last.

    Only where the population draws by a probability that is not written: others cannot become a number again.
    """
    lines = frame.build.lines
    sites = [
        line.op.site for line in lines if isinstance(line.op, Bernoulli) and not _is_written(frame, line.operands[0])
    ]
    if not any(site.startswith(f"{population.path}.") for site in sites):
        return new
    old = frame.input(frame.declared.states[state].value)
    return write.where(frame.build, write.eq(frame.build, old, old), new, old)


def _is_written(frame: Frame, p: Value) -> bool:
    return any(isinstance(line.op, Const) and p in line.results for line in frame.build.lines)


def seen(frame: Frame) -> dict[str, Value]:
    """What a recording may read as the step used it: lets, what arrives at ports and from projections, feed-through outputs."""
    found: dict[str, Value] = {}
    model = frame.model
    for population in model.populations:
        for path in (*population.lets, *population.ports):
            with guarded():
                found[path] = frame.read(path).value
        for path in population.outputs:
            if path not in frame.declared.states and reads_step(model, path):
                with guarded():
                    found[path] = frame.read(path).value
    for target in dict.fromkeys(projection.target for projection in model.projections):
        with guarded():  # inputs of inner circuits, beside the ports of populations
            found.setdefault(target, frame.read(target).value)
    for projection in model.projections:
        with guarded():
            found[f"{projection.path}.arriving"] = delivered(frame, projection).value
    return found


def highest(frame: Frame, path: str) -> Operand:
    """The highest derivative of a state, from its equation. Raises: KeyError where no equation has it."""
    state = path.rstrip("'")
    for equation in equations_of(frame.model):
        if equation.state == state and path == state + "'" * equation.order:
            return _solved(frame, equation, path)
    raise KeyError(path)


def _solved(frame: Frame, equation: Equation, path: str) -> Operand:
    def is_target(node: Expression) -> bool:
        match node:
            case Reference(name):
                return name == path
            case Derivative(operand=Reference(name), order=order):
                return name + "'" * order == path
            case _:
                return False

    try:
        numerator, denominator = solve(equation.left, equation.right, is_target)
    except NotLinear as error:
        message = f"the equation of `{equation.state}` is not linear in its highest derivative"
        raise frame.stop("CS509", message, error.span or equation.span) from None
    variable = frame.model.variables[equation.state]
    slope = slope_type(frame, variable, equation.order)
    scope = Here(frame, _around(frame.model, variable), variable)
    top = translate(numerator, scope, frame.build)
    bottom = None if denominator is ONE else translate(denominator, scope, frame.build)
    if top is None or (bottom is None and denominator is not ONE):
        raise Unwritten
    try:
        wanted = slope if bottom is None else slope.with_unit(slope.unit * bottom.type.unit)
        own = [name for name in written_axes(variable) if name not in variable.around]
        top = fit(frame.build, top, wanted, own)
        value = top.value if bottom is None else write.div(frame.build, top.value, bottom.value)
    except RuleError as error:
        raise frame.stop(error.code, error.message, equation.span, label=error.label, help=error.help) from None
    return frame.whole(variable, value)


def _around(model: Model, variable: Variable) -> tuple[str, ...]:
    """The axes that the equations of a neuron or a synapse do not write."""
    for population in model.populations:
        if variable.path.startswith(f"{population.path}."):
            return variable.around or (*population.instance_axes, population.axis)
    return variable.around or tuple(axis.name for axis in variable.type.axes)


def slope_type(frame: Frame, variable: Variable, order: int) -> Type:
    """The type of the derivative of that order."""
    return variable.type.with_unit(variable.type.unit / frame.model.time_unit**order)
