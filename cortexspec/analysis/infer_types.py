"""Units and axes of every variable, by running the rules of the operations that its expressions become.

A type is found when it is first asked for. What is wrong is reported once and then has no type: whatever reads it is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, cast

from cortexspec.analysis.data_files import is_data, reads_data
from cortexspec.analysis.expand_templates import OPEN, Expander, walk
from cortexspec.analysis.library import Library
from cortexspec.analysis.plugins import needs_a_plugin
from cortexspec.analysis.report import Report, suggestion
from cortexspec.analysis.resolve_names import Resolver
from cortexspec.analysis.scope import (
    Body,
    Declared,
    FunctionHere,
    GroupHere,
    GroupVariable,
    PopulationHere,
    ProjectionHere,
)
from cortexspec.contracts.operand import Array, Operand
from cortexspec.contracts.plugin import FunctionEntry, Keys, PartContext, PartParameter
from cortexspec.contracts.translate import (
    Drawn,
    Shape,
    Window,
    fit,
    translate,
    translate_draw,
    translate_settings,
)
from cortexspec.diagnostics import Diagnostic, Note, Span
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.expressions.print import print_expression
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.schema.base import ARRIVING
from cortexspec.units import DIMENSIONLESS, Unit, UnitError, unit_of

TIME = unit_of("ms")
_INTEGER = Type((), "int")


@dataclass(frozen=True)
class Typed:
    """A variable with its type; `axes` is the written order: instance, neuron, own. Expressions are resolved."""

    type: Type
    axes: tuple[str, ...]
    value: tree.Expression | None = None
    draw: tree.Expression | None = None
    constraint: tree.Expression | None = None
    literal: Array | None = None
    unit_shown: str = ""


@dataclass
class TypedPart:
    """A part once it is called: its settings, parameters and the operand it gives."""

    settings: Mapping[str, Any]
    parameters: tuple[PartParameter, ...]
    inputs: tuple[Type, ...]
    result: Operand | None


class Typing:
    """Types of one expansion, with `time_unit` as the unit of t and dt."""

    def __init__(self, expander: Expander, time_unit: Unit):
        self.expander, self.time_unit = expander, time_unit
        self.resolver = Resolver(expander)
        self.names = Names()
        self.types: dict[str, Typed | None] = {}
        self.parts: dict[str, TypedPart | None] = {}
        self.bound: dict[str, Operand] = {}  # formal inputs of functions, while and after they are called
        self.busy: set[str] = set()
        self.unknown: set[str] = set()  # declared, but with a value that cannot be told
        self.unread: dict[str, Span | None] = {}  # what reads a data file, where there is no folder to read from
        self.opaque: dict[str, Span | None] = {}  # what only a missing plugin or another experiment could tell

    @property
    def report(self) -> Report:
        return self.expander.report

    @property
    def library(self) -> Library:
        return self.expander.library

    # Expressions.

    def expression(
        self, node: tree.Expression, body: Body, reading: Declared | None = None
    ) -> tuple[tree.Expression, Operand] | None:
        """An expression resolved and typed in a body. None after a mistake, which is reported."""
        resolved = self.resolve(node, body, reading)
        if resolved is None:
            return None
        operand = self.typed(resolved, body)
        return (resolved, operand) if operand is not None else None

    def resolve(self, node: tree.Expression, body: Body, reading: Declared | None = None) -> tree.Expression | None:
        before, self.resolver.reading = self.resolver.reading, reading
        try:
            return self.resolver.resolve(node, body)
        finally:
            self.resolver.reading = before

    def typed(self, resolved: tree.Expression, body: Body, axes: Sequence[Axis] = ()) -> Operand | None:
        build = Builder(self.names)
        build.span = resolved.span
        return translate(resolved, BodyScope(self, body, axes), build)

    def fitted(
        self,
        operand: Operand,
        type_: Type,
        axes: Sequence[str],
        span: Span | None,
        notes: Sequence[Note] = (),
        message: str = "",
    ) -> Operand | None:
        """The operand as a declaration wants it; a misfit is reported at `span`."""
        build = Builder(self.names)
        build.sizes = self.expander.sizes
        try:
            return fit(build, operand, type_, axes, self.expander.sizes)
        except RuleError as error:
            text = message + kind_of_unit(operand.type.unit) if message and error.code == "CS401" else error.message
            found = Diagnostic(error.code, text, span, error.label, error.help, tuple(notes))
            self.report.put(self.expander.data.explained(found))
            return None

    # Variables.

    def variable(self, path: str) -> Typed | None:
        """The type of the variable under a path. Raises: KeyError where there is none."""
        if path in self.types:
            return self.types[path]
        declared = self.expander.result.variables[path]
        if path in self.busy:
            self.report.add("CS305", f"`{declared.name}` is defined by itself", declared.span)
            return None
        self.busy.add(path)
        before = self.report.errors
        try:
            found = self.infer(declared)
        finally:
            self.busy.discard(path)
        self.types.setdefault(path, found)
        if self.report.errors == before and (found is None or path in self.unknown):
            self.opaque.setdefault(path, declared.span)
            if self.expander.data.reader is None and (reads_data(declared.value) or reads_data(declared.default)):
                self.unread.setdefault(path, declared.span)
        return self.types[path]

    def infer(self, declared: Declared) -> Typed | None:
        if declared.side:
            return self.side(declared)
        if declared.name == "spike" and declared.kind == "output" and declared.value is None:
            axes = declared.body.around
            return Typed(Type(axes, unit=DIMENSIONLESS / self.time_unit), _names(axes), unit_shown=self.rate_shown())
        if declared.kind == "noise":
            axes = declared.body.around
            return Typed(Type(axes, unit=self.time_unit ** Fraction(-1, 2)), _names(axes))
        if declared.kind in ("let", "output", "constant") and declared.value is not None and declared.draw is None:
            return self.defined(declared)
        if declared.body.connection is not None and declared.body.kind == "circuit":
            return self.of_connection(declared)
        if declared.body.kind == "function" and declared.kind == "input":
            return None  # known once the function is called
        return self.declared(declared)

    def rate_shown(self) -> str:
        return "Hz" if self.time_unit == TIME else ""

    def defined(self, declared: Declared) -> Typed | None:
        """`let`, `output r = e`, template arguments: the type is the value's, in the unit that is written, if one is."""
        assert declared.value is not None
        if is_data(declared.value):
            return self.from_file(declared)
        found = self.expression(declared.value, declared.reads_in, declared if declared.value_body is None else None)
        if found is None:
            return None
        resolved, operand = found
        own = self.expander.axes(declared.axes, declared.body, declared.path) if declared.axes else ()
        unit = self.unit(declared.unit, declared.span) if declared.unit else None
        if own is None or (declared.unit and unit is None):
            return None
        if unit is None and declared.kind == "constant":
            unit = DIMENSIONLESS  # `x: real`
        if own or unit is not None:
            wanted = Type((*operand.around, *(own or operand.written)), operand.type.dtype, unit or operand.type.unit)
            written = _names(own) if own else operand.axes
            fitted = self.fitted(
                operand, wanted, written, declared.value.span, self.here(declared), self.clash(declared, unit)
            )
            if fitted is None:
                return None
            operand = replace(fitted, value=Value(fitted.value.name, wanted), axes=written) if own else fitted
        axes = self.order(declared.body, operand)
        shown = declared.unit or _unit_shown(declared.value, operand.type.unit)
        return Typed(operand.type, axes, resolved, literal=operand.literal, unit_shown=shown)

    def from_file(self, declared: Declared) -> Typed | None:
        """`let M[a, b] : unit = data(...)`: the file must have what the declaration says."""
        own = self.expander.axes(declared.axes, declared.body, declared.path)
        unit = self.unit(declared.unit, declared.span) if declared.unit else DIMENSIONLESS
        found = self.array_of_file(declared)
        if own is None or unit is None or found is None:
            return None
        resolved, operand = found
        if operand is None:  # no folder to read from: the declaration says what is in the file
            axes = (*declared.body.instance, *own)
            return Typed(Type(axes, "float", unit), _names(axes), resolved, unit_shown=declared.unit)
        if not declared.unit:
            unit = operand.type.unit
        own = own or operand.written
        wanted = Type(own, "float", unit)
        assert declared.value is not None
        fitted = self.fitted(operand, wanted, _names(own), declared.value.span, self.here(declared))
        if fitted is None:
            return None
        return Typed(wanted, _names(own), resolved, unit_shown=declared.unit or _unit_of_file(unit))

    def array_of_file(self, declared: Declared) -> tuple[tree.Expression, Operand | None] | None:
        """The value of a declaration that is an array of a file, whose unit is the declared one where the file says none."""
        assert declared.value is not None
        self.resolver.data_unit, self.resolver.whole_value = declared.unit, True
        try:
            resolved = self.resolve(declared.value, declared.reads_in)
        finally:
            self.resolver.data_unit, self.resolver.whole_value = "", False
        if resolved is None:
            return None
        return resolved, self.read(resolved.path) if isinstance(resolved, tree.Reference) else None

    def order(self, body: Body, operand: Operand) -> tuple[str, ...]:
        """Instance, neuron, then own axes as they are written."""
        around = [axis.name for axis in body.around if operand.type.has(axis.name)]
        others = [axis.name for axis in operand.around if axis.name not in around]
        return (*around, *others, *(name for name in operand.axes if name not in around))

    def declared(self, declared: Declared) -> Typed | None:
        """Parameters, states, inputs, attributes: axes as written, the unit as written or as the value shows it."""
        own = self.expander.axes(declared.axes, declared.body, declared.path)
        if own is None:
            return None
        own = tuple(self.closed(axis, declared) for axis in own)
        axes = (*self.around(declared), *own)
        unit, _ = self.declared_unit(declared, axes)
        if unit is None:
            return None
        type_ = Type(axes, "float", unit)
        value = self.value_of(declared, type_, axes)
        draw = self.draw_of(declared, type_, axes)
        if value is _WRONG or draw is _WRONG:
            self.unknown.add(declared.path)
            # The type is known even where the value is not: what reads it can be judged.
            value = draw = None
        constraint = self.constraint_of(declared)
        shown = declared.unit or self.shown(declared, unit)
        literal: Array | None = None
        resolved: tree.Expression | None = None
        if isinstance(value, tuple):
            resolved, operand = cast("tuple[tree.Expression, Operand]", value)
            if (
                declared.kind == "param"
                and not declared.trainable
                and operand.literal is not None
                and declared.draw is None
            ):
                literal = operand.literal if operand.literal.ndim == 0 and not type_.axes else None
        drawn = draw if isinstance(draw, tree.Expression) else None
        return Typed(type_, _names(axes), resolved, drawn, constraint, literal, shown)

    def closed(self, axis: Axis, declared: Declared) -> Axis:
        """`_` of a circuit's own input is a size that is bound when data arrives."""
        if axis.size == Size.of(OPEN):
            return Axis(axis.name, Size.symbol(axis.name), axis.role)
        return axis

    def around(self, declared: Declared) -> tuple[Axis, ...]:
        body = declared.body
        if body.kind == "synapse":
            return self.extent_axes(declared)
        if declared.kind == "param" and body.neuron is not None and declared.extent != "neuron":
            return body.instance
        return body.around

    def declared_unit(self, declared: Declared, axes: Sequence[Axis]) -> tuple[Unit | None, Span | None]:
        """What the declaration says; an argument must fit it."""
        if declared.unit == ARRIVING and declared.body.kind == "synapse":
            return self.arriving_unit(declared), declared.span
        if declared.unit:
            return self.unit(declared.unit, declared.span), declared.span
        if declared.order:
            base = self.variable(declared.path.rstrip("'"))
            return (base.type.unit / self.time_unit**declared.order if base is not None else None), declared.span
        if declared.body.kind == "synapse" and declared.kind == "input":
            return self.arriving_unit(declared), declared.span
        if declared.default is not None and is_data(declared.default):
            return DIMENSIONLESS, declared.span
        if declared.default is not None:
            found = self.expression(declared.default, declared.body)
            if found is None or found[1].type.dtype == "bool":
                return (DIMENSIONLESS if found is not None else None), declared.span
            return found[1].type.unit, declared.default.span
        if declared.default_draw is not None:
            return self.unit_of_draw(declared.default_draw, declared.body, axes), declared.default_draw.span
        return DIMENSIONLESS, declared.span

    def value_of(self, declared: Declared, type_: Type, axes: Sequence[Axis]) -> Any:
        """The value resolved and fitted to the type; None where there is none, _WRONG after a mistake."""
        if declared.value is None:
            return None
        if is_data(declared.value):
            return self.value_of_file(declared, type_, axes)
        found = self.expression(declared.value, declared.reads_in)
        if found is None:
            return _WRONG
        resolved, operand = found
        operand = _rewritten(operand, axes)
        if not self.covered(declared, operand, type_):
            return _WRONG
        message = self.clash(declared, type_.unit)
        fitted = self.fitted(operand, type_, _names(axes), declared.value.span, self.here(declared), message)
        return _WRONG if fitted is None else (resolved, fitted)

    def value_of_file(self, declared: Declared, type_: Type, axes: Sequence[Axis]) -> Any:
        """As `value_of`, for an array of a file."""
        found = self.array_of_file(declared)
        if found is None:
            return _WRONG
        resolved, operand = found
        if operand is None:
            return resolved, Operand(Value("data", type_), _names(axes))
        span = declared.value.span if declared.value is not None else declared.span
        fitted = self.fitted(operand, type_, _names(axes), span, self.here(declared))
        return _WRONG if fitted is None else (resolved, fitted)

    def covered(self, declared: Declared, operand: Operand, type_: Type) -> bool:
        """A value may not vary along an axis that the declaration leaves out (a parameter that is not `per neuron`)."""
        extra = [axis for axis in operand.type.axes if not type_.has(axis.name) and not operand.anonymous]
        stems = {axis.name.removesuffix("_target").removesuffix("_source") for axis in extra}
        neuron = declared.body.neuron
        if neuron is not None and neuron.name in stems and not type_.has(neuron.name):
            message = f"`{declared.name}` has one value a population, but this has one a neuron"
            span = declared.value.span if declared.value is not None else declared.span
            self.report.add("CS501", message, span, help=f"write `{declared.name} = ...  per neuron`")
            return False
        return True

    def resolved_draw(self, node: tree.Expression, body: Body) -> tree.Expression | None:
        """A distribution after `~` with its arguments resolved."""
        name = node.function if isinstance(node, tree.Call) else node
        known = self.library.distributions
        if not self.library.missing_plugins and not (isinstance(name, tree.Name) and name.name in known):
            text = print_expression(name)
            help = suggestion(text, known) or f"there are {', '.join(known)}"
            self.report.add("CS301", f"there is no distribution `{text}`", name.span, help=help)
            return None
        return self.resolve(node, body)

    def draw_of(self, declared: Declared, type_: Type, axes: Sequence[Axis]) -> Any:
        if declared.draw is None:
            return None
        resolved = self.resolved_draw(declared.draw, declared.draws_in)
        if resolved is None:
            return _WRONG
        value = self.drawn(resolved, declared.draws_in, axes, declared.path)
        if value is None:
            return _WRONG
        if value.type.unit != type_.unit and not (value.type.unit == DIMENSIONLESS and _shapeless(resolved)):
            expected, found = type_.unit.name(), value.type.unit.name()
            message = self.clash(declared, type_.unit)
            message = (
                message + kind_of_unit(value.type.unit)
                if message
                else f"quantities of different dimension meet: {expected} and {found}"
            )
            label = f"expected {_spoken(type_.unit)}, found {_spoken(value.type.unit)}"
            self.report.add("CS401", message, declared.draw.span, label=label, notes=self.here(declared))
            return _WRONG
        return resolved

    def drawn(self, resolved: tree.Expression, body: Body, axes: Sequence[Axis], site: str) -> Value | None:
        """One draw along `axes`; its unit is the distribution's."""
        build = Builder(self.names)
        build.span = resolved.span
        drawn = translate_draw(resolved, BodyScope(self, body, axes), build)
        if drawn is None:
            return None
        return self.write_draw(drawn, build, axes, site, resolved)

    def write_draw(
        self, drawn: Drawn, build: Builder, axes: Sequence[Axis], site: str, node: tree.Expression | None
    ) -> Value | None:
        def at(argument: Any) -> Any:
            if isinstance(argument, Operand):
                renamed = _rewritten(argument, axes)
                return _targeted(build, renamed, axes)
            return replace(argument, arguments=tuple(at(one) for one in argument.arguments))

        try:
            arguments = [at(argument) for argument in drawn.arguments]
            keys = Keys(Value("seed", _INTEGER))
            return drawn.entry.write(build, site, tuple(axes), arguments, drawn.settings, keys)
        except RuleError as error:
            span = node.span if node is not None else drawn.span
            if isinstance(node, tree.Call) and error.operand is not None and error.operand < len(node.arguments):
                value = node.arguments[error.operand].value
                span = value.span if value is not None else span
            if error.code != "CS700":
                self.report.add(error.code, error.message, span, label=error.label, help=error.help)
                return None
            units = [a.type.unit for a in drawn.arguments if isinstance(a, Operand)]
            return Value(site, Type(tuple(axes), unit=units[0] if units else DIMENSIONLESS))

    def unit_of_draw(self, draw: tree.Expression, body: Body, axes: Sequence[Axis]) -> Unit | None:
        resolved = self.resolved_draw(draw, body)
        value = self.drawn(resolved, body, axes, "unit") if resolved is not None else None
        return value.type.unit if value is not None else None

    def constraint_of(self, declared: Declared) -> tree.Expression | None:
        node = declared.constraint
        if node is None:
            return None
        name = node.function if isinstance(node, tree.Call) else node
        if isinstance(name, tree.Name) and name.name not in self.library.constraints and self.library.missing_plugins:
            needs_a_plugin(name.name, name.span, self.library, self.report)
            return None
        if not isinstance(name, tree.Name) or name.name not in self.library.constraints:
            text = print_expression(name)
            help = (
                suggestion(text, self.library.constraints) or f"there are {', '.join(sorted(self.library.constraints))}"
            )
            self.report.add("CS301", f"there is no constraint `{text}`", name.span, help=help)
            return None
        if isinstance(node, tree.Call):
            body = declared.constraint_body or declared.body
            made = [
                replace(a, value=self.resolve(a.value, body)) if a.value is not None and a.name != "by" else a
                for a in node.arguments
            ]
            return replace(node, arguments=tuple(made)) if all(a.value is not None for a in made) else None
        return node

    def unit(self, text: str, span: Span | None) -> Unit | None:
        if text in ("real", "int", "bool", "text"):
            return DIMENSIONLESS
        try:
            return unit_of(text)
        except UnitError as error:
            self.report.add("CS104", str(error), span, help=error.help)
            return None

    def clash(self, declared: Declared, wanted: Unit | None) -> str:
        """The sentence for an argument of the wrong dimension."""
        if declared.given_at is None or wanted is None or not declared.body.template:
            return ""
        return f"`{declared.name}` of `{declared.body.template}` is {kind_of_unit(wanted)}, but it is given "

    def here(self, declared: Declared) -> list[Note]:
        if declared.given_at is None or declared.span is None:
            return []
        return [Note("declared here", declared.span)]

    def shown(self, declared: Declared, unit: Unit) -> str:
        for node in (declared.default, declared.value, declared.default_draw, declared.draw):
            text = _unit_shown(node, unit) if node is not None else ""
            if text:
                return text
        if declared.order:
            base = self.types.get(declared.path.rstrip("'"))
            if base is not None and base.unit_shown and self.time_unit == TIME:
                return f"{base.unit_shown}/ms" if declared.order == 1 else f"{base.unit_shown}/ms^{declared.order}"
        return ""

    # What is around connections.

    def side(self, declared: Declared) -> Typed | None:
        """`pre.A` or `post.A`: along the source's or the target's axes of the weight."""
        projection = declared.body.connection
        if projection is None or not isinstance(declared.value, tree.Reference):
            return None
        operand = self.read(declared.value.path)
        axes = self.projection_axes(projection)
        if operand is None or axes is None:
            return None
        names = {old.name: new for old, new in (axes.pairs_target if declared.side == "post" else axes.pairs_source)}
        renamed = tuple(names.get(axis.name, axis) for axis in operand.type.axes)
        order = tuple(names[name].name if name in names else name for name in (*_names(operand.around), *operand.axes))
        return Typed(Type(renamed, operand.type.dtype, operand.type.unit), order, declared.value)

    def projection_axes(self, projection: ProjectionHere) -> ProjectionAxes | None:
        """The axes of both sides, and what they are called in a weight."""
        around = {axis.name for axis in projection.body.instance}
        if not projection.target.path:
            return None  # a synapse by itself
        source, target = self.read(projection.source.path), self.read(projection.target.path)
        if source is None or target is None:
            return None
        s = [axis for axis in _ordered(source) if axis.name not in around]
        t = [axis for axis in _ordered(target) if axis.name not in around]
        if isinstance(projection.source, Declared) and projection.source.path.startswith(f"{projection.path}.source."):
            return ProjectionAxes((), tuple(t), (), tuple((a, a) for a in t), one_to_one=True)
        shared = {axis.name for axis in s} & {axis.name for axis in t}
        pairs_t = tuple((a, replace(a, name=f"{a.name}_target") if a.name in shared else a) for a in t)
        pairs_s = tuple((a, replace(a, name=f"{a.name}_source") if a.name in shared else a) for a in s)
        return ProjectionAxes(tuple(s), tuple(t), pairs_s, pairs_t)

    def of_connection(self, declared: Declared) -> Typed | None:
        """A weight or delay: what its value has; one a connection where it is trained or drawn."""
        projection = declared.body.connection
        assert projection is not None
        axes = self.projection_axes(projection)
        if axes is None:
            return None
        around = projection.body.instance
        each = (*around, *self.each_connection(projection, axes))
        unit: Unit | None = None
        if declared.name == "delay":
            unit = self.time_unit
        if declared.value is None:
            if unit is None:
                unit = self.wanted_weight(projection) if _shapeless(declared.draw) else None
            if unit is None and declared.draw is not None:
                unit = self.unit_of_draw(declared.draw, declared.draws_in, each)
            if unit is None:
                return None
            draw = self.draw_of(declared, Type(each, unit=unit), each)
            drawn = draw if isinstance(draw, tree.Expression) else None
            shown = self.shown(declared, unit)
            return Typed(
                Type(each, unit=unit), _names(each), None, drawn, self.constraint_of(declared), unit_shown=shown
            )
        found = self.expression(declared.value, declared.reads_in)
        if found is None:
            return None
        resolved, operand = found
        unit = unit or operand.type.unit
        operand = self.edge_by_edge(operand, projection, axes)
        edge = tuple(axis for axis in operand.type.axes if axis.role == "edge")
        allowed = (*around, *axes.all_targets, *axes.all_sources, *each, *edge)
        wanted = Type(tuple({axis.name: axis for axis in allowed}.values()), "float", unit)
        matrix = (*axes.all_targets, *axes.all_sources)
        operand = self.own_names(operand, axes)
        order = _names(matrix) if len(operand.axes) == len(matrix) else tuple(dict.fromkeys(_names(allowed)))
        fitted = self.fitted(operand, wanted, order, declared.value.span)
        if fitted is None:
            return None
        has = fitted.type.names
        kept = tuple(axis for axis in allowed if axis.name in has)
        drawn = declared.draw is not None or _draws(resolved, self.library.distributions)
        if declared.trainable or drawn or declared.kind == "state":
            kept = each
        kept = tuple({axis.name: axis for axis in kept}.values())
        draw = self.draw_of(declared, Type(kept, unit=unit), kept) if declared.draw is not None else None
        return Typed(
            Type(kept, unit=unit), _names(kept), resolved, draw if isinstance(draw, tree.Expression) else None,
            self.constraint_of(declared), unit_shown=self.shown(declared, unit),
        )  # fmt: skip

    def edge_by_edge(self, operand: Operand, projection: ProjectionHere, axes: ProjectionAxes) -> Operand:
        """A list of values of its own is one value a connection, in the order of the connections."""
        known = {axis.name for axis in (*axes.source, *axes.target, *axes.all_sources, *axes.all_targets)}
        if len(operand.axes) != 1 or operand.anonymous or operand.axes[0] in known:
            return operand
        edge = Axis(f"{projection.path}.edge", Size.symbol(f"{projection.path}.edges"), "edge")
        type_ = operand.type.with_axes((*operand.around, edge))
        return Operand(Value(operand.value.name, type_), (edge.name,))

    def own_names(self, operand: Operand, axes: ProjectionAxes) -> Operand:
        """In a weight, a value over the target's own axis runs along the target."""
        build = Builder(self.names)
        for old, new in axes.pairs_target:
            if old.name != new.name and operand.type.has(old.name) and not operand.type.has(new.name):
                value = write.rename(build, operand.value, {old.name: new.name})
                names = tuple(new.name if name == old.name else name for name in operand.axes)
                operand = replace(operand, value=value, axes=names)
        return operand

    def each_connection(self, projection: ProjectionHere, axes: ProjectionAxes) -> tuple[Axis, ...]:
        """The axes of one value a connection: [target, source] where every pair is connected, else the edges."""
        rule = self.rule_name(projection)
        entry = self.library.rules.get(rule)
        if rule == "one_to_one" or axes.one_to_one:
            return axes.all_targets
        if entry is not None and entry.dense:
            return (*axes.all_targets, *axes.all_sources)
        return (Axis(f"{projection.path}.edge", Size.symbol(f"{projection.path}.edges"), "edge"),)

    def rule_name(self, projection: ProjectionHere) -> str:
        setting = projection.settings.get("rule")
        node = setting.value if setting is not None else None
        name = node.function if isinstance(node, tree.Call) else node
        return name.name if isinstance(name, tree.Name) else "all_to_all"

    def extent_axes(self, declared: Declared) -> tuple[Axis, ...]:
        """Where a synapse's variable lives."""
        projection = declared.body.connection
        assert projection is not None
        instance = projection.body.instance
        if not projection.statement.span and not projection.source.path:
            return ()
        axes = self.projection_axes(projection)
        if axes is None or declared.kind in ("param", "constant"):
            return instance
        match declared.extent:
            case "pre":
                return (*instance, *axes.all_sources)
            case "connection":
                return (*instance, *self.each_connection(projection, axes))
            case _:
                return (*instance, *axes.target)

    def weight_unit(self, projection: ProjectionHere | None) -> Unit | None:
        if projection is None or not projection.source.path:
            return None
        weight = self.variable(projection.weight.path) if projection.weight is not None else None
        if projection.weight is None:
            return DIMENSIONLESS
        return weight.type.unit if weight is not None else None

    def arriving_unit(self, declared: Declared) -> Unit | None:
        """A synapse's input has the unit of what arrives: the source's (times what is sent) by the weight's."""
        projection = declared.body.connection
        if projection is None or not projection.source.path:
            return None
        source = self.read(projection.source.path)
        weight = self.weight_unit(projection)
        if source is None or weight is None:
            return None
        unit = source.type.unit * weight
        if projection.synapse is not None and projection.synapse.send is not None:
            sent = self.expression(*projection.synapse.send)
            if sent is None:
                return None
            unit = unit * sent[1].type.unit
        return unit

    def arriving(self, path: str) -> Operand | None:
        """What a connection delivers: the axes and the unit of the port it ends at."""
        projection = next((one for one in self.expander.result.projections if one.path == path), None)
        return self.read(projection.target.path) if projection is not None and projection.target.path else None

    def wanted_weight(self, projection: ProjectionHere) -> Unit | None:
        """The unit that a weight must have, where its distribution has none of its own."""
        source, target = self.read(projection.source.path), self.read(projection.target.path)
        if source is None or target is None:
            return None
        return target.type.unit / source.type.unit if projection.synapse is None else DIMENSIONLESS

    # Reading.

    def read(self, path: str) -> Operand | None:
        """The value under a path, all axes written. None where it is wrong already. Raises: KeyError."""
        if path in self.bound:
            return self.bound[path]
        if path in self.expander.data.arrays:
            return Operand(
                Value(path, self.expander.data.arrays[path].type), self.expander.data.arrays[path].axes, anonymous=True
            )
        groups = self.expander.group_variables
        if path in groups:
            return self.group(groups[path])
        group = next((one for one in self.expander.result.groups if one.path == path), None)
        if group is not None:
            return self.group_of_variables(group)
        if path not in self.expander.result.variables and path.endswith("'"):
            return self.highest(path)
        typed = self.variable(path)
        if typed is None:
            return None
        return Operand(Value(path, typed.type), typed.axes, typed.literal)

    def highest(self, path: str) -> Operand | None:
        """The highest derivative of a state, which is no variable: it stands in its equation only."""
        state = path.rstrip("'")
        typed = self.variable(state)
        if typed is None:
            return None
        unit = typed.type.unit / self.time_unit ** (len(path) - len(state))
        return Operand(Value(path, typed.type.with_unit(unit)), typed.axes)

    def group(self, variable: GroupVariable) -> Operand | None:
        """The members' variables end to end along the group's axis."""
        if variable.path in self.types:
            typed = self.types[variable.path]
        else:
            typed = self.types[variable.path] = self.group_type(variable)
        return None if typed is None else Operand(Value(variable.path, typed.type), typed.axes)

    def group_type(self, variable: GroupVariable) -> Typed | None:
        types = [self.variable(member.path) for member in variable.members]
        known = [typed for typed in types if typed is not None]
        if len(known) != len(types) or not known:
            return None
        axis = variable.group.axis
        shapes: list[tuple[Axis, ...]] = []
        for member, typed in zip(variable.members, known, strict=True):
            own = member.body.neuron
            if typed.type.unit != known[0].type.unit:
                message = (
                    f"`{variable.name}` is {kind_of_unit(known[0].type.unit)} in `{variable.members[0].body.path}`"
                )
                message += f" and {kind_of_unit(typed.type.unit)} in `{member.body.path}`"
                self.report.add("CS401", message, variable.group.span)
                return None
            shapes.append(
                tuple(a for a in (typed.type.axis(name) for name in typed.axes) if own is None or a.name != own.name)
            )
        if any([a.size for a in shape] != [a.size for a in shapes[0]] for shape in shapes):
            message = f"`{variable.name}` has not the same shape in all members of `{variable.group.path}`"
            self.report.add("CS501", message, variable.group.span)
            return None
        instance = {a.name for a in variable.group.body.instance}
        instance |= {a.name for member in variable.members for a in member.body.instance}
        front = tuple(a for a in shapes[0] if a.name in instance)
        own = tuple(a for a in shapes[0] if a.name not in instance)
        axes = (*front, axis, *own)
        return Typed(Type(axes, known[0].type.dtype, known[0].type.unit), _names(axes), unit_shown=known[0].unit_shown)

    def group_of_variables(self, group: GroupHere) -> Operand | None:
        """`[x, hidden.a]`: each member as a list of values."""
        operands = [self.read(member.path) for member in group.members if isinstance(member, Declared)]
        known = [operand for operand in operands if operand is not None]
        if len(known) != len(group.members) or not known:
            return None
        for operand in known:
            if operand.type.unit != known[0].type.unit:
                message = f"the members of `{group.path}` are {kind_of_unit(known[0].type.unit)} and {kind_of_unit(operand.type.unit)}"
                self.report.add("CS401", message, group.span)
                return None
        axes = (*group.body.instance, group.axis)
        return Operand(Value(group.path, Type(axes, known[0].type.dtype, known[0].type.unit)), _names(axes))

    # Parts.

    def call(self, path: str, arguments: Sequence[Operand], build: Builder, span: Span | None) -> Operand | None:
        """Raises: RuleError, KeyError."""
        part = self.expander.result.functions[path]
        if part.body is not None:
            return self.call_text(part, arguments, span)
        if len(arguments) != 1:
            raise RuleError("CS503", f"`{part.function}` takes one input, not {len(arguments)}")
        return self.call_built_in(part, arguments[0], build)

    def call_text(self, part: FunctionHere, arguments: Sequence[Operand], span: Span | None) -> Operand | None:
        body = part.body
        assert body is not None
        formals = [one for one in body.names.values() if isinstance(one, Declared) and one.kind == "input"]
        if len(formals) != len(arguments):
            wanted = f"{len(formals)} input{'' if len(formals) == 1 else 's'}"
            raise RuleError("CS503", f"`{part.function}` takes {wanted}, not {len(arguments)}")
        if len(part.outputs) != 1:
            raise RuleError(
                "CS503", f"`{part.function}` has {len(part.outputs) or 'no'} outputs; a call gives one value"
            )
        first = formals and formals[0].path not in self.bound
        for place, (formal, argument) in enumerate(zip(formals, arguments, strict=True)):
            self.bind_input(formal, argument, place, bool(first))
        output = body.names[part.outputs[0]]
        assert isinstance(output, Declared)
        typed = self.variable(output.path)
        if typed is None:
            return None
        own = {axis.name for axis in body.around}
        around = {axis.name for argument in arguments for axis in argument.around}
        axes = tuple(name for name in typed.axes if name not in around and name not in own)
        return Operand(Value(output.path, typed.type), axes, typed.literal)

    def bind_input(self, formal: Declared, argument: Operand, place: int, first: bool) -> None:
        """Raises: RuleError where the argument does not fit the formal."""
        unit = self.unit(formal.unit, formal.span) if formal.unit else DIMENSIONLESS
        if unit is not None and argument.type.unit != unit and not argument.zero:
            given = kind_of_unit(argument.type.unit)
            message = f"`{formal.name}` of `{formal.body.template}` is {kind_of_unit(unit)}, but it is given {given}"
            label = f"expected {_spoken(unit)}, found {_spoken(argument.type.unit)}"
            raise RuleError("CS401", message, label=label, operand=place)
        if formal.axes and not argument.anonymous and len(argument.axes) != len(formal.axes):
            message = f"`{formal.name}` of `{formal.body.template}` has {len(formal.axes)} axes, but it is given {len(argument.axes)}"
            raise RuleError("CS501", message, operand=place)
        own = self.expander.axes(formal.axes, formal.body, formal.path) or ()
        for wanted, given in zip(own, argument.written, strict=False):
            if wanted.size not in (Size.of(OPEN), given.size):
                message = (
                    f"`{formal.name}` of `{formal.body.template}` wants {wanted.size} elements along `{wanted.name}`"
                )
                raise RuleError("CS501", message, label=f"expected {wanted.size}, found {given.size}", operand=place)
        if not first:
            known = self.bound.get(formal.path)
            if known is not None and known.type != argument.type:
                message = f"`{formal.body.path}` is called with inputs of different shape; declare a part for each"
                raise RuleError("CS501", message, operand=place)
            return
        axes = (*_names(argument.around), *argument.axes)
        self.bound[formal.path] = Operand(Value(formal.path, argument.type), argument.axes, None)
        self.types[formal.path] = Typed(argument.type, axes, unit_shown=formal.unit)

    def call_built_in(self, part: FunctionHere, x: Operand, build: Builder) -> Operand | None:
        entry = self.library.parts[part.function]
        known = self.parts.get(part.path)
        if part.path in self.parts and known is None:
            return None
        settings = known.settings if known is not None else self.settings(part)
        if settings is None:
            self.parts[part.path] = None
            return None
        if known is not None and known.inputs != (x.type,):
            raise RuleError(
                "CS501", f"`{part.path}` is called with inputs of different shape; declare a part for each", operand=0
            )
        parameters = entry.declare(part.path, x, settings)
        values = {one.name: Value(f"{part.path}.{one.name}", one.type) for one in parameters}
        result, _ = entry.write(build, x, values, PartContext(part.path, settings, False, Keys()))
        if known is None:
            self.parts[part.path] = TypedPart(settings, parameters, (x.type,), result)
        return result

    def settings(self, part: FunctionHere) -> Mapping[str, Any] | None:
        """A built-in part's arguments; a size that has a name gives its name to the axis."""
        entry = self.library.parts[part.function]
        names = list(entry.settings)
        found: dict[str, Any] = {name: default for name, default in entry.settings.items() if default is not None}
        fine = True
        for place, argument in enumerate(part.arguments):
            name = argument.name or (names[place] if place < len(names) else "")
            node = argument.value
            size = self.named_size(node, part.caller) if node is not None and name == names[0] else None
            if size is not None and name:
                found[name] = Shape((size,))
                continue
            resolved = self.resolve(node, part.caller) if node is not None else None
            if resolved is None:
                fine = False
                continue
            given = (tree.Argument(resolved, name, span=argument.span or resolved.span),)
            values = translate_settings(given, names, BodyScope(self, part.caller), Builder(self.names))
            fine = fine and values is not None
            found.update(values or {})
        missing = [name for name in names if name not in found]
        if missing and fine:
            message = f"`{part.function}` wants a value for `{missing[0]}`"
            self.report.add("CS306", message, part.span, help=f"write `{part.function}({missing[0]} = ...)`")
        return found if fine and not missing else None

    def named_size(self, node: tree.Expression, body: Body) -> Axis | None:
        """The axis of a bare size parameter: `dense(hidden)` gives an axis called hidden."""
        from cortexspec.analysis.static import NotStatic, whole_number

        if not isinstance(node, tree.Name) or body.find(node.name) is None:
            return None
        try:
            whole_number(node, body)
        except NotStatic:
            return None
        return self.expander.axis(node, body, body.dotted(node.name), 0)


