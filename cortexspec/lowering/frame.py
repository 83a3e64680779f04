"""One function of the module while it is written: what every dotted path means there, each value written once."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from cortexspec.analysis.model import Group, Model, Part, Variable
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import DistributionEntry, FunctionEntry, Keys, PartContext
from cortexspec.contracts.translate import Drawn, Scope, Window, fit, translate, translate_draw
from cortexspec.diagnostics import Diagnostic, Span
from cortexspec.expressions.tree import Expression
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.library.distributions import draw
from cortexspec.lowering import entries, sides
from cortexspec.lowering.declarations import SEED, STEP_NUMBER, TRIAL, TRIAL_NUMBER, WIRING_SEED, Declarations
from cortexspec.lowering.sides import written_axes
from cortexspec.lowering.trains import count_of, is_train
from cortexspec.lowering.unsupported import NO_FOLDER
from cortexspec.lowering.whole import shrinks

Phase = Literal["start", "init", "step", "output", "penalty"]
Report = Callable[[Diagnostic], None]


class Unwritten(Exception):
    """A value could not be written; the mistake was reported."""


def _data(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, object]) -> Operand:
    raise RuleError("CS901", NO_FOLDER)


# What analysis leaves as a call where there is no folder to read from.
_LATER = {"data": FunctionEntry("data", _data, (0, 0), static=("file", "key"))}


@dataclass(frozen=True, slots=True)
class Plan:
    """What all functions of a module share. `functions` are those of the expression language, with the plugins'."""

    model: Model
    declared: Declarations
    report: Report
    training: bool = False
    stimuli: Mapping[str, Expression] = field(default_factory=dict[str, Expression])
    sparse: frozenset[str] = frozenset()  # projections that are summed from a table of what each target has
    functions: Mapping[str, FunctionEntry] = field(init=False)
    distributions: Mapping[str, DistributionEntry] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "functions", {**entries.functions(self.model), **_LATER})
        object.__setattr__(self, "distributions", entries.distributions(self.model))

    @property
    def parts(self) -> Mapping[str, Part]:
        return {part.path: part for part in self.model.parts}


