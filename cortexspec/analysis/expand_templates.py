"""Templates become instances: arguments are bound, sizes evaluated, loops unrolled, every variable gets its dotted path.

Nothing is typed here. The result names what exists; `resolve_names` and `infer_types` then say what it means.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from cortexspec.analysis.data_files import DataRead
from cortexspec.analysis.library import Library
from cortexspec.analysis.plugins import needs_a_plugin
from cortexspec.analysis.report import Report, suggestion
from cortexspec.analysis.scope import (
    BUILT_IN,
    Body,
    CircuitHere,
    Declared,
    Entry,
    FunctionHere,
    GroupHere,
    GroupVariable,
    Opaque,
    PenaltyHere,
    PopulationHere,
    ProjectionHere,
    Setting,
    Static,
    SynapseHere,
    kind_of,
    members_of,
    path_of,
)
from cortexspec.analysis.static import NotStatic, evaluate, show, whole_number
from cortexspec.diagnostics import Note, Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis
from cortexspec.library.connection_rules import RULE_SETTINGS
from cortexspec.library.texts import brought
from cortexspec.schema import statement as written
from cortexspec.schema.spec import Template
from cortexspec.units import DIMENSIONLESS, SYMBOLS, UnitError, unit_of

DEEPEST = 32  # parts inside parts
MOST = 20_000  # variables, populations, connections and rounds of loops together

SETTINGS = ("rule", "weight", "synapse", "delay", "read", "dropout")
TAKES: Mapping[str, frozenset[str]] = {
    "neuron": frozenset({"param", "state", "input", "output", "let", "noise", "equation", "update", "spike"}),
    "synapse": frozenset({"param", "state", "input", "output", "let", "noise", "equation", "update", "on", "send"}),
    "function": frozenset({"param", "input", "output", "let", "part"}),
    "circuit": frozenset(
        {
            "param",
            "input",
            "output",
            "let",
            "part",
            "population",
            "group",
            "attribute",
            "connect",
            "start",
            "penalty",
            "for",
        }
    ),
}


@dataclass(eq=False)
class StartHere:
    target: tree.Expression
    value: tree.Expression
    body: Body
    span: Span | None


@dataclass(eq=False)
class Expansion:
    """Everything that one circuit has, in the order in which it was written."""

    circuit: str
    body: Body
    sizes: dict[str, int]
    variables: dict[str, Declared] = field(default_factory=dict[str, Declared])
    populations: list[PopulationHere] = field(default_factory=list[PopulationHere])
    projections: list[ProjectionHere] = field(default_factory=list[ProjectionHere])
    functions: dict[str, FunctionHere] = field(default_factory=dict[str, FunctionHere])
    circuits: list[CircuitHere] = field(default_factory=list[CircuitHere])
    groups: list[GroupHere] = field(default_factory=list[GroupHere])
    starts: list[StartHere] = field(default_factory=list[StartHere])
    penalties: list[PenaltyHere] = field(default_factory=list[PenaltyHere])
    outputs: list[str] = field(default_factory=list[str])
    incomplete: bool = False  # a connection could not be made
    # Of these an end or a member comes from a plugin that is not installed.
    unjudged: list[ProjectionHere] = field(default_factory=list[ProjectionHere])
    unjudged_groups: list[GroupHere] = field(default_factory=list[GroupHere])


class TooMuch(Exception):
    """The spec asks for more than a machine should be asked for."""


class Expander:
    def __init__(self, library: Library, report: Report):
        self.library, self.report = library, report
        self.sizes: dict[str, int] = {}
        self.axis_owners: dict[str, object] = {}
        self.stack: list[str] = []
        self.made = 0
        self.group_variables: dict[str, GroupVariable] = {}
        self.data = DataRead(library.data)
        self.removed: Mapping[str, Span | None] = {}  # what a variant removed: a mention of it deserves its own words
        self.result: Expansion

    # Entry points.

    def circuit(
        self,
        template: Template,
        arguments: Sequence[written.Argument],
        outside: Iterable[str] = (),
        span: Span | None = None,
    ) -> Expansion:
        """One circuit with its arguments; `outside` are names of the experiment, whose values are not known here."""
        around = Body("", "experiment", "", sizes=self.sizes)
        around.names = {name: Opaque(name) for name in outside}
        body = Body("", "circuit", template.name, outer=around if around.names else None, sizes=self.sizes)
        self.result = Expansion(template.name, body, self.sizes)
        self.bind(template, arguments, around, body, span, top=True)
        self.fill_circuit(template, body)
        return self.result

    def alone(self, template: Template) -> Expansion:
        """A neuron, synapse or function by itself, as `check` wants it."""
        outside = Body("", "circuit", "", sizes=self.sizes)
        self.result = Expansion(template.name, outside, self.sizes, incomplete=True)
        use = written.TypeUse(name=template.name, arguments=placeholders(template), span=template.span)
        match template.kind:
            case "neuron":
                axis = self.own_axis(template.name, template.name, Size.of(1))
                self.population(template, use.arguments, template.name, axis, (), outside, template.span)
            case "function":
                self.text_function(template, use.arguments, template.name, (), outside, template.span)
            case "synapse":
                here = ProjectionHere(template.name, outside, _NO_CONNECT, _NOTHING, _NOTHING, span=template.span)
                outside.projection = here
                self.synapse(here, template, use.arguments, outside, template.span)
                self.result.projections.append(here)
            case "circuit":
                return self.circuit(template, placeholders(template))
        return self.result

    def tick(self, span: Span | None) -> None:
        self.made += 1
        if self.made > MOST:
            self.report.add(
                "CS506", f"this circuit has more than {MOST} things in it", span, help="use sizes, not names"
            )
            raise TooMuch

    # Names and axes.

    def define(self, body: Body, name: str, entry: Entry, span: Span | None) -> bool:
        """Puts a name into a body. A name that is taken keeps its first meaning."""
        if name.rstrip("'") in BUILT_IN:
            self.report.add("CS302", f"`{name}` hides a built-in name", span, help="choose another name")
            return False
        known = body.find(name)
        if known is not None and not (isinstance(known, Opaque) and name not in body.names and body.outer is not None):
            first = body.owner_of(name)
            notes = [Note("declared here first", first)] if first is not None else []
            self.report.add("CS302", f"`{name}` is declared twice", span, notes=notes)
            return False
        body.names[name], body.spans[name] = entry, span
        return True

    def add(self, variable: Declared) -> Declared:
        self.tick(variable.span)
        self.result.variables[variable.path] = variable
        return variable

    def own_axis(self, name: str, path: str, size: Size) -> Axis:
        """The axis of a population, group or part array; a second one of the same short name goes by its path."""
        return Axis(self.claim(name, ("thing", path), path), size)

    def claim(self, name: str, owner: object, longer: str) -> str:
        """An axis name that stands for one thing in the whole circuit."""
        for candidate in chain((name, longer), (f"{longer}_{number}" for number in count(2))):
            if self.axis_owners.setdefault(candidate, owner) == owner:
                return candidate
        raise TooMuch

    def axis(self, node: tree.Expression, body: Body, owner: str, place: int) -> Axis | None:
        """The axis that a size in brackets stands for, named after what is written there. None after a mistake."""
        entry = body.find(node.name) if isinstance(node, tree.Name) else None
        match entry:
            case PopulationHere(axis=axis):
                return axis
            case GroupHere(table=axis):
                return axis
            case CircuitHere(axis=Axis() as axis):
                return axis
            case Opaque():
                return None
            case _:
                pass
        if isinstance(node, tree.Name) and node.name == "_":
            open_name = f"{owner.rpartition('.')[2]}_{place}"
            return Axis(self.claim(open_name, ("own", owner, place), f"{owner}_{place}"), Size.of(OPEN))
        static = self.static_size(node, body)
        if static is None:
            return None
        size = static.size or Size.of(1)
        if isinstance(node, tree.Name):
            return Axis(self.claim(node.name, ("size", size), body.dotted(node.name)), size)
        return Axis("dim_" + re.sub(r"\W+", "_", str(size)), size)  # axes of one written size lie along each other

    def axes(self, nodes: Sequence[tree.Expression], body: Body, owner: str) -> tuple[Axis, ...] | None:
        """A variable's own axes; the two of a square matrix are [target, source]."""
        found = [self.axis(node, body, owner, place) for place, node in enumerate(nodes)]
        axes = [axis for axis in found if axis is not None]
        if len(axes) != len(found):
            return None
        names = [axis.name for axis in axes]
        for place, name in enumerate(names):
            earlier = names[:place].count(name)
            if name.startswith("dim_") and earlier:
                axes[place] = Axis(f"{name}_{earlier + 1}", axes[place].size)
        names = [axis.name for axis in axes]
        for name in dict.fromkeys(names):
            if names.count(name) > 2:
                self.report.add("CS501", f"the axis `{name}` stands here {names.count(name)} times", nodes[-1].span)
                return None
            if names.count(name) == 2:
                first = names.index(name)
                second = names.index(name, first + 1)
                axes[first] = Axis(f"{name}_target", axes[first].size)
                axes[second] = Axis(f"{name}_source", axes[second].size)
        return tuple(axes)

    def static_size(self, node: tree.Expression, body: Body) -> Static | None:
        try:
            static = whole_number(node, body)
        except NotStatic as error:
            self.complain(error)
            return None
        return static

    def complain(self, error: NotStatic) -> None:
        self.report.add(error.code, error.message, error.span, label=error.label, help=error.help)

    # Template arguments.

    def bind(
        self,
        template: Template,
        arguments: Sequence[written.Argument],
        caller: Body,
        body: Body,
        span: Span | None,
        top: bool = False,
    ) -> dict[str, written.Argument]:
        """Binds the formals in `body`; gives back the arguments by name that are no formals (they replace parameters)."""
        given: dict[str, written.Argument] = {}
        names = [formal.name for formal in template.formals]
        for place, argument in enumerate(arguments):
            name = argument.name or (names[place] if place < len(names) else "")
            if not name:
                takes = f"it takes {len(names)}" if names else "it takes arguments by name only"
                self.report.add("CS306", f"`{template.name}` has too many arguments", _span(argument), help=takes)
            elif name in given:
                self.report.add("CS302", f"the argument `{name}` is given twice", _span(argument))
            else:
                given[name] = argument
        for formal in template.formals:
            self.bind_formal(template, formal, given.pop(formal.name, None), caller, body, span, top)
        return given

    def bind_formal(
        self,
        template: Template,
        formal: object,
        argument: written.Argument | None,
        caller: Body,
        body: Body,
        span: Span | None,
        top: bool,
    ) -> None:
        from cortexspec.schema.spec import Formal

        assert isinstance(formal, Formal)
        value, reads_in = (argument.value, caller) if argument is not None else (formal.default, body)
        if argument is not None and argument.modifiers:
            message = f"`{formal.name}` is a template argument: it is fixed before anything runs"
            self.report.add(
                "CS307", message, _span(argument), help=f"declare `param {formal.name}` to train or draw it"
            )
            value = value or formal.default or tree.Number("0")
        if value is None:
            self.report.add(
                "CS306",
                f"`{template.name}` wants a value for `{formal.name}`",
                (argument and _span(argument)) or span,
                help=f"write `{template.name}({formal.name} = ...)`",
                notes=[Note("declared here", formal.span)] if formal.span else [],
            )
            self.define(body, formal.name, Opaque(formal.name), formal.span)
            return
        if formal.type in ("int", "bool", "text"):
            entry = self.static_formal(formal.name, formal.type, value, reads_in, top)
            self.define(body, formal.name, entry, formal.span)
            return
        constant = Declared(
            body.dotted(formal.name),
            formal.name,
            "constant",
            body,
            unit="" if formal.type == "real" else formal.type,
            default=formal.default,
            value=value,
            value_body=reads_in if argument is not None else None,
            span=formal.span,
            given_at=value.span if argument is not None else None,
        )
        if self.define(body, formal.name, constant, formal.span):
            self.add(constant)

    def static_formal(self, name: str, type_: str, value: tree.Expression, body: Body, top: bool) -> Entry:
        wanted = {"int": "a whole number", "bool": "true or false", "text": "a text"}[type_]
        try:
            static = whole_number(value, body) if type_ == "int" else evaluate(value, body)
        except NotStatic as error:
            if error.code == "CS505":
                self.report.add("CS306", f"`{name}` wants {wanted}", value.span, label=error.label)
            else:
                self.complain(error)
            return Opaque(name)
        fits = {"int": int, "bool": bool, "text": str}[type_]
        if not isinstance(static.value, fits) or (type_ == "int" and isinstance(static.value, bool)):
            self.report.add("CS306", f"`{name}` wants {wanted}", value.span, label=f"this is {show(static)}")
            return Opaque(name)
        if type_ == "int" and top:
            assert isinstance(static.value, int)
            self.sizes[name] = static.value
            return Static(static.value, size=Size.symbol(name))
        return static

    # Circuits.

    def enter(self, template: Template, span: Span | None) -> bool:
        if template.name in self.stack:
            chain = " -> ".join([*self.stack[self.stack.index(template.name) :], template.name])
            self.report.add("CS305", f"`{template.name}` instantiates itself: {chain}", span)
            return False
        if len(self.stack) >= DEEPEST:
            self.report.add("CS506", f"parts are nested deeper than {DEEPEST}", span)
            return False
        self.stack.append(template.name)
        return True

    def fill_circuit(
        self,
        template: Template,
        body: Body,
        given: Mapping[str, written.Argument] | None = None,
        caller: Body | None = None,
        span: Span | None = None,
    ) -> None:
        """Declares what the statements of a circuit make, whatever their order, then unrolls its loops."""
        if not self.enter(template, span or template.span):
            return
        given = dict(given or {})
        statements = [(place, one) for place, one in enumerate(template.body) if self.belongs(one, template)]
        for place, one in statements:
            if isinstance(one, written.Declare):
                self.declare(one, place, body, given, caller)
        self.leftover(template, given, body)
        for _, one in statements:
            if isinstance(one, written.Instances):
                self.instances(one, body)
        for _, one in statements:
            if isinstance(one, written.Group):
                self.group(one, body)
        for _, one in statements:
            if isinstance(one, written.Attribute):
                self.attribute(one, body)
        self.wire([one for _, one in statements], body)
        found: list[str] = []
        for _, one in statements:
            if isinstance(one, written.Declare) and one.kind == "output":
                self.outputs(one, body, found)
        if not body.path:
            self.result.outputs = found
        self.stack.pop()

    def belongs(self, statement: written.Statement, template: Template) -> bool:
        if statement.kind in TAKES[template.kind]:
            return True
        word = {"equation": "an equation", "update": "an update", "set_modifiers": "a modifier"}.get(
            statement.kind, f"`{statement.kind}`"
        )
        home = next((kind for kind, words in TAKES.items() if statement.kind in words), "experiment")
        help = f"{word} belongs in a {home}" if home != "experiment" else f"{word} belongs in an experiment"
        self.report.add(
            "CS105", f"{word} cannot stand in the {template.kind} `{template.name}`", _first_span(statement), help=help
        )
        return False

    def leftover(self, template: Template, given: Mapping[str, written.Argument], body: Body) -> None:
        """Arguments that name neither a template argument nor a parameter."""
        known = [formal.name for formal in template.formals]
        known += [n for n, entry in body.names.items() if isinstance(entry, Declared) and entry.kind == "param"]
        for name, argument in given.items():
            entry = body.names.get(name)
            if entry is not None:
                message = f"`{name}` of `{template.name}` is {kind_of(entry)}; only parameters and template arguments can be given"
                self.report.add("CS306", message, _span(argument))
            else:
                message = f"`{template.name}` has no parameter `{name}`"
                self.report.add("CS301", message, _span(argument), help=suggestion(name, known))

    def declare(
        self,
        statement: written.Declare,
        place: int,
        body: Body,
        given: dict[str, written.Argument] | None = None,
        caller: Body | None = None,
        suffix: str = "",
    ) -> list[Declared]:
        """The names of one declaration; an argument in `given` replaces what it gives and keeps the rest."""
        made: list[Declared] = []
        for ordinal, one in enumerate(statement.declarators):
            if statement.kind == "output" and self.output_of_known(one, body):
                continue
            name = one.name or f"output{ordinal + 1 if len(statement.declarators) > 1 else ''}"
            span = one.span or statement.span
            if body.kind == "circuit" and statement.kind == "state":
                continue
            if name.endswith("'") and statement.kind != "state":
                self.no_derivative(name, body, span)
                continue
            variable = Declared(
                body.dotted(name) + suffix,
                name,
                statement.kind,
                body,
                one.axes,
                one.unit,
                default=one.value,
                value=one.value,
                order=len(name) - len(name.rstrip("'")),
                place=place * 1000 + ordinal,
                span=span,
            )
            self.modify(variable, statement.modifiers, body, declaring=True)
            variable.default_draw = variable.draw
            if given and name in given and statement.kind == "param":
                self.replace(variable, given.pop(name), caller or body)
            if self.define(body, name, variable, span):
                made.append(self.add(variable))
        return made

    def no_derivative(self, name: str, body: Body, span: Span | None) -> None:
        """`let x' = e`: what reads `x` is not judged, as nobody can tell what it was to be."""
        stem = name.rstrip("'")
        message = f"`{name}` is a derivative, and only a state has one"
        self.report.add("CS312", message, span, help=f"write `{stem}`, or declare `state {stem}` and its equation")
        if body.find(stem) is None:
            body.names[stem], body.spans[stem] = Opaque(stem), span

    def output_of_known(self, one: written.Declarator, body: Body) -> bool:
        """`output v` says that others may read v."""
        return bool(one.name) and one.value is None and not one.axes

    def modify(
        self, variable: Declared, modifiers: Sequence[written.Modifier], body: Body, declaring: bool = False
    ) -> None:
        """Writes modifiers over a variable; those that are not written stay."""
        seen: dict[str, Span | None] = {}
        for modifier in modifiers:
            if modifier.kind in seen:
                self.report.add("CS302", f"`{modifier.kind}` is written twice", modifier.span or variable.span)
            seen[modifier.kind] = modifier.span
            match modifier.kind:
                case "trainable":
                    variable.trainable = True
                case "in":
                    variable.constraint, variable.constraint_body = modifier.value, body
                case "~":
                    variable.draw, variable.draw_body = modifier.value, body
                case "per":
                    self.extent(variable, modifier)
                case "every":
                    self.report.add("CS307", "`every` belongs to an update `x <- e`", modifier.span or variable.span)
        if variable.kind in ("param", "state") or not modifiers:
            return
        refused = [
            m for m in modifiers if m.kind in ("trainable", "in", "per") or (m.kind == "~" and variable.kind != "let")
        ]
        for modifier in refused:
            word = {"in": "a constraint", "per": "an extent", "~": "a distribution"}.get(modifier.kind, "`trainable`")
            message = f"{word} does not go with {kind_of(variable)}"
            self.report.add("CS307", message, modifier.span or variable.span, help=f"declare `param {variable.name}`")

    def extent(self, variable: Declared, modifier: written.Modifier) -> None:
        allowed = ("pre", "post", "connection") if variable.body.kind == "synapse" else ("neuron",)
        if modifier.extent not in allowed or variable.body.kind not in ("neuron", "synapse"):
            help = f"here it may be {', '.join(f'`per {word}`' for word in allowed)}"
            if variable.body.kind not in ("neuron", "synapse"):
                help = "give it a shape, as in `param a[cells]`"
            self.report.add(
                "CS307", f"`per {modifier.extent}` has no meaning here", modifier.span or variable.span, help=help
            )
            return
        variable.extent = modifier.extent  # pyright: ignore[reportAttributeAccessIssue]

    def replace(self, variable: Declared, argument: written.Argument, caller: Body) -> None:
        """An argument replaces the value and keeps the modifiers that it does not write."""
        if argument.value is not None:
            variable.value, variable.value_body, variable.given_at = argument.value, caller, argument.value.span
            if not any(modifier.kind == "~" for modifier in argument.modifiers):
                variable.draw = None
        if any(modifier.kind == "~" for modifier in argument.modifiers):
            variable.given_at = _span(argument)
            if argument.value is None:
                variable.value = None
        self.modify(variable, argument.modifiers, caller)

    # Populations and parts.

    def instances(self, statement: written.Instances, body: Body) -> None:
        types = [one.type for one in statement.instances]
        for place in reversed(range(len(types) - 1)):
            types[place] = types[place] or types[place + 1]
        for one, use in zip(statement.instances, types, strict=True):
            span = one.span or statement.span
            if use is None:
                message = f"`{one.name}` has no type"
                self.report.add("CS301", message, span, help=f"write `{statement.kind} {one.name} : TYPE`")
                self.define(body, one.name, Opaque(body.dotted(one.name)), span)
            elif statement.kind == "population":
                self.one_population(one, use, body, span)
            else:
                self.one_part(one, use, body, span)

    def template(self, use: written.TypeUse, kinds: Sequence[str], what: str) -> Template | None:
        """The template that a type names. None after a mistake."""
        found = self.library.templates.get(use.name)
        span = use.span
        if found is None:
            if self.library.missing_plugins:
                needs_a_plugin(use.name, span, self.library, self.report)
                return None
            near = suggestion(use.name, [n for n, t in self.library.templates.items() if t.kind in kinds])
            if use.name in brought():
                near = f"write `use {brought()[use.name]}`, which brings it"
            self.report.add("CS301", f"there is no {what} `{use.name}`", span, help=near)
            return None
        if found.kind not in kinds:
            article = "an" if found.kind[0] in "aeiou" else "a"
            self.report.add("CS308", f"`{use.name}` is {article} {found.kind}, where a {what} is wanted", span)
            return None
        return found

    def one_population(self, one: written.Instance, use: written.TypeUse, body: Body, span: Span | None) -> None:
        size = self.count_of(one, body)
        template = self.template(use, ("neuron",), "neuron")
        if size is None or template is None:
            self.define(body, one.name, Opaque(body.dotted(one.name)), span)
            return
        path = body.dotted(one.name)
        axis = self.own_axis(one.name, path, size)
        population = self.population(template, use.arguments, path, axis, body.instance, body, use.span or span)
        self.define(body, one.name, population, span)

    def count_of(self, one: written.Instance, body: Body) -> Size | None:
        """How many there are: 1 where nothing is written."""
        if not one.axes:
            return Size.of(1)
        count, *more = one.axes
        if more:
            self.report.add("CS501", f"`{one.name}` has one axis: the number of its members", more[0].span or one.span)
            return None
        static = self.static_size(count, body)
        if static is None:
            return None
        if static.value == 0:
            self.report.add("CS505", f"`{one.name}` would have no members", count.span or one.span)
            return None
        return static.size

    def population(
        self,
        template: Template,
        arguments: Sequence[written.Argument],
        path: str,
        axis: Axis,
        instance: tuple[Axis, ...],
        caller: Body,
        span: Span | None,
    ) -> PopulationHere:
        body = Body(path, "neuron", template.name, instance, axis, sizes=self.sizes)
        here = PopulationHere(path, axis, body, template.name, span=span)
        given = self.bind(template, arguments, caller, body, span)
        orders = _orders(template.body)
        for place, one in enumerate(template.body):
            if self.belongs(one, template):
                self.neuron_statement(one, place, here, given, caller)
        self.leftover(template, given, body)
        self.derivatives(body, orders)
        for one in template.body:
            if isinstance(one, written.Declare) and one.kind == "output":
                self.outputs(one, body, here.outputs)
        if here.spike is not None and "spike" in body.names:
            here.outputs.append("spike")
        self.result.populations.append(here)
        return here

    def neuron_statement(
        self, one: written.Statement, place: int, here: PopulationHere, given: dict[str, written.Argument], caller: Body
    ) -> None:
        body = here.body
        match one:
            case written.Declare():
                self.declare(one, place, body, given, caller)
            case written.Equation():
                here.equations.append((one, body))
            case written.Update():
                here.updates.append((one, body))
            case written.Noise():
                for name in one.names:
                    noise = Declared(body.dotted(name), name, "noise", body, place=place, span=one.span)
                    if self.define(body, name, noise, one.span):
                        self.add(noise)
                        here.noises.append(noise.path)
            case written.Spike() if here.spike is not None:
                notes = [Note("the first one", here.spike.span)] if here.spike.span else []
                self.report.add("CS302", "a neuron has one `spike` statement", _first_span(one), notes=notes)
            case written.Spike():
                here.spike = one
                spike = Declared(body.dotted("spike"), "spike", "output", body, place=place, span=_first_span(one))
                if self.define(body, "spike", spike, _first_span(one)):
                    self.add(spike)
            case _:
                pass

    def derivatives(self, body: Body, orders: Mapping[str, int]) -> None:
        """A state of order n is n variables; `v'` starts at 0 unless it is declared."""
        for entry in [one for one in body.names.values() if isinstance(one, Declared) and one.order]:
            self.derivative_of(entry, body, orders)
        for name, order in orders.items():
            state = body.names.get(name)
            if not isinstance(state, Declared) or state.kind != "state":
                continue
            for primes in range(1, order):
                dashed = name + "'" * primes
                if dashed in body.names:
                    continue
                zero = tree.Number("0")
                variable = Declared(
                    body.dotted(dashed), dashed, "state", body, state.axes, default=zero, value=zero, order=primes,
                    extent=state.extent, place=state.place, span=state.span,
                )  # fmt: skip
                body.names[dashed], body.spans[dashed] = variable, state.span
                self.add(variable)

    def derivative_of(self, declared: Declared, body: Body, orders: Mapping[str, int]) -> None:
        """`state v' = e` is the start of a derivative that the equation of `v` leaves to be integrated."""
        stem = declared.name.rstrip("'")
        state, order = body.names.get(stem), orders.get(stem, 0)
        if isinstance(state, Declared) and state.kind == "state" and declared.order < order:
            return
        if isinstance(state, Declared) and state.kind == "state":
            given = f"its equation gives `{stem}{chr(39) * order}`" if order else f"there is no equation of `{stem}`"
            message, help = f"`{declared.name}` does not start anywhere: {given}", f"leave out `{declared.name}`"
        else:
            message, help = (
                f"`{declared.name}` is the derivative of `{stem}`, which is no state",
                f"declare `state {stem}`",
            )
        self.report.add("CS312", message, declared.span, help=help)
        for table, key in ((body.names, declared.name), (self.result.variables, declared.path)):
            table.pop(key, None)

    def outputs(self, statement: written.Declare, body: Body, found: list[str]) -> None:
        for ordinal, one in enumerate(statement.declarators):
            name = one.name or f"output{ordinal + 1 if len(statement.declarators) > 1 else ''}"
            entry = body.names.get(name)
            if self.output_of_known(one, body) and not isinstance(entry, Declared):
                help = suggestion(name, body.names)
                self.report.add(
                    "CS301", f"there is no `{name}` here to give out", one.span or statement.span, help=help
                )
            elif isinstance(entry, Declared):
                found.append(name)

    def one_part(self, one: written.Instance, use: written.TypeUse, body: Body, span: Span | None) -> None:
        path = body.dotted(one.name)
        self.tick(span)
        size = self.count_of(one, body)
        if size is None:
            self.define(body, one.name, Opaque(body.dotted(one.name)), span)
            return
        axis = self.own_axis(one.name, path, size) if one.axes else None
        instance = (*body.instance, axis) if axis is not None else body.instance
        if use.name in self.library.parts and use.name not in self.library.templates:
            here = FunctionHere(path, use.name, body, instance, use.arguments, span=use.span or span)
            self.result.functions[path] = here
            self.define(body, one.name, here, span)
            return
        template = self.part_template(use)
        if template is None:
            self.define(body, one.name, Opaque(body.dotted(one.name)), span)
        elif template.kind == "function":
            here = self.text_function(template, use.arguments, path, instance, body, use.span or span)
            self.define(body, one.name, here, span)
        else:
            inner = Body(path, "circuit", template.name, instance, sizes=self.sizes)
            given = self.bind(template, use.arguments, body, inner, use.span or span)
            part = CircuitHere(path, axis, inner, use.span or span)
            self.define(body, one.name, part, span)
            self.result.circuits.append(part)
            self.fill_circuit(template, inner, given, body, use.span or span)

    def part_template(self, use: written.TypeUse) -> Template | None:
        found = self.library.templates.get(use.name)
        if found is None and self.library.missing_plugins:
            needs_a_plugin(use.name, use.span, self.library, self.report)
        elif found is None:
            known = [n for n, t in self.library.templates.items() if t.kind in ("function", "circuit")]
            near = suggestion(use.name, [*known, *self.library.parts])
            self.report.add("CS301", f"there is no part type `{use.name}`", use.span, help=near)
            return None
        if found is not None and found.kind == "neuron":
            help = f"write `population` for `{use.name}`"
            self.report.add(
                "CS308", f"`{use.name}` is a neuron; a part is a function or a circuit", use.span, help=help
            )
            return None
        return self.template(use, ("function", "circuit"), "function or circuit") if found is not None else None

    def text_function(
        self,
        template: Template,
        arguments: Sequence[written.Argument],
        path: str,
        instance: tuple[Axis, ...],
        caller: Body,
        span: Span | None,
    ) -> FunctionHere:
        """An instance of a function of the spec."""
        body = Body(path, "function", template.name, instance, sizes=self.sizes)
        here = FunctionHere(path, template.name, caller, instance, (), body, span=span)
        self.result.functions[path] = here
        if not self.enter(template, span):
            return here
        given = self.bind(template, arguments, caller, body, span)
        statements = [one for one in template.body if self.belongs(one, template)]
        for place, one in enumerate(statements):
            if isinstance(one, written.Declare):
                self.declare(one, place, body, given, caller)
        self.leftover(template, given, body)
        for one in statements:
            if isinstance(one, written.Instances):
                self.instances(one, body)
        for one in statements:
            if isinstance(one, written.Declare) and one.kind == "output":
                self.outputs(one, body, here.outputs)
        self.stack.pop()
        return here

    # Groups, attributes.

    def group(self, statement: written.Group, body: Body) -> None:
        members = self.member_list(statement.members, body)
        if members is None:
            self.define(body, statement.name, Opaque(body.dotted(statement.name)), statement.span)
            return
        path = body.dotted(statement.name)
        flat: list[Entry] = []
        for member in members:
            flat += (isinstance(member, (GroupHere, Opaque)) and member.members) or [member]
        if any(isinstance(member, Opaque) for member in flat):
            self.define(body, statement.name, Opaque(path, tuple(flat)), statement.span)
            none = Axis(statement.name, Size.of(0))
            self.result.unjudged_groups.append(GroupHere(path, none, none, tuple(flat), body, statement.span))
            return
        size = Size.of(0)
        for member in flat:
            size = size + self.length_of(member)
        axis = self.own_axis(statement.name, path, size)
        single = all(isinstance(m, PopulationHere) and m.axis.size == Size.of(1) for m in flat)
        table = axis if single else self.own_axis(f"{statement.name}_members", f"{path}_members", Size.of(len(flat)))
        here = GroupHere(path, axis, table, tuple(flat), body, statement.span)
        if self.define(body, statement.name, here, statement.span):
            self.result.groups.append(here)

    def length_of(self, member: Entry) -> Size:
        match member:
            case PopulationHere(axis=axis):
                return axis.size
            case Declared(body=body, axes=axes, path=path):
                size = Size.of(1)
                for axis in (*(body.around[len(body.instance) :]), *(self.axes(axes, body, path) or ())):
                    size = size * axis.size
                return size
            case _:
                return Size.of(1)

    def member_list(self, node: tree.Expression, body: Body) -> list[Entry] | None:
        """What a list of names stands for. None after a mistake."""
        if not isinstance(node, tree.ListOf):
            entry = self.entry(node, body)
            if entry is not None and not isinstance(entry, (GroupHere, Opaque)):
                self.report.add("CS308", "a group is a list of populations, as in `[exc, inh]`", node.span)
                return None
            return [entry] if isinstance(entry, GroupHere) else None
        members: list[Entry] = []
        for item in node.items:
            entry = self.entry(item, body)
            if isinstance(entry, (Static, ProjectionHere, PenaltyHere, CircuitHere, FunctionHere)):
                self.report.add("CS308", f"{kind_of(entry)} cannot be a member of a group", item.span)
                entry = None
            if entry is None:
                return None
            if any(entry is member for member in members):
                self.report.add("CS302", f"`{print_expression(item)}` is a member twice", item.span)
                continue
            members.append(entry)
        return members

    def attribute(self, statement: written.Attribute, body: Body) -> None:
        target, axes = statement.target, ()
        if isinstance(target, tree.Index):
            axes = tuple(argument.value for argument in target.arguments if argument.value is not None)
            target = target.operand
        span = statement.span or target.span
        if not isinstance(target, tree.Member):
            message = "an attribute belongs to a population"
            self.report.add("CS308", message, span, help="write `attribute POPULATION.NAME = ...`")
            return
        owner = self.entry(target.owner, body)
        for population in owner.members if isinstance(owner, GroupHere) else (owner,):
            if population is None or isinstance(population, Opaque):
                continue
            if not isinstance(population, PopulationHere):
                message = (
                    f"`{print_expression(target.owner)}` is {kind_of(population)}; attributes belong to populations"
                )
                self.report.add("CS308", message, target.owner.span)
                continue
            inner = Body(
                population.path, "circuit", population.neuron, population.instance, outer=body, sizes=self.sizes
            )
            path = f"{population.path}.{target.name}"
            made = Declared(
                path,
                target.name,
                "attribute",
                inner,
                axes,
                statement.unit,
                statement.value,
                value=statement.value,
                span=span,
            )
            inner.neuron = population.axis
            if self.define(population.body, target.name, made, span):
                self.add(made)

    # What a path stands for.

    def entry(self, node: tree.Expression, body: Body) -> Entry | None:
        """The thing under a dotted path. None after a mistake, which is reported."""
        match node:
            case tree.Name(name):
                entry = body.find(name)
                if entry is None:
                    self.unknown(name, node.span, body)
                return entry
            case tree.Member(owner, name):
                inside = self.entry(owner, body)
                if inside is None or isinstance(inside, Opaque):
                    return inside
                return self.member(inside, name, node)
            case tree.Derivative(operand, order):
                inner = self.entry(operand, body)
                if isinstance(inner, Declared):
                    return self.member_of(inner.body, inner.name + "'" * order) or inner
                return inner
            case _:
                message = f"`{print_expression(node)}` is no name of a population, port or connection"
                self.report.add("CS308", message, node.span)
                return None

    def member_of(self, body: Body, name: str) -> Entry | None:
        return body.names.get(name)

    def member(self, owner: Entry, name: str, node: tree.Expression) -> Entry | None:
        if isinstance(owner, GroupHere):
            return self.group_variable(owner, name, node)
        found = members_of(owner).get(name)
        if found is None and f"{path_of(owner)}.{name}" in self.removed:
            self.mention_of_removed(f"{path_of(owner)}.{name}", node.span)
        elif found is None:
            members = {other: entry for other, entry in members_of(owner).items() if "'" not in other}
            # What moves comes first: that is mostly what is read.
            known = sorted(members, key=lambda other: kind_of(members[other]) in ("a parameter", "an input"))
            what = f"`{path_of(owner)}` has no `{name}`" if known else f"{kind_of(owner)} has nothing called `{name}`"
            there = f"it has {', '.join(f'`{one}`' for one in known[:8])}" if known else ""
            self.report.add("CS301", what, node.span, help=suggestion(name, known) or there)
        return found

    def group_variable(self, group: GroupHere, name: str, node: tree.Expression) -> Entry | None:
        members: list[Declared] = []
        for member in group.members:
            found = members_of(member).get(name)
            if not isinstance(found, Declared):
                known = [one for one in shared_names(group.members) if "'" not in one]
                message = f"`{path_of(member)}`, a member of `{group.path}`, has no `{name}`"
                shared = (
                    f"all members have {', '.join(f'`{one}`' for one in known)}"
                    if known
                    else "the members share no name"
                )
                self.report.add("CS301", message, node.span, help=suggestion(name, known) or shared)
                return None
            members.append(found)
        return self.of_group(group, name, members)

    def of_group(self, group: GroupHere, name: str, members: Sequence[Declared]) -> GroupVariable:
        made = GroupVariable(f"{group.path}.{name}", group, name, tuple(members))
        return self.group_variables.setdefault(made.path, made)

    def unknown(self, name: str, span: Span | None, body: Body, known: Iterable[str] = (), help: str = "") -> None:
        """Reports a name that nothing in reach declares, or that a variant took away."""
        path = body.dotted(name)
        if path in self.removed:
            self.mention_of_removed(path, span)
        else:
            unit = f"`{name}` is a unit, and stands behind a number: `1 {name}`" if name in SYMBOLS else ""
            near = suggestion(name, [*body.reachable(), *known]) or unit or help
            self.report.add("CS301", f"there is no `{name}` here", span, help=near)

    def mention_of_removed(self, path: str, span: Span | None) -> None:
        removed = self.removed[path]
        notes = [Note("removed here", removed)] if removed is not None else []
        message = f"`{path}` is removed, but it is still spoken of here"
        self.report.add("CS315", message, span, notes=notes, help="edit or remove this too")

    # Connections and loops.

    def wire(self, statements: Iterable[written.Statement], body: Body, suffix: str = "") -> None:
        for place, one in enumerate(statements):
            match one:
                case written.Connect():
                    self.connect(one, body)
                case written.Loop():
                    self.loop(one, body, suffix)
                case written.Start():
                    self.result.starts.append(StartHere(one.target, one.value, body, one.span))
                case written.Penalty():
                    penalty = PenaltyHere(body.dotted(one.name), one.value, body, one.span)
                    if self.define(body, one.name, penalty, one.span):
                        self.result.penalties.append(penalty)
                case written.Declare() if suffix:
                    self.declare(one, place, body, suffix=suffix)
                case _ if suffix and one.kind not in ("connect", "for", "let", "start", "penalty"):
                    self.report.add("CS105", f"`{one.kind}` cannot stand in a `for`", _first_span(one))
                case _:
                    pass

    def loop(self, statement: written.Loop, body: Body, suffix: str) -> None:
        for inner in self.rounds(statement.ranges, body):
            names = ".".join(_short(entry) for entry in inner.names.values())
            self.wire(statement.body, inner, f"{suffix}.{names}")

    def rounds(self, ranges: Sequence[written.RangeOf | tree.Range], body: Body) -> Iterator[Body]:
        """One body a round, with the loop's names bound."""
        if not ranges:
            yield body
            return
        first, *rest = ranges
        for values in self.range_values(first, body):
            self.tick(first.span)
            inner = Body(body.path, body.kind, body.template, body.instance, body.neuron, outer=body, sizes=self.sizes)
            fits = True
            for name, value in zip(first.names, values, strict=True):
                fits = self.define(inner, name, value, first.span) and fits
            if not fits:
                return
            for innermost in self.rounds(rest, inner):
                if innermost is not inner:
                    innermost.names = {**inner.names, **innermost.names}
                yield innermost

    def range_values(self, range_: written.RangeOf | tree.Range, body: Body) -> Iterator[Sequence[Entry]]:
        for item in self.items(range_.values, body):
            if len(range_.names) == 1:
                yield (
                    [item] if not isinstance(item, list) else [Static(tuple(i for i in item if isinstance(i, Static)))]
                )
                continue
            parts = _parts(item)
            if len(parts) != len(range_.names):
                message = f"{len(range_.names)} names stand for an item of {len(parts) or 1}"
                self.report.add("CS306", message, range_.values.span or range_.span)
                return
            yield parts

    def items(self, node: tree.Expression, body: Body) -> list[Entry | list[Entry]]:
        """What a loop goes over: members of a group, things in a list, numbers."""
        entry = body.find(node.name) if isinstance(node, tree.Name) else None
        if isinstance(node, tree.Member):
            entry = self.entry(node, body)
            if entry is None:
                return []
        if isinstance(entry, GroupHere):
            return list(entry.members)
        if isinstance(entry, Opaque):
            self.result.incomplete = True
            return list(entry.members)
        if isinstance(entry, (PopulationHere, CircuitHere)):
            message = f"`{print_expression(node)}` is {kind_of(entry)}; a loop goes over a group, a list or a range"
            self.report.add("CS308", message, node.span, help=f"write `[{print_expression(node)}]`")
            return []
        if isinstance(node, tree.ListOf) and not node.unit:
            return [item for one in node.items if (item := self.item(one, body)) is not None]
        if isinstance(node, tree.Comprehension):
            return [
                item for inner in self.rounds(node.ranges, body) if (item := self.item(node.item, inner)) is not None
            ]
        try:
            static = evaluate(node, body)
        except NotStatic as error:
            self.complain(error)
            return []
        if not isinstance(static.value, tuple):
            self.report.add(
                "CS308", "a loop goes over a group, a list or a range", node.span, label=f"this is {show(static)}"
            )
            return []
        return list(static.value)

    def item(self, node: tree.Expression, body: Body) -> Entry | list[Entry] | None:
        if isinstance(node, tree.ListOf) and not node.unit:
            inner = [self.item(one, body) for one in node.items]
            return [one for one in inner if one is not None and not isinstance(one, list)]
        if isinstance(node, (tree.Name, tree.Member)):
            found = self.entry(node, body)
            if not isinstance(found, Declared) or found.kind not in ("constant", "let", "param"):
                return found
        try:
            return evaluate(node, body)
        except NotStatic as error:
            self.complain(error)
            return None

    def connect(self, statement: written.Connect, body: Body) -> None:
        self.tick(statement.span)
        span = statement.span or statement.source.span
        in_place = self.type_in_place(statement, body)
        target = self.entry(statement.target, body)
        port = self.port(target, statement.target) if target is not None else None
        source: Declared | GroupVariable | GroupHere | None = None
        source_names = [in_place.name] if in_place is not None else []
        if in_place is None:
            found = self.entry(statement.source, body)
            source = self.source(found, statement.source) if found is not None else None
            source_names = self.end_names(found, statement.source, body) if found is not None else []
        target_names = self.end_names(target, statement.target, body, port) if target is not None else []
        names = [f"{one}_to_{other}" for one in source_names for other in target_names]
        name = statement.name or (names[0] if names else "")
        path = body.dotted(name)
        here = ProjectionHere(path, body, statement, source or _NOTHING, port or _NOTHING, span=span)
        home = _home(body)
        if port is None or (source is None and in_place is None):
            self.result.incomplete = True
            self.result.unjudged.append(here)
            for one in [statement.name] if statement.name else names:
                home.names.setdefault(one, Opaque(body.dotted(one)))
            return
        if home.find(name) is not None:
            first = home.owner_of(name)
            notes = [Note("the first one", first)] if first is not None else []
            sides = f"{print_expression(statement.source)} -> {print_expression(statement.target)}"
            help = "" if statement.name else f"name it: `connect NAME: {sides}`"
            self.report.add("CS302", f"there is a `{name}` already", span, help=help, notes=notes)
            self.result.incomplete = True
            return
        home.names[name], home.spans[name] = here, span
        if in_place is not None:
            source = self.population_in_place(in_place, path, port, body, statement)
            if source is None:
                home.names[name] = Opaque(path)
                self.result.incomplete = True
                self.result.unjudged.append(here)
                return
            here.source = source
        self.settings(here, statement)
        self.result.projections.append(here)

    def type_in_place(self, statement: written.Connect, body: Body) -> written.TypeUse | None:
        """`poisson_train(8 Hz) -> p`."""
        source = statement.source
        call = source if isinstance(source, tree.Call) else None
        name = call.function if call is not None else source
        if not isinstance(name, tree.Name) or (call is None and body.find(name.name) is not None):
            return None
        template = self.library.templates.get(name.name)
        if call is None and template is None and not self.library.missing_plugins:
            return None
        if call is None and template is not None and template.kind != "neuron":
            return None
        arguments = tuple(_argument(one) for one in call.arguments) if call is not None else ()
        return written.TypeUse(name=name.name, arguments=arguments, span=name.span)

    def population_in_place(
        self, use: written.TypeUse, path: str, port: Declared | GroupVariable, body: Body, statement: written.Connect
    ) -> Declared | None:
        """A population of the target's size, along the target's own axis, so that it lies beside it one to one."""
        template = self.template(use, ("neuron",), "neuron")
        if template is None:
            return None
        if isinstance(port, GroupVariable):
            axis, around = port.group.axis, port.members[0].body.instance
            post: Entry = port.group
        else:
            if port.body.neuron is None:
                axis, around = Axis(self.claim(f"{path}.source", path, path), Size.of(1)), body.instance
            else:
                axis, around = port.body.neuron, port.body.instance
            post = next((p for p in self.result.populations if p.body is port.body), Opaque("post"))
        caller = Body(body.path, body.kind, body.template, body.instance, outer=body, post=post, sizes=self.sizes)
        here = self.population(
            template, use.arguments, f"{path}.source", axis, around, caller, use.span or statement.span
        )
        here.own_axis = False
        source = self.source(here, statement.source)
        return source if isinstance(source, Declared) else None

    def source(self, entry: Entry, node: tree.Expression) -> Declared | GroupVariable | GroupHere | None:
        """What a connection reads: the only output, or the spike train if there is one."""
        match entry:
            case PopulationHere(outputs=outputs, path=path, body=body):
                name = self.only_output(outputs, path, node)
                found = body.names.get(name) if name else None
                return found if isinstance(found, Declared) else None
            case GroupHere(members=members):
                if all(isinstance(member, Declared) for member in members):
                    return entry
                return self.group_source(entry, node)
            case GroupVariable():
                return entry
            case Declared(kind="input" | "output" | "let" | "state" | "param" | "constant"):
                self.may_be_read(entry, node)
                return entry
            case Opaque():
                return None
            case _:
                message = f"`{print_expression(node)}` is {kind_of(entry)}, which has nothing to send"
                self.report.add("CS308", message, node.span)
                return None

    def may_be_read(self, entry: Declared, node: tree.Expression) -> None:
        population = next((p for p in self.result.populations if p.body is entry.body), None)
        if population is not None and entry.kind != "input" and entry.name not in population.outputs:
            message = f"`{entry.name}` of `{population.neuron}` is {kind_of(entry)}, not an output"
            self.report.add("CS503", message, node.span, help=f"write `output {entry.name}` in `{population.neuron}`")

    def group_source(self, group: GroupHere, node: tree.Expression) -> GroupVariable | None:
        members: list[Declared] = []
        for member in group.members:
            found = self.source(member, node)
            if not isinstance(found, Declared):
                return None
            members.append(found)
        return self.of_group(group, members[0].name, members)

    def only_output(self, outputs: Sequence[str], path: str, node: tree.Expression) -> str:
        if "spike" in outputs:
            return "spike"
        if len(outputs) == 1:
            return outputs[0]
        if not outputs:
            self.report.add("CS503", f"`{path}` has no output", node.span, help="declare `output x` in its type")
        else:
            choices = ", ".join(f"`{print_expression(node)}.{name}`" for name in outputs)
            message = f"`{path}` has {len(outputs)} outputs, so the connection must say which"
            self.report.add("CS503", message, node.span, help=f"write one of {choices}")
        return ""

    def port(self, entry: Entry, node: tree.Expression) -> Declared | GroupVariable | None:
        """Where a connection ends: the only input, or the one that is named."""
        match entry:
            case PopulationHere(body=body, path=path):
                inputs = [one for one in body.names.values() if isinstance(one, Declared) and one.kind == "input"]
                if len(inputs) == 1:
                    return inputs[0]
                choices = ", ".join(f"`{print_expression(node)}.{one.name}`" for one in inputs)
                message = (
                    f"`{path}` has {len(inputs)} inputs, so the connection must say which"
                    if inputs
                    else f"`{path}` has no input"
                )
                self.report.add("CS503", message, node.span, help=f"write one of {choices}" if inputs else "")
                return None
            case GroupHere(members=members):
                ports = [self.port(member, node) for member in members]
                found = [port for port in ports if isinstance(port, Declared)]
                if len(found) != len(members):
                    return None
                return self.of_group(entry, found[0].name, found)
            case GroupVariable(members=members) if all(member.kind == "input" for member in members):
                return entry
            case Declared(kind="input"):
                return entry
            case Opaque():
                return None
            case _:
                message = f"`{print_expression(node)}` is {kind_of(entry)}, not an input"
                if isinstance(entry, Declared):
                    inputs = [
                        n for n, one in entry.body.names.items() if isinstance(one, Declared) and one.kind == "input"
                    ]
                    help = f"its inputs are {', '.join(f'`{name}`' for name in inputs)}" if inputs else ""
                else:
                    help = ""
                self.report.add("CS503", message, node.span, help=help)
                return None

    def end_names(
        self, entry: Entry, node: tree.Expression, body: Body, port: Declared | GroupVariable | None = None
    ) -> list[str]:
        """What an end is called in the name of its connection; several where only a missing plugin knows what `a.x` is of `a`."""
        if not isinstance(entry, Opaque):
            return [self.target_name(entry, port, body)]
        names, rest = [_owner_name(entry, body)], list[str]()
        while isinstance(node, tree.Member) and isinstance(self.entry(node.owner, body), Opaque):
            rest.insert(0, node.name)
            node = node.owner
        for one in rest:
            names.append(f"{names[-1]}_{one}")
        return names

    def target_name(self, entry: Entry, port: Declared | GroupVariable | None, body: Body) -> str:
        """The port is part of the name where the target has several."""
        owner = _owner_name(entry, body)
        if isinstance(port, Declared) and port.body is not body and port.body.kind == "neuron":
            inputs = [one for one in port.body.names.values() if isinstance(one, Declared) and one.kind == "input"]
            if len(inputs) > 1:
                return f"{owner}_{port.name}"
        return owner

    def settings(self, here: ProjectionHere, statement: written.Connect) -> None:
        body = Body(
            here.body.path, here.body.kind, here.body.template, here.body.instance, outer=here.body, sizes=self.sizes,
            pre=_side(here.source, self.result), post=_side(here.target, self.result), projection=here,
        )  # fmt: skip
        for one in statement.settings:
            match one:
                case written.Equation(left=tree.Name(name), right=value, modifiers=modifiers):
                    setting = Setting(value, modifiers, one.span or value.span)
                case written.SetModifiers(target=tree.Name(name), modifiers=modifiers):
                    setting = Setting(None, modifiers, one.span or one.target.span)
                case _:
                    message = f"a connection has {', '.join(SETTINGS)}; this is none of them"
                    self.report.add("CS105", message, _first_span(one))
                    continue
            if name not in SETTINGS:
                message = f"a connection has no setting `{name}`"
                near = suggestion(name, SETTINGS) or f"it has {', '.join(SETTINGS)}"
                if name in RULE_SETTINGS:
                    near = f"it belongs to the rule: `rule = RULE(..., {name} = ...)`"
                self.report.add("CS301", message, setting.span, help=near)
            elif name in here.settings:
                self.report.add("CS302", f"`{name}` is set twice", setting.span)
            else:
                here.settings[name] = setting
        for name in ("weight", "delay"):
            if name in here.settings:
                setting = here.settings[name]
                variable = Declared(
                    f"{here.path}.{name}", name, "param", body, default=setting.value, value=setting.value,
                    extent="connection", span=setting.span,
                )  # fmt: skip
                self.modify(variable, setting.modifiers, body)
                variable.default_draw = variable.draw
                setattr(here, name, self.add(variable))
        for name in ("rule", "synapse", "read", "dropout"):
            setting = here.settings.get(name)
            if setting is not None and setting.modifiers:
                self.report.add("CS307", f"`{name}` takes no modifiers", setting.span)
        here.body = body
        if "synapse" in here.settings:
            self.synapse_of(here, here.settings["synapse"], body)

    # Synapses.

    def synapse_of(self, here: ProjectionHere, setting: Setting, body: Body) -> None:
        value = setting.value
        call = value if isinstance(value, tree.Call) else None
        name = call.function if call is not None else value
        if not isinstance(name, tree.Name):
            self.report.add("CS308", "a synapse is a type, as in `exponential(5 ms)`", setting.span)
            return
        arguments = tuple(_argument(one) for one in call.arguments) if call is not None else ()
        template = self.template(
            written.TypeUse(name=name.name, arguments=arguments, span=name.span), ("synapse",), "synapse"
        )
        if template is not None:
            self.synapse(here, template, arguments, body, name.span)

    def synapse(
        self,
        here: ProjectionHere,
        template: Template,
        arguments: Sequence[written.Argument],
        caller: Body,
        span: Span | None,
    ) -> None:
        body = Body(here.path, "synapse", template.name, here.body.instance, sizes=self.sizes, projection=here)
        synapse = SynapseHere(template.name, body, span=span)
        given = self.bind(template, arguments, caller, body, span)
        for place, one in enumerate(template.body):
            if self.belongs(one, template):
                self.synapse_statement(one, place, synapse, given, caller)
        self.leftover(template, given, body)
        self.derivatives(body, _orders(template.body))
        inputs = [one.name for one in body.names.values() if isinstance(one, Declared) and one.kind == "input"]
        if len(inputs) != 1:
            message = f"the synapse `{template.name}` has {len(inputs) or 'no'} inputs; it needs the one that spikes arrive at"
            self.report.add("CS503", message, template.span, help="declare `input z`")
        synapse.input = inputs[0] if inputs else ""
        found: list[str] = []
        for one in template.body:
            if isinstance(one, written.Declare) and one.kind == "output":
                self.outputs(one, body, found)
        if len(found) > 1:
            self.report.add("CS503", f"the synapse `{template.name}` has more than one output", template.span)
        synapse.output = found[0] if found else ""
        here.synapse = synapse

    def synapse_statement(
        self, one: written.Statement, place: int, here: SynapseHere, given: dict[str, written.Argument], caller: Body
    ) -> None:
        body = here.body
        match one:
            case written.Declare(kind="state"):
                for state in self.declare(self.without_weight(one, here), place, body, given, caller):
                    if not state.extent and not state.order:
                        message = f"the state `{state.name}` says not where it lives"
                        self.report.add(
                            "CS309", message, state.span, help="write `per pre`, `per post` or `per connection`"
                        )
            case written.Declare():
                self.declare(one, place, body, given, caller)
            case written.Equation():
                here.equations.append((one, body))
            case written.On(event="pre" | "post"):
                self.on(one, here)
            case written.On():
                message = f"a synapse reacts to `pre` and `post`, not to `{one.event}`"
                self.report.add("CS301", message, one.span, help=suggestion(one.event, ("pre", "post")))
            case written.Send():
                self.send(one, body, here)
            case written.Update() | written.Noise():
                self.report.add("CS105", f"`{one.kind}` stands in `on pre` or `on post` of a synapse", _first_span(one))
            case _:
                pass

    def without_weight(self, statement: written.Declare, here: SynapseHere) -> written.Declare:
        """`state weight per connection` is the connection's own weight, which the synapse then changes."""
        mine = [one for one in statement.declarators if one.name == "weight"]
        if not mine:
            return statement
        body, projection = here.body, here.body.connection
        assert projection is not None
        if projection.weight is None:
            one = tree.Number("1")
            value = one if projection.target.path else None
            projection.weight = Declared(
                f"{projection.path}.weight",
                "weight",
                "state",
                projection.body,
                default=value,
                value=value,
                span=mine[0].span,
            )
            self.add(projection.weight)
        projection.weight.kind = "state"
        self.modify(projection.weight, [m for m in statement.modifiers if m.kind != "per"], body)
        extents = [modifier.extent for modifier in statement.modifiers if modifier.kind == "per"]
        if extents != ["connection"]:
            help = "write `state weight  per connection`"
            self.report.add(
                "CS309",
                "the weight that a synapse changes lives on the connection",
                mine[0].span or statement.span,
                help=help,
            )
        projection.weight.extent = "connection"
        self.define(body, "weight", projection.weight, mine[0].span or statement.span)
        return statement.model_copy(
            update={"declarators": tuple(d for d in statement.declarators if d.name != "weight")}
        )

    def on(self, statement: written.On, here: SynapseHere) -> None:
        if statement.event in here.on:
            self.report.add("CS302", f"`on {statement.event}` stands here twice", statement.span)
            return
        body = here.body
        inner = Body(
            body.path, "synapse", body.template, body.instance, outer=body, sizes=self.sizes, projection=body.projection
        )
        updates: list[tuple[written.Update, Body]] = []
        for place, one in enumerate(statement.body):
            match one:
                case written.Declare(kind="let"):
                    self.declare(one, place, inner, suffix=f".{statement.event}")
                case written.Update():
                    updates.append((one, inner))
                case written.Send() if statement.event == "pre":
                    self.send(one, inner, here)
                case written.Equation():
                    self.no_assignment(one)
                case _:
                    message = f"`{one.kind}` cannot stand in `on {statement.event}`"
                    self.report.add("CS105", message, _first_span(one))
        here.on[statement.event] = updates

    def send(self, statement: written.Send, body: Body, here: SynapseHere) -> None:
        if here.send is not None:
            self.report.add("CS302", "a synapse sends one thing", statement.span)
            return
        here.send = (statement.value, body)

    def no_assignment(self, statement: written.Equation) -> None:
        left = print_expression(statement.left)
        self.report.add(
            "CS107",
            "`=` states an equation; a change at one moment is written `<-`",
            statement.span or statement.left.span,
            help=f"write `{left} <- {print_expression(statement.right)}`",
        )