@dataclass(frozen=True)
class ProjectionAxes:
    """Axes of source and target as they are called there, and each with its name in a weight."""

    source: tuple[Axis, ...]
    target: tuple[Axis, ...]
    pairs_source: tuple[tuple[Axis, Axis], ...]
    pairs_target: tuple[tuple[Axis, Axis], ...]
    one_to_one: bool = False

    @property
    def all_sources(self) -> tuple[Axis, ...]:
        return tuple(new for _, new in self.pairs_source)

    @property
    def all_targets(self) -> tuple[Axis, ...]:
        return tuple(new for _, new in self.pairs_target)


class BodyScope:
    """What translate asks: names at one place of the spec, with types and no values."""

    def __init__(self, typing: Typing, body: Body, axes: Sequence[Axis] = ()):
        self.typing, self.body, self.axes = typing, body, axes
        self.functions: Mapping[str, FunctionEntry] = {**typing.library.functions, "data": _DATA}
        self.distributions = typing.library.distributions
        self.sizes: Mapping[str, int] = typing.expander.sizes

    def read(self, path: str, build: Builder) -> Operand | None:
        operand = self.found(path)
        declared = self.typing.expander.result.variables.get(path)
        edge = [axis for axis in operand.type.axes if axis.role == "edge"] if operand is not None else []
        if operand is None or declared is None or not edge or declared.body.connection is None:
            return operand
        sides = self.typing.projection_axes(declared.body.connection)
        if sides is None:
            return operand
        # One value a connection is read as the matrix [target, source].
        both = {axis.name: axis for axis in (*sides.all_targets, *sides.all_sources)}
        around = {axis.name for axis in self.around()}
        type_ = operand.type.with_axes((*operand.type.without([edge[0].name]), *both.values()))
        names = (*(name for name in operand.axes if name != edge[0].name), *both)
        return Operand(Value(path, type_), tuple(name for name in names if name not in around))

    def found(self, path: str) -> Operand | None:
        match path:
            case "t" | "dt":
                return Operand(Value(path, Type(unit=self.typing.time_unit)))
            case "training":
                return Operand(Value(path, Type((), "bool")))
            case "index":
                return self.index()
            case _:
                pass
        operand = self.typing.read(path)
        if operand is None:
            return None
        around = {axis.name for axis in self.around()}
        declared = self.typing.expander.result.variables.get(path)
        if declared is not None and declared.side and declared.body.connection is not None:
            sides = self.typing.projection_axes(declared.body.connection)
            around |= (
                {axis.name for axis in (*sides.all_targets, *sides.all_sources)} if sides is not None else set[str]()
            )
        return replace(operand, axes=tuple(name for name in operand.axes if name not in around))

    def around(self) -> tuple[Axis, ...]:
        body = self.body
        if body.kind == "synapse" and body.connection is not None and body.connection.source.path:
            axes = self.typing.projection_axes(body.connection)
            if axes is not None:
                both = (*body.instance, *axes.target, *axes.all_targets, *axes.all_sources)
                return tuple({axis.name: axis for axis in both}.values())
        return body.around

    def index(self) -> Operand:
        axis = self.body.neuron
        if axis is None:
            raise RuleError(
                "CS501",
                "`index` counts neurons, and there are none here",
                help="it belongs in a neuron or an attribute",
            )
        return Operand(Value("index", Type((axis,), "float")), ())

    def call(self, path: str, arguments: Sequence[Operand], build: Builder, span: Span | None) -> Operand | None:
        return self.typing.call(path, arguments, build, span)

    def draw(self, drawn: Drawn, build: Builder) -> Operand | None:
        """A draw inside an expression: one an element of what stands around, and of its arguments."""
        axes: dict[str, Axis] = {axis.name: axis for axis in self.around()}
        written: list[str] = []
        for argument in drawn.arguments:
            if isinstance(argument, Operand):
                axes.update({axis.name: axis for axis in argument.type.axes})
                written += [name for name in argument.axes if name not in written]
        value = self.typing.write_draw(drawn, build, tuple(axes.values()), "draw", None)
        return None if value is None else Operand(value, tuple(written))

    def chance(self, span: Span | None) -> tuple[str, Keys]:
        return "draw", Keys(Value("seed", _INTEGER))

    def window(self, axis: str, path: str) -> Window | None:
        for group in self.typing.expander.result.groups:
            found = self.within(group, axis, path)
            if found is not None:
                return found
        return None

    def within(self, group: GroupHere, axis: str, path: str) -> Window | None:
        start = 0
        for place, member in enumerate(group.members):
            single = isinstance(member, PopulationHere) and member.axis.size == Size.of(1)
            size = self.typing.expander.length_of(member).evaluate(self.sizes)
            if getattr(member, "path", "") == path:
                stem = axis.removesuffix("_target").removesuffix("_source")
                if stem == group.table.name:
                    return Window(place, 1, single=True)
                if stem == group.axis.name:
                    return Window(start, size, single=single)
            start += size
        return None

    def at_end(self) -> None:
        return None

    def report(self, diagnostic: Diagnostic) -> None:
        """Names of axes that only an expression gives end in a number that nobody wrote."""
        message, label = (re.sub(r"~\d+", "", text) for text in (diagnostic.message, diagnostic.label))
        found = replace(diagnostic, message=message, label=label)
        self.typing.report.put(self.typing.expander.data.explained(found))


