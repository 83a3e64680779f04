"""Model to IR: `wiring`, `start`, `constrain`, `unconstrain`, `project`, `init`, `derivative`, `update`, `output`, `penalty`;
with spikes also `jump`, `hold`, `level`, `fire` and `seen` (lowering/spikes.py).

Every function reads raw parameters under their dotted names. States and inputs have the axis `trial`; a part array is one
batched array along its instance axis, so the number of operations does not depend on how many instances there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from cortexspec.analysis.model import Model, Start, Variable
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.translate import fit, translate
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions.tree import Expression
from cortexspec.ir.module import Function, Input, Layout, Module, Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError
from cortexspec.lowering import neuron, parameters, spikes, wiring
from cortexspec.lowering.connection import past_start, port
from cortexspec.lowering.declarations import Declarations
from cortexspec.lowering.delays import delayed, past_of
from cortexspec.lowering.depends import reads_state, reads_step
from cortexspec.lowering.frame import Frame, Here, Plan, Report, Unwritten, guarded, written_axes
from cortexspec.lowering.trains import sends_spikes
from cortexspec.lowering.unsupported import unsupported


def lower(
    model: Model,
    report: Report,
    *,
    training: bool = False,
    streams: Iterable[str] = (),
    stimuli: Mapping[str, Expression] | None = None,
    sparse: Iterable[str] = (),
) -> Module | None:
    """The module of a circuit; None after a mistake, which `report` was told.

    `training`: batch norm and dropout as they are while training. `streams`: inputs with one frame a step. `stimuli`: what
    takes the place of an input, as an expression that may read the input. `sparse`: the projections whose drawn connections
    are summed from a table of what each target has, in the place of a matrix.
    """
    found = list(unsupported(model))
    # A neuron type used by many populations is reported once.
    said: dict[object, Diagnostic] = {}

    def told(diagnostic: Diagnostic) -> None:
        key = (diagnostic.code, diagnostic.message, diagnostic.span)
        if key not in said:
            said[key] = diagnostic
            report(diagnostic)

    for diagnostic in found:
        told(diagnostic)
    if found:
        return None

    tables = frozenset(sparse)
    plan = Plan(model, Declarations.of(model, streams, tables), told, training, stimuli or {}, tables)
    by = neuron.shown_by(model)
    functions = [
        wiring.wiring(plan),
        wiring.delays(plan),
        parameters.start(plan),
        parameters.unconstrain(plan),
        parameters.constrain(plan),
        parameters.project(plan),
        init(plan),
        neuron.derivative(plan, shown=by == "derivative"),
        neuron.update(plan, shown=by == "update"),
        neuron.shown(plan) if by == "seen" else None,
        spikes.jump(plan),
        spikes.hold(plan),
        spikes.level(plan),
        spikes.fire(plan),
        output(plan),
        penalty(plan),
    ]
    inputs = tuple(_with_default(plan, entry) for entry in plan.declared.inputs.values())
    if said:
        return None
    declared = plan.declared
    return Module(
        model.circuit,
        tuple(declared.params.values()),
        tuple(declared.buffers.values()),
        tuple(declared.states.values()),
        inputs,
        MappingProxyType({function.name: function for function in functions if function is not None}),
        Layout(("trial",)),
        MappingProxyType(dict(model.sizes)),
    )


def _with_default(plan: Plan, entry: Input) -> Input:
    """The input with the number that stands in where nothing is given."""
    variable = plan.model.variables[entry.value.name]
    if variable.value is None:
        return entry
    with guarded():
        frame = Frame(plan, "start")
        operand = translate(variable.value, Here(frame, variable.around, variable), frame.build)
        if operand is not None and operand.literal is not None and operand.literal.ndim == 0:
            return replace(entry, default=float(operand.literal))
    return entry


def init(plan: Plan) -> Function:
    """The initial states, and the running buffers that parts renew on the way."""
    frame = Frame(plan, "init")
    frame.port, frame.state_start = port, _state_start
    outputs: dict[str, Value] = {}
    for path in plan.declared.states:
        with guarded():
            outputs[path] = frame.spread(
                path, frame.read(path) if path in plan.model.variables else _nothing(frame, path)
            )
    return frame.function("init", {**outputs, **frame.running})


def _nothing(frame: Frame, path: str) -> Operand:
    """The start of what no spec declares: before the first step nobody fired, and other sources were as they are then."""
    for projection in delayed(frame.model):
        if path == past_of(frame.model, projection) and not sends_spikes(frame.model, projection):
            return Operand(past_start(frame, projection))
    return Operand(write.const(frame.build, 0.0, frame.declared.states[path].value.type.unit))


def _state_start(frame: Frame, path: str) -> Operand:
    """From a `start` statement, one for a group the state is of, or the state's own declaration. Raises: Unwritten."""
    variable = frame.model.variables[path]
    for start in reversed(frame.model.starts):
        if start.target == path:
            return _started(frame, start, variable)
        whole = _start_of_group(frame, start, path)
        if whole is not None:
            return whole
    if variable.draw is not None:
        return frame.drawn(variable)
    if variable.value is not None:
        return frame.translated(variable, variable.value)
    return Operand(write.const(frame.build, 0.0, variable.type.unit))