class Frame:
    """Writes a function. `read(path)` gives the value of a variable with all its axes; reading it again costs nothing.

    A value keeps the axes it depends on: what is the same for all trials, instances or neurons has no such axis.
    """

    def __init__(self, plan: Plan, phase: Phase):
        self.plan, self.phase = plan, phase
        self.model, self.declared = plan.model, plan.declared
        taken = [*plan.declared.names, "t", "dt", "n", "seed", "trial"]
        self.build = Builder(Names(taken))
        self.inputs: dict[str, Value] = {}
        self.known: dict[str, Operand] = {}
        self.running: dict[str, Value] = {}
        self.open: list[str] = []
        self.port: Callable[[Frame, str], Operand] | None = None
        self.state_start: Callable[[Frame, str], Operand] | None = None
        self.highest: Callable[[Frame, str], Operand] | None = None
        # How trains read: as spikes per time, not at all, or each as a placeholder whose impulse is in `arrivals`.
        self.impulses: Literal["rate", "none", "jump", "count"] = "rate"
        self.counts: dict[str, Operand] = {}  # what is known while trains read as counts
        self.arrivals: dict[str, tuple[Value, Value]] = {}
        self._parts = plan.parts

    # Reading.

    def read(self, path: str) -> Operand:
        """Raises: KeyError for an unknown path, Unwritten after a mistake."""
        if path in self.known:
            return self.known[path]
        if path in self.open:
            raise self.stop("CS508", f"`{path}` depends on itself within a step", self.span_of(path))
        self.open.append(path)
        before, self.build.span = self.build.span, self.span_of(path) or self.build.span
        try:
            operand = self.find(path)
        finally:
            self.open.pop()
            self.build.span = before
        self.known[path] = operand
        return operand

    def find(self, path: str) -> Operand:
        if path in ("t", "dt"):
            return Operand(self.input(Value(path, Type((), "float", self.model.time_unit))))
        if path == "training":
            value = self.plan.training
            return Operand(write.boolean(self.build, value), (), np.array(value))
        variable = self.model.variables.get(path)
        if variable is None and path.endswith("'") and self.highest is not None:
            if path.rstrip("'") in self.declared.states:
                return self.highest(self, path)
        if variable is None:
            return self.group_variable(path)
        if variable.kind == "data":
            return Operand(self.input(self.declared.buffers[path].value), variable.axes_written, anonymous=True)
        if path in self.declared.params and self.phase != "start":
            return self.whole(variable, self.natural(path))
        if path in self.declared.buffers and self.phase != "start":
            return self.whole(variable, self.input(self.declared.buffers[path].value))
        if variable.kind == "state":
            return self.state(variable)
        if path in self.declared.inputs:
            return self.outer(variable)
        if variable.kind == "input":
            if self.port is None:
                raise self.stop("CS700", f"reading the input `{path}` here is not supported yet", variable.span)
            return self.port(self, path)
        if variable.kind == "noise":
            return self.noise(variable)
        if is_train(self.model, path):
            return self.whole(variable, self.impulse(path, self.input(self.declared.states[count_of(path)].value)))
        if variable.kind == "constant":
            return self.translated(variable, variable.value)
        if variable.draw is not None:
            return self.drawn(variable)
        return self.translated(variable, variable.value)

    def whole(self, variable: Variable, value: Value) -> Operand:
        """A value with the axes of its declaration in their written order."""
        return Operand(value, tuple(name for name in written_axes(variable) if value.type.has(name)))

    def noise(self, variable: Variable) -> Operand:
        """White noise is an input of the derivative; the solver `euler_maruyama` draws it."""
        if self.phase != "step":
            raise self.stop("CS700", f"reading the noise `{variable.path}` here is not supported yet", variable.span)
        type_ = variable.type.with_axes((*variable.type.axes, TRIAL))
        return self.whole(variable, self.input(Value(variable.path, type_)))

    def impulse(self, name: str, amount: Value) -> Value:
        """What delivers this amount at once, as a quantity per time."""
        type_ = amount.type.with_unit(amount.type.unit / self.model.time_unit)
        if self.impulses == "none":
            return write.zeros(self.build, type_)
        if self.impulses == "count":
            return amount
        if self.impulses == "rate":
            return write.div(self.build, amount, self.read("dt").value)
        if name not in self.arrivals:
            self.arrivals[name] = Value(self.build.names.fresh(f"{name}.impulse"), type_), amount
        return self.arrivals[name][0]

    @contextmanager
    def counting(self) -> Generator[None]:
        """Inside, a train reads as the number of spikes that its neurons send at the beginning of the step."""
        before, known = self.impulses, self.known
        self.impulses, self.known = "count", self.counts
        try:
            yield
        finally:
            self.impulses, self.known = before, known

    def state(self, variable: Variable) -> Operand:
        path = variable.path
        if self.phase == "init" and self.state_start is not None:
            return self.state_start(self, path)
        if self.phase not in ("step", "output"):
            raise self.stop("CS700", f"reading the state `{path}` here is not supported yet", variable.span)
        return self.whole(variable, self.input(self.declared.states[path].value))

    def outer(self, variable: Variable) -> Operand:
        """An input of the circuit, or the stimulus that takes its place; in the stimulus the name is what comes in."""
        path, come_in = variable.path, self.input(self.declared.inputs[variable.path].value)
        stimulus = self.plan.stimuli.get(path)
        if stimulus is None or f"stimulus {path}" in self.open:
            return self.whole(variable, come_in)
        self.open.remove(path)
        self.open.append(f"stimulus {path}")
        try:
            self.known[path] = self.whole(variable, come_in)
            return self.translated(variable, stimulus)
        finally:
            self.open.remove(f"stimulus {path}")
            self.open.append(path)
            del self.known[path]

    def natural(self, path: str) -> Value:
        """A parameter's natural value from the raw one."""
        param = self.declared.params[path]
        raw = self.input(param.value)
        if not param.reparametrised:
            return raw
        from cortexspec.lowering.parameters import constrained

        return constrained(self, path, raw)

    def input(self, value: Value) -> Value:
        self.build.names.take_value(value)
        return self.inputs.setdefault(value.name, value)

    def translated(self, variable: Variable, expression: Expression | None) -> Operand:
        """The value of an expression, as the variable declares it."""
        if expression is None:
            raise self.stop("CS301", f"`{variable.path}` has no value", variable.span)
        scope = Here(self, variable.around, variable)
        operand = translate(expression, scope, self.build)
        if operand is None:
            raise Unwritten
        return self.as_declared(variable, operand, expression.span)

    def as_declared(self, variable: Variable, operand: Operand, span: Span | None) -> Operand:
        own = [name for name in written_axes(variable) if name not in variable.around]
        if operand.anonymous and len(operand.axes) > len(own):  # a list with one value a neuron
            own = list(written_axes(variable))
        operand = self.at_places(variable, operand, own)
        try:
            operand = fit(self.build, operand, variable.type, own)
        except RuleError as error:
            raise self.stop(error.code, error.message, span, label=error.label, help=error.help) from None
        missing = [variable.type.axis(name) for name in own if not operand.type.has(name)]
        value = write.expand(self.build, operand.value, missing)
        whole = self.whole(variable, value)
        return replace(whole, literal=operand.literal if whole.axes == operand.axes else None)

    def at_places(self, variable: Variable, operand: Operand, own: Sequence[str]) -> Operand:
        """A list along the connections that are left of those drawn. It has one value for each drawn, which `runtime.wiring` checks."""
        if len(operand.axes) > len(own) or not (operand.anonymous or len(operand.axes) == len(own)):
            return operand
        for name, wanted in zip(operand.axes, own[len(own) - len(operand.axes) :], strict=True):
            places = self.declared.buffers.get(f"{wanted.removesuffix('.edge')}.place")
            if variable.type.axis(wanted).role == "edge" and places is not None and name not in own:
                value = write.gather(self.build, operand.value, self.input(places.value), name)
                axes = tuple(wanted if axis == name else axis for axis in operand.axes)
                operand = replace(operand, value=value, axes=axes, literal=None)
        return operand

    def drawn(self, variable: Variable) -> Operand:
        """`~ D`: one draw an element, along the declared axes in their written order.

        Where populations were removed, the draws of the whole circuit stand in, cut to what is left (`runtime.start`).
        """
        if shrinks(self.model, variable.path):
            return self.whole(variable, self.input(Value(variable.path, variable.type)))
        scope = Here(self, variable.around, variable)
        assert variable.draw is not None
        drawn = translate_draw(variable.draw, scope, self.build)
        if drawn is None:
            raise Unwritten
        axes = [variable.type.axis(name) for name in written_axes(variable)]
        try:
            value = draw(self.build, drawn, f"{variable.path}#0", axes, self.keys(variable))
        except RuleError as error:
            raise self.stop(error.code, error.message, variable.draw.span, label=error.label) from None
        return self.as_declared(variable, self.whole(variable, value), variable.draw.span)

    def keys(self, variable: Variable | None = None) -> Keys:
        """Parameters, wiring and definitions of the circuit know the seed alone, initial states the trial, a step the step too."""
        of_circuit = variable is not None and (
            variable.kind in ("param", "attribute", "constant") or variable.path in self.model.lets
        )
        if of_circuit and self.phase != "start" and WIRING_SEED.name in self.declared.buffers:
            return Keys(self.input(WIRING_SEED))
        seed = self.input(SEED)
        if of_circuit or self.phase in ("start", "penalty"):
            return Keys(seed)
        trial = self.input(TRIAL_NUMBER)
        return Keys(seed, trial, self.input(STEP_NUMBER)) if self.phase == "step" else Keys(seed, trial)

    def as_matrix(self, path: str, operand: Operand) -> Operand:
        """One value a connection, read in an expression, is the matrix [target, source] with 0 where there is none."""
        from cortexspec.lowering.wiring import weight_matrix

        projection = next(p for p in self.model.projections if path.startswith(f"{p.path}."))
        return weight_matrix(self, projection, operand)

    # Groups.

    def group_variable(self, path: str) -> Operand:
        """`V.cells.v`: the members' values end to end. Raises: KeyError."""
        group, rest = self.group_of(path)
        operands = [self.read(f"{member}.{rest}" if rest else member) for member in group.members]
        axes = [self.member_axis(group, member, rest) for member in group.members]
        total = Size.of(0)
        for axis in axes:
            total = total + axis.size
        joined = Axis(group.axis, total)
        whole = [
            write.expand(self.build, o.value, [] if o.type.has(axis.name) else [axis])
            for o, axis in zip(operands, axes, strict=True)
        ]
        value = write.concat(self.build, whole, [axis.name for axis in axes], joined)
        first = self.variable_of(group.members[0], rest)
        order = [group.axis if name == axes[0].name else name for name in written_axes(first)]
        return Operand(value, tuple(name for name in order if value.type.has(name)))

    def group_of(self, path: str) -> tuple[Group, str]:
        """The group and what is read of its members. Raises: KeyError."""
        return sides.group_of(self.model, path)

    def variable_of(self, member: str, rest: str) -> Variable:
        return sides.variable_of(self.model, member, rest)

    def member_axis(self, group: Group, member: str, rest: str) -> Axis:
        """The axis of a member that is joined: its population's, or the last one of a variable."""
        return sides.member_axis(self.model, member, rest)

    def size(self, group: Group, member: str) -> int:
        """How many neurons a member has."""
        for population in self.model.populations:
            if population.path == member:
                path = next(iter((*population.states, *population.outputs, *population.params)))
                return self.model.variables[path].type.axis(population.axis).size.evaluate(self.model.sizes)
        variable = self.model.variables[member]
        return variable.type.axis(written_axes(variable)[-1]).size.evaluate(self.model.sizes)

    def is_single(self, group: Group, member: str) -> bool:
        """A population of fixed size 1."""
        populations = {population.path for population in self.model.populations}
        return member in populations and self.size(group, member) == 1

    def index(self, variable: Variable | None) -> Operand:
        """0, 1, 2, ... along the neurons of the population whose variable is being written."""
        around = variable.around if variable is not None else ()
        owners = [p for p in self.model.populations if variable is not None and variable.path.startswith(f"{p.path}.")]
        name = owners[0].axis if owners else next(iter(around[-1:]), "")
        if variable is None or not variable.type.has(name):
            raise self.stop("CS700", "`index` at this place is not supported yet", variable.span if variable else None)
        places = write.cast(self.build, write.iota(self.build, variable.type.axis(name)), "float")
        return Operand(places, () if name in around else (name,))

    # Parts.

    def call(self, path: str, arguments: Sequence[Operand], span: Span | None) -> Operand:
        """Raises: KeyError, RuleError, Unwritten."""
        part = self._parts[path]
        if part.builtin:
            return self.call_builtin(part, arguments)
        formals = [self.model.variables[self.formal(part, name)] for name in part.inputs]
        inside = {*part.inputs, *part.lets, *part.outputs, *(variable.path for variable in formals)}
        kept = {name: self.known.pop(name) for name in inside if name in self.known}
        for variable, argument in zip(formals, arguments, strict=True):
            self.known[variable.path] = self.given(variable, argument, span)
        try:
            result = self.read(part.outputs[0])
        finally:
            for name in inside:
                self.known.pop(name, None)
            self.known.update(kept)
        around = set(self.model.variables[part.outputs[0]].around)
        return replace(result, axes=tuple(name for name in result.axes if name not in around))

    def formal(self, part: Part, name: str) -> str:
        return name if name in self.model.variables else f"{part.path}.{name}"

    def given(self, variable: Variable, argument: Operand, span: Span | None) -> Operand:
        """An argument under the formal's declared axes, by position."""
        own = [name for name in written_axes(variable) if name not in variable.around]
        if len(own) != len(argument.axes):
            return argument
        names = dict(zip(argument.axes, own, strict=True))
        value = write.rename(self.build, argument.value, names)
        return self.as_declared(variable, Operand(value, tuple(own), argument.literal, argument.anonymous), span)

    def call_builtin(self, part: Part, arguments: Sequence[Operand]) -> Operand:
        entry = entries.parts(self.model)[part.function]
        if len(arguments) != 1:
            raise RuleError("CS301", f"`{part.path}` takes one input, not {len(arguments)}")
        names = [path.removeprefix(f"{part.path}.") for path in self.model.variables if self.belongs(path, part)]
        parameters = {name: self.read(f"{part.path}.{name}").value for name in names}
        keys = self.keys() if self.plan.training else Keys()
        context = PartContext(part.path, part.settings, self.plan.training, keys)
        operand, running = entry.write(self.build, arguments[0], parameters, context)
        self.running |= {f"{part.path}.{name}": value for name, value in running.items()}
        return operand

    def belongs(self, path: str, part: Part) -> bool:
        return path.startswith(f"{part.path}.") and "." not in path.removeprefix(f"{part.path}.")

    # The end.

    def function(self, name: str, outputs: Mapping[str, Value]) -> Function:
        """The function, with what its lines read, in the order of the declarations."""
        order = [*self.declared.params, *self.declared.buffers, *self.declared.states, *self.declared.inputs]
        place = {path: i for i, path in enumerate(order)}
        read = {value.name for value in outputs.values()} | {v.name for line in self.build.lines for v in line.operands}
        inputs = [value for value in self.inputs.values() if value.name in read]
        inputs.sort(key=lambda value: place.get(value.name, len(place)))
        return self.build.function(name, inputs, outputs.values(), outputs.keys())

    def spread(self, path: str, operand: Operand) -> Value:
        """A state's value with all axes of the state, the trial among them."""
        axes = self.declared.states[path].value.type.axes
        return write.expand(self.build, operand.value, [axis for axis in axes if not operand.type.has(axis.name)])

    def stop(self, code: str, message: str, span: Span | None, *, label: str = "", help: str = "") -> Unwritten:
        self.plan.report(Diagnostic(code, message, span, label, help))
        return Unwritten()

    def span_of(self, path: str) -> Span | None:
        variable = self.model.variables.get(path)
        return variable.span if variable is not None else None