def _data(build: Builder, arguments: Sequence[Operand], settings: Mapping[str, Any]) -> Operand:
    """Inside an expression a file's array has the shape of what it meets."""
    return Operand(Value(build.names.fresh("data"), Type()))


_DATA = FunctionEntry("data", _data, (0, 0), static=("file", "key"))
_WRONG = object()


def _names(axes: Sequence[Axis]) -> tuple[str, ...]:
    return tuple(axis.name for axis in axes)


def _ordered(operand: Operand) -> tuple[Axis, ...]:
    """All axes of an operand that was read with everything written."""
    return tuple(operand.type.axis(name) for name in operand.axes)


def _rewritten(operand: Operand, axes: Sequence[Axis]) -> Operand:
    """All axes that the declaration has count as written."""
    if operand.anonymous:
        return operand
    names = [axis.name for axis in axes if operand.type.has(axis.name)]
    return replace(operand, axes=(*(name for name in names if name not in operand.axes), *operand.axes))


def _targeted(build: Builder, operand: Operand, axes: Sequence[Axis]) -> Operand:
    """An argument over `x` of a draw over [x_target, x_source] is one value a target."""
    names = {axis.name for axis in axes}
    for axis in operand.type.axes:
        if axis.name not in names and f"{axis.name}_target" in names:
            value = write.rename(build, operand.value, {axis.name: f"{axis.name}_target"})
            operand = replace(
                operand, value=value, axes=tuple(f"{n}_target" if n == axis.name else n for n in operand.axes)
            )
    return operand