# An axis whose size is taken from use has this placeholder until then.
OPEN = -1

_NOWHERE = Body("", "circuit", "")
_NOTHING = Declared("", "", "input", _NOWHERE)
_NO_CONNECT = written.Connect(source=tree.Name("pre"), target=tree.Name("post"))


def placeholders(template: Template) -> tuple[written.Argument, ...]:
    """Values for arguments without a default, so that a template can be checked by itself."""
    made: list[written.Argument] = []
    for formal in template.formals:
        if formal.default is None:
            unit = "" if formal.type in ("int", "real", "bool", "text") else formal.type
            value: tree.Expression = tree.Number("12" if formal.type == "int" else "1", unit)
            if formal.type == "bool":
                value = tree.Name("false")
            if formal.type == "text":
                value = tree.Text("")
            made.append(written.Argument(name=formal.name, value=value))
    return tuple(made)


def _argument(argument: tree.Argument) -> written.Argument:
    modifiers = tuple(
        written.Modifier(kind=one.kind, value=one.value, extent=one.extent, span=one.span) for one in argument.modifiers
    )
    return written.Argument(name=argument.name, value=argument.value, modifiers=modifiers, span=argument.span)


def _span(argument: written.Argument) -> Span | None:
    return argument.span or (argument.value.span if argument.value is not None else None)