def _started(frame: Frame, start: Start, variable: Variable) -> Operand:
    scope = Here(frame, start.around, variable)
    operand = translate(start.value, scope, frame.build)
    if operand is None:
        raise Unwritten
    own = [name for name in written_axes(variable) if name not in start.around]
    try:
        fitted = fit(frame.build, operand, variable.type, own)
    except RuleError as error:
        raise frame.stop(error.code, error.message, start.value.span, label=error.label, help=error.help) from None
    return frame.whole(variable, fitted.value)


def _start_of_group(frame: Frame, start: Start, path: str) -> Operand | None:
    """The member's stretch of a group's start; None where the group does not have the state."""
    try:
        group, rest = frame.group_of(start.target)
    except KeyError:
        return None
    member = next((m for m in group.members if f"{m}.{rest}" == path), None)
    if member is None:
        return None
    whole = _whole_start(frame, start)
    before = Size.of(0)
    for other in group.members[: group.members.index(member)]:
        before = before + frame.member_axis(group, other, rest).size
    axis = frame.member_axis(group, member, rest)
    variable = frame.model.variables[path]
    if not whole.type.has(group.axis):
        return frame.whole(variable, whole.value)
    value = write.slice_(frame.build, whole.value, group.axis, before, before + axis.size, axis)
    return frame.whole(variable, value)


def _whole_start(frame: Frame, start: Start) -> Operand:
    """The value of a group's start, written once."""
    key = f"start {start.target}"
    if key not in frame.known:
        group, rest = frame.group_of(start.target)
        first = frame.variable_of(group.members[0], rest)
        axis = frame.member_axis(group, group.members[0], rest)
        total = Size.of(0)
        for member in group.members:
            total = total + frame.member_axis(group, member, rest).size
        axes = (*first.type.without([axis.name]), Axis(group.axis, total))
        order = tuple(group.axis if name == axis.name else name for name in written_axes(first))
        frame.known[key] = _started(frame, start, _as_group(first, axes, order))
    return frame.known[key]


def _as_group(variable: Variable, axes: tuple[Axis, ...], order: tuple[str, ...]) -> Variable:
    return replace(variable, type=variable.type.with_axes(axes), axes_written=order)


def output(plan: Plan) -> Function | None:
    """What the circuit and its populations show of their states; a `let` of the circuit where it reads a state."""
    frame = Frame(plan, "output")
    frame.port = port
    model = plan.model
    outputs: dict[str, Value] = {}
    own = [path for population in model.populations for path in population.outputs if path not in plan.declared.states]
    for path in (*model.outputs, *own, *(path for path in model.lets if reads_state(model, path))):
        if not reads_step(model, path):
            with guarded():
                outputs[path] = frame.read(path).value
    return frame.function("output", {**outputs, **frame.running}) if outputs else None


def penalty(plan: Plan) -> Function | None:
    """Each penalty of the circuit under its name: a number from parameters alone."""
    if not plan.model.penalties:
        return None
    frame = Frame(plan, "penalty")
    outputs: dict[str, Value] = {}
    for one in plan.model.penalties:
        with guarded():
            operand = translate(one.value, Here(frame, ()), frame.build)
            if operand is not None:
                outputs[one.name] = write.sum_(frame.build, operand.value, operand.type.axes)
    return frame.function("penalty", outputs)