def _draws(node: tree.Expression, distributions: Container[str]) -> bool:
    """Whether a value is drawn inside an expression."""
    if isinstance(node, tree.Call) and isinstance(node.function, tree.Name) and node.function.name in distributions:
        return True
    return any(_draws(child, distributions) for child in children(node))


def _shapeless(node: tree.Expression | None) -> bool:
    """A distribution that has no unit of its own: `glorot()`, `fan_in()`, `orthogonal()` take the declared one."""
    return (
        isinstance(node, tree.Call)
        and isinstance(node.function, tree.Name)
        and node.function.name in ("glorot", "fan_in", "orthogonal")
    )


def _unit_shown(node: tree.Expression, unit: Unit) -> str:
    """The unit in which an author would read a value: the first that is written and fits."""
    for one in walk(node):
        text = one.unit if isinstance(one, (tree.Number, tree.ListOf)) else ""
        try:
            if text and unit_of(text) == unit:
                return text
        except UnitError:
            continue
    return ""


def _unit_of_file(unit: Unit) -> str:
    return "" if unit == DIMENSIONLESS else unit.name()


_KINDS = {
    "ms": "a time", "mV": "a voltage", "pA": "a current", "kHz": "a rate", "nS": "a conductance", "pF": "a capacitance",
    "GOhm": "a resistance", "um": "a length", "mM": "a concentration", "1": "a pure number",
}  # fmt: skip


def kind_of_unit(unit: Unit) -> str:
    """A dimension in words."""
    return _KINDS.get(unit.name(), f"in {unit.name()}")


def _spoken(unit: Unit) -> str:
    return "a pure number" if unit == DIMENSIONLESS else unit.name()
