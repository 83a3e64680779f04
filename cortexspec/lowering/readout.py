"""Experiment-level expressions (losses, measures, penalties on recordings) as functions that run the circuit and read it, in one program.

Here all axes are written: [trial, time, instance, neuron, own...]. `x[time = end]` is the value after the last step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cortexspec.analysis.model import Model
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import Keys
from cortexspec.contracts.translate import Drawn, Scope, Window, translate
from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Module, Value
from cortexspec.ir.ops import write
from cortexspec.ir.types import Type
from cortexspec.lowering.declarations import TIME, TRIAL, Declarations
from cortexspec.lowering.frame import Frame, Here, Plan, Report, Unwritten, written_axes

Drive = Callable[[Module, Sequence[str], Sequence[str], str], Module]  # passes.drive, handed in by whoever runs passes


@dataclass(frozen=True, slots=True)
class Readout:
    """What one function computes: its outputs by name. `scalars` are averaged over the axes that they still have.

    `lets` are names that the expressions may read; `fields` inputs that the circuit has not, such as labels. Values of the
    IR have no order of axes: `written` is that of fields where it matters, `told` is given that of each output, by its name.
    `ends` are states whose value after the last step is an output too, as it is, under the name `NAME[time = end]`.
    """

    function: str
    outputs: Mapping[str, tree.Expression]
    scalars: bool = True
    total: Sequence[str] = ()  # outputs whose sum is given as "loss"
    lets: Mapping[str, tree.Expression] = field(default_factory=dict[str, tree.Expression])
    fields: Mapping[str, Type] = field(default_factory=dict[str, Type])
    written: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    told: Callable[[str, tuple[str, ...]], None] | None = None
    ends: Sequence[str] = ()


def lower_readout(
    model: Model, module: Module, readout: Readout, report: Report, drive: Drive, *, training: bool = False
) -> Module | None:
    """Adds the function of the readout to a module that has `step`; None after a mistake.

    Running buffers that the circuit renews while training are outputs under their own names.
    """
    failed: list[bool] = []

    def told(diagnostic: Diagnostic) -> None:
        failed.append(True)
        report(diagnostic)

    streams = [entry.value.name for entry in module.inputs if entry.stream]
    plan = Plan(model, Declarations.of(model, streams), told, training)
    needs = _Needs(module, model)
    outputs = {name: simplified(expression, model, module) for name, expression in readout.outputs.items()}
    lets = {name: simplified(expression, model, module) for name, expression in readout.lets.items()}
    for expression in outputs.values():
        needs.collect(expression, lets, at_end=False)
    needs.final |= dict.fromkeys(readout.ends)
    driven = drive(module, tuple(needs.recorded), tuple(needs.final), readout.function)
    rollout = driven.function(readout.function)
    writing = _Writing(plan, rollout, readout, lets)
    values = {name: value for name, one in outputs.items() if (value := writing.output(name, one)) is not None}
    if failed:
        return None
    if readout.total:
        values = {"loss": writing.added([values[name] for name in readout.total]), **values}
    values |= {f"{name}[time = end]": writing.given[f"{name}[time = end]"] for name in readout.ends}
    running = {b.value.name for b in module.buffers if b.role == "running"} & set(rollout.output_names)
    renewed = dict(zip(rollout.output_names, rollout.outputs, strict=True))
    values |= {name: renewed[name] for name in rollout.output_names if name in running}
    return driven.with_functions(**{readout.function: writing.function(values)})


def simplified(expression: tree.Expression, model: Model, module: Module) -> tree.Expression:
    """Names and members that are dotted paths of the circuit become references; `count(parameters)` a number."""
    match expression:
        case tree.Call(function=tree.Name("count"), arguments=(tree.Argument(value=value),)) if value is not None:
            prefix = _dotted(value)
            if prefix == "parameters" or prefix.endswith(".parameters"):
                number = _count(module, model, prefix.removesuffix("parameters"))
                return tree.Number(str(number), span=expression.span)
        case tree.Name() | tree.Member() | tree.Derivative():
            return resolved(expression, model)
        case _:
            pass
    return rebuilt(expression, lambda child: simplified(child, model, module))


def resolved(expression: tree.Expression, model: Model) -> tree.Expression:
    """Names and members that are dotted paths of the circuit become references."""
    if isinstance(expression, tree.Name | tree.Member | tree.Derivative):
        path = _dotted(expression)
        return tree.Reference(path, span=expression.span) if path and _known(path, model) else expression
    return rebuilt(expression, lambda child: resolved(child, model))


def _dotted(node: tree.Expression) -> str:
    match node:
        case tree.Name(name) | tree.Reference(name):
            return name
        case tree.Member(owner, name):
            inner = _dotted(owner)
            return f"{inner}.{name}" if inner else ""
        case tree.Derivative(operand, order):
            inner = _dotted(operand)
            return inner + "'" * order if inner else ""
        case _:
            return ""


def _known(path: str, model: Model) -> bool:
    groups = {group.path: group for group in model.groups}
    if (
        path in model.variables
        or path in groups
        or any(path == population.path for population in model.populations)
        or path.removesuffix(".arriving") in {p.path for p in model.projections}
    ):
        return True
    return any(
        path.startswith(f"{owner}.") and f"{group.members[0]}.{path.removeprefix(owner + '.')}" in model.variables
        for owner, group in groups.items()
    )


def _count(module: Module, model: Model, prefix: str) -> int:
    """How many numbers are trained, of the parameters whose path starts with `prefix`."""
    total = 0
    for param in module.params:
        if param.trainable and param.value.name.startswith(prefix):
            count = 1
            for axis in param.natural.axes:
                count *= axis.size.evaluate({**model.sizes, **module.sizes})
            total += count
    return total


def rebuilt(node: tree.Expression, change: Callable[[tree.Expression], tree.Expression]) -> tree.Expression:
    """The node with its children changed; the name of a called function and the names of axes stay."""

    def arguments(given: Sequence[tree.Argument]) -> tuple[tree.Argument, ...]:
        words = ("over", "by", "axis")
        return tuple(a if a.value is None or a.name in words else replace(a, value=change(a.value)) for a in given)

    match node:
        case tree.Unary():
            return replace(node, operand=change(node.operand))
        case tree.Binary():
            return replace(node, left=change(node.left), right=change(node.right))
        case tree.ListOf():
            return replace(node, items=tuple(change(item) for item in node.items))
        case tree.Call():
            return replace(node, arguments=arguments(node.arguments))
        case tree.Index():
            return replace(node, operand=change(node.operand), arguments=arguments(node.arguments))
        case _:
            return node


def is_end(argument: tree.Argument) -> bool:
    """Whether an index selects the value after the last step."""
    return (
        argument.name == "time"
        and isinstance(argument.value, tree.Name | tree.Reference)
        and _dotted(argument.value) == "end"
    )


class _Needs:
    """What must be recorded, and what is read after the last step only."""

    def __init__(self, module: Module, model: Model):
        self.module, self.model = module, model
        shown = [f.output_names for name in ("step", "output") if (f := module.functions.get(name)) is not None]
        self.moving = {name for names in shown for name in names} | {s.value.name for s in module.states}
        self.recorded: dict[str, None] = {}
        self.final: dict[str, None] = {}

    def collect(self, node: tree.Expression, lets: Mapping[str, tree.Expression], at_end: bool) -> None:
        match node:
            case tree.Reference(path) | tree.Name(path):
                if path in lets:
                    self.collect(lets[path], lets, at_end)
                for one in self.members(path):
                    if one in self.moving:
                        (self.final if at_end else self.recorded)[one] = None
            case tree.Index() if any(is_end(argument) for argument in node.arguments):
                self.collect(node.operand, lets, at_end=True)
            case tree.Call(arguments=arguments):  # a function may have the name of a let
                for argument in arguments:
                    if argument.value is not None:
                        self.collect(argument.value, lets, at_end)
            case _:
                for child in children(node):
                    self.collect(child, lets, at_end)

    def members(self, path: str) -> tuple[str, ...]:
        """The path itself, or the same of each member of a group."""
        for group in self.model.groups:
            if path.startswith(f"{group.path}."):
                rest = path.removeprefix(f"{group.path}.")
                return tuple(f"{member}.{rest}" for member in group.members)
        return (path,)


class _Writing:
    """The rollout's lines, then those of the readout."""

    def __init__(self, plan: Plan, rollout: Function, readout: Readout, lets: Mapping[str, tree.Expression]):
        self.plan, self.rollout, self.readout, self.lets = plan, rollout, readout, lets
        self.frame = Frame(plan, "penalty")
        names = Names.of(rollout)
        for name in (*plan.declared.names, *readout.fields):
            names.take(name)
        self.frame.build = Builder(names)
        self.frame.build.lines.extend(rollout.body)
        self.frame.inputs.update({value.name: value for value in rollout.inputs})
        self.given = dict(zip(rollout.output_names, rollout.outputs, strict=True))

    def output(self, name: str, expression: tree.Expression) -> Value | None:
        operand = translate(expression, _Experiment(self, at_end_only=False), self.frame.build)
        if operand is None:
            return None
        if self.readout.told is not None:
            self.readout.told(name, operand.axes)
        value = operand.value
        if self.readout.scalars and value.type.dtype in ("bool", "int"):
            value = write.cast(self.frame.build, value, "float")
        return write.mean(self.frame.build, value, value.type.axes) if self.readout.scalars else value

    def added(self, values: Sequence[Value]) -> Value:
        total = values[0]
        for value in values[1:]:
            total = write.add(self.frame.build, total, value)
        return total

    def function(self, outputs: Mapping[str, Value]) -> Function:
        return self.frame.function(self.readout.function, outputs)

    def read(self, path: str, at_end: bool) -> Operand:
        """Raises: KeyError, Unwritten."""
        if path in self.lets:
            return self.translated(self.lets[path], at_end)
        key = f"{path}[time = end]" if at_end else path
        if key in self.given:
            return self.recording(path, self.given[key])
        for penalty in self.plan.model.penalties:
            if penalty.name == path:
                return self.translated(penalty.value, at_end)
        if path in self.readout.fields:
            type_ = self.readout.fields[path]
            written = self.readout.written.get(path) or [axis.name for axis in type_.axes]
            return self.recording("", self.frame.input(Value(path, type_)), written)
        for group in self.plan.model.groups:
            if (
                path.startswith(f"{group.path}.")
                and path.removeprefix(f"{group.path}.")
                and self.moves(group.members[0], path, group.path)
            ):
                return self.joined(group.path, path, at_end)
        return self.frame.read(path)

    def translated(self, expression: tree.Expression, at_end: bool) -> Operand:
        operand = translate(expression, _Experiment(self, at_end), self.frame.build)
        if operand is None:
            raise Unwritten
        return operand

    def moves(self, member: str, path: str, owner: str) -> bool:
        name = f"{member}.{path.removeprefix(owner + '.')}"
        return name in self.given or f"{name}[time = end]" in self.given

    def recording(self, path: str, value: Value, own: Sequence[str] = ()) -> Operand:
        """A recorded value with its axes as an experiment writes them."""
        variable = self.plan.model.variables.get(path)
        written = written_axes(variable) if variable is not None else own
        order = [TRIAL.name, TIME.name, *(name for name in written if name not in (TRIAL.name, TIME.name))]
        order += [axis.name for axis in value.type.axes if axis.name not in order]
        return Operand(value, tuple(name for name in order if value.type.has(name)))

    def joined(self, owner: str, path: str, at_end: bool) -> Operand:
        """A group's variable from the recordings of its members."""
        group = next(group for group in self.plan.model.groups if group.path == owner)
        rest = path.removeprefix(f"{owner}.")
        for member in group.members:
            self.frame.known[f"{member}.{rest}"] = self.read(f"{member}.{rest}", at_end)
        try:
            operand = self.frame.group_variable(path)
        finally:
            for member in group.members:
                del self.frame.known[f"{member}.{rest}"]
        return self.recording("", operand.value, [TRIAL.name, TIME.name, *operand.axes])