class Here(Scope):
    """The names as one declaration sees them: the axes around it are not written. Its draws are numbered as they stand."""

    def __init__(self, frame: Frame, around: Iterable[str], variable: Variable | None = None):
        self.frame, self.around, self.variable = frame, frozenset(around), variable
        self.functions, self.distributions = frame.plan.functions, frame.plan.distributions
        self.sizes = frame.model.sizes
        self.draws: Iterator[int] = iter(range(1_000_000))

    def read(self, path: str, build: Builder) -> Operand | None:
        try:
            operand = self.frame.index(self.variable) if path == "index" else self.frame.read(path)
        except Unwritten:
            return None
        variable = self.frame.model.variables.get(path)
        if any(axis.role == "edge" for axis in operand.type.axes):
            operand = self.frame.as_matrix(path, operand)
        around = self.around | {*variable.around} if variable is not None and variable.side else self.around
        return replace(operand, axes=tuple(name for name in operand.axes if name not in around))

    def call(self, path: str, arguments: Sequence[Operand], build: Builder, span: Span | None) -> Operand | None:
        try:
            return self.frame.call(path, arguments, span)
        except Unwritten:
            return None

    def draw(self, drawn: Drawn, build: Builder) -> Operand | None:
        """A draw inside an expression: one value an element of what the expression defines."""
        variable = self.variable
        if variable is None:
            self.report(Diagnostic("CS700", "a draw at this place is not supported yet", drawn.span))
            return None
        if shrinks(self.frame.model, variable.path):
            message = "a draw inside an expression along a group that lost members is not supported yet"
            self.report(Diagnostic("CS700", message, drawn.span, help="draw it by itself: `let NAME[...] ~ D`"))
            return None
        axes = [variable.type.axis(name) for name in written_axes(variable)]
        value = draw(build, drawn, f"{variable.path}#{next(self.draws)}", axes, self.frame.keys(variable))
        names = (axis.name for axis in axes if axis.name not in self.around)
        return Operand(value, tuple(names))

    def chance(self, span: Span | None) -> tuple[str, Keys] | None:
        if self.variable is None:
            self.report(Diagnostic("CS700", "a draw at this place is not supported yet", span))
            return None
        return f"{self.variable.path}#{next(self.draws)}", self.frame.keys(self.variable)

    def window(self, axis: str, path: str) -> Window | None:
        """A member's place in a table over the group, its stretch of the group's neurons."""
        stem = axis.removesuffix("_target").removesuffix("_source")
        for group in self.frame.model.groups:
            start = 0
            for place, member in enumerate(group.members):
                count = self.frame.size(group, member)
                if path == member or member.endswith(f".{path}"):
                    if stem == group.table_axis:
                        return Window(place, 1, single=True)
                    if stem == group.axis:
                        return Window(start, count, single=self.frame.is_single(group, member))
                start += count
        return None

    def at_end(self) -> Scope | None:
        return None

    def report(self, diagnostic: Diagnostic) -> None:
        self.frame.plan.report(diagnostic)


@contextmanager
def guarded() -> Generator[None]:
    """Lets one item fail; others are still written, so that all that does not lower is named in one run."""
    with suppress(Unwritten):
        yield


__all__ = ["TRIAL", "Frame", "Here", "Phase", "Plan", "Report", "Unwritten", "guarded", "written_axes"]