def _first_span(statement: written.Statement) -> Span | None:
    if statement.span is not None:
        return statement.span
    for name in type(statement).model_fields:
        value = getattr(statement, name)
        if isinstance(value, tree.Node) and value.span is not None:
            return value.span
    return None


def _orders(statements: Iterable[written.Statement]) -> dict[str, int]:
    """The highest derivative of every state in the equations."""
    orders: dict[str, int] = {}
    for one in statements:
        if isinstance(one, written.Equation):
            for node in (*walk(one.left), *walk(one.right)):
                if isinstance(node, tree.Derivative) and isinstance(node.operand, tree.Name):
                    orders[node.operand.name] = max(orders.get(node.operand.name, 0), min(node.order, 16))
    return orders


def walk(node: tree.Expression) -> Iterator[tree.Expression]:
    """The node and everything below it."""
    stack: list[tree.Expression] = [node]
    while stack:
        one = stack.pop()
        yield one
        stack += children(one)


def children(node: tree.Expression) -> list[tree.Expression]:
    match node:
        case tree.Member(owner=inner) | tree.Derivative(operand=inner) | tree.Unary(operand=inner):
            return [inner]
        case tree.Binary(left=left, right=right):
            return [left, right]
        case tree.ListOf(items=items):
            return list(items)
        case tree.Index(operand=operand, arguments=arguments) | tree.Call(function=operand, arguments=arguments):
            inside = [argument.value for argument in arguments if argument.value is not None]
            drawn = [m.value for argument in arguments for m in argument.modifiers if m.value is not None]
            return [operand, *inside, *drawn]
        case tree.Comprehension(item=item, ranges=ranges):
            return [item, *(one.values for one in ranges)]
        case _:
            return []