class _Experiment(Scope):
    """Names as an experiment sees them; nothing is around."""

    def __init__(self, writing: _Writing, at_end_only: bool):
        self.writing, self.at_end_only = writing, at_end_only
        plan = writing.plan
        self.functions, self.distributions, self.sizes = plan.functions, plan.distributions, plan.model.sizes

    def read(self, path: str, build: Builder) -> Operand | None:
        try:
            return self.writing.read(path, self.at_end_only)
        except Unwritten:
            return None

    def call(self, path: str, arguments: Sequence[Operand], build: Builder, span: Span | None) -> Operand | None:
        self.report(Diagnostic("CS700", "calling a part of the circuit from an experiment is not supported yet", span))
        return None

    def draw(self, drawn: Drawn, build: Builder) -> Operand | None:
        self.report(Diagnostic("CS700", "a draw in a measure is not supported yet", drawn.span))
        return None

    def chance(self, span: Span | None) -> tuple[str, Keys] | None:
        self.report(Diagnostic("CS700", "a draw in a measure is not supported yet", span))
        return None

    def window(self, axis: str, path: str) -> Window | None:
        return Here(self.writing.frame, ()).window(axis, path)

    def at_end(self) -> Scope | None:
        return _Experiment(self.writing, at_end_only=True)

    def report(self, diagnostic: Diagnostic) -> None:
        self.writing.plan.report(diagnostic)