def _parts(item: Entry | list[Entry]) -> Sequence[Entry]:
    """What several names of a loop unpack."""
    if isinstance(item, list):
        return item
    return list(item.value) if isinstance(item, Static) and isinstance(item.value, tuple) else []


def shared_names(members: Sequence[Entry]) -> list[str]:
    """The names that all of some entries have inside."""
    names = [set(members_of(one)) for one in members]
    return sorted(names[0].intersection(*names[1:])) if names else []


def _short(entry: Entry) -> str:
    return path_of(entry).rpartition(".")[2] if not isinstance(entry, Static) else str(entry.value)


def _owner_name(entry: Entry, body: Body) -> str:
    """The name of what a connection starts or ends at, without the port: `V.sp.u` is V_sp."""
    path = path_of(entry)
    if isinstance(entry, Declared):
        path = entry.body.path if entry.body.path != body.path else entry.path
    elif isinstance(entry, GroupVariable):
        path = entry.group.path
    inside = path.removeprefix(f"{body.path}.") if body.path else path
    return inside.replace(".", "_")


def _home(body: Body) -> Body:
    """The circuit's own body: connections of all rounds of a loop are named there."""
    while body.outer is not None and body.outer.kind != "experiment":
        body = body.outer
    return body


def _side(entry: Declared | GroupVariable | GroupHere, result: Expansion) -> Entry | None:
    match entry:
        case GroupVariable(group=group):
            return group
        case GroupHere():
            return entry
        case Declared(body=body):
            return next((population for population in result.populations if population.body is body), None)


def unit_or_none(text: str) -> object | None:
    try:
        return unit_of(text) if text else DIMENSIONLESS
    except UnitError:
        return None
