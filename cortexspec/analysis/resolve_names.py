"""Names become references to dotted paths; comprehensions and calls of the spec's own functions become what they stand for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from cortexspec.analysis.data_files import texts_of
from cortexspec.analysis.expand_templates import DEEPEST, Expander, shared_names
from cortexspec.analysis.plugins import needs_a_plugin
from cortexspec.analysis.report import Report, suggestion
from cortexspec.analysis.scope import (
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
    Static,
    kind_of,
    members_of,
)
from cortexspec.analysis.static import CONSTANTS
from cortexspec.diagnostics import Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.ir.types import RuleError
from cortexspec.schema import statement as written
from cortexspec.units import DIMENSIONLESS, SYMBOLS

_WORDS = frozenset({"t", "dt", "index", "training"})
# Arguments whose value is the name of an axis, not a value.
_AXIS_ARGUMENTS = frozenset({"over", "by", "axis"})
_TOPMOST = 20_000  # items that comprehensions may make in one expression


class Unresolved(Exception):
    """A mistake was reported; the expression means nothing."""


class Resolver:
    """Resolves expressions of one circuit. Calls of the spec's functions are expanded through `expander`."""

    def __init__(self, expander: Expander):
        self.expander = expander
        self.library = expander.library
        self.made = 0
        self.whole_value = False  # whether an array of a file is all that a declaration says, whose unit is `data_unit`
        self.data_unit = ""

    @property
    def report(self) -> Report:
        return self.expander.report

    def resolve(self, node: tree.Expression, body: Body) -> tree.Expression | None:
        """The expression with every name resolved; None after a mistake, which is reported, or where a plugin is missing."""
        try:
            return self.walk(node, body)
        except Unresolved:
            return None

    def stop(self, code: str, message: str, span: Span | None, *, label: str = "", help: str = "") -> Unresolved:
        self.report.add(code, message, span, label=label, help=help)
        return Unresolved()

    def walk(self, node: tree.Expression, body: Body) -> tree.Expression:
        """Raises: Unresolved. Both sides of an operator are visited, so that two unknown names are two reports."""
        match node:
            case tree.Number():
                self.check_unit(node, body)
                return node
            case tree.Text() | tree.Reference():
                return node
            case tree.Name():
                return self.name(node, body)
            case tree.Member():
                return self.value_of(self.member(node, body), node, body)
            case tree.Derivative():
                return self.derivative(node, body)
            case tree.Unary():
                return replace(node, operand=self.walk(node.operand, body))
            case tree.Binary():
                left, right = self.both([node.left, node.right], body)
                return replace(node, left=left, right=right)
            case tree.ListOf():
                return replace(node, items=tuple(self.both(node.items, body)))
            case tree.Index():
                return self.index(node, body)
            case tree.Call():
                return self.call(node, body)
            case tree.Comprehension():
                return tree.ListOf(tuple(self.comprehension(node, body)), span=node.span)

    def both(self, nodes: Sequence[tree.Expression], body: Body) -> list[tree.Expression]:
        """All of them, so that every unknown name is reported. Raises: Unresolved after the last one."""
        found = [self.resolve(node, body) for node in nodes]
        kept = [one for one in found if one is not None]
        if len(kept) != len(found):
            raise Unresolved
        return kept

    # Leaves.

    def check_unit(self, node: tree.Number, body: Body) -> None:
        """`5 mV/x` where x is a unit and a name in reach: the author must say which by blanks."""
        symbols = node.unit.replace("^", "/").split("/")[1:]
        for symbol in symbols:
            if symbol in SYMBOLS and body.find(symbol) is not None:
                text = f"{node.text} {node.unit}"
                spaced = text.replace(f"/{symbol}", f" / {symbol}", 1)
                self.report.add(
                    "CS404",
                    f"`{symbol}` in `{text}` is a unit, and a name in reach too",
                    node.span,
                    help=f"write `{spaced}` to divide by the name, or rename `{symbol}`",
                )
                raise Unresolved

    def name(self, node: tree.Name, body: Body) -> tree.Expression:
        entry = body.find(node.name)
        if entry is None:
            if node.name in _WORDS or node.name in CONSTANTS:
                return node
            raise self.unknown(node.name, node.span, body)
        return self.value_of(entry, node, body)

    def unknown(self, name: str, span: Span | None, body: Body) -> Unresolved:
        if name in ("pre", "post"):
            message = f"`{name}` is known in the settings of a connection only, as in `{name}.A`"
            return self.stop("CS301", message, span)
        help = f"`{name}` is a function: write `{name}(...)`" if name in self.library.functions else ""
        self.expander.unknown(name, span, body, known=(*_WORDS, "π"), help=help)
        return Unresolved()

    def value_of(self, entry: Entry, node: tree.Expression, body: Body) -> tree.Expression:
        """The reference to something that has a value."""
        match entry:
            case Static():
                return literal(entry, node.span)
            case Declared():
                self.check_order(entry, node, body)
                return tree.Reference(entry.path, span=node.span)
            case GroupVariable(path=path):
                return tree.Reference(path, span=node.span)
            case GroupHere(path=path, members=members) if all(isinstance(member, Declared) for member in members):
                return tree.Reference(path, span=node.span)
            case PenaltyHere(value=value, body=inner):
                return self.walk(value, inner)
            case Opaque():
                raise Unresolved
            case _:
                text = print_expression(node)
                message = f"`{text}` is {kind_of(entry)}, where a value is wanted"
                raise self.stop("CS308", message, node.span, help=self.members_help(entry, text))

    def members_help(self, entry: Entry, text: str) -> str:
        if isinstance(entry, FunctionHere):
            return f"call it: `{text}(...)`"
        if isinstance(entry, GroupHere):
            names = shared_names(entry.members)
        else:
            names = list(members_of(entry))
        values = [name for name in names if "'" not in name][:3]
        return f"write one of its values, such as {', '.join(f'`{text}.{name}`' for name in values)}" if values else ""

    def check_order(self, entry: Declared, node: tree.Expression, body: Body) -> None:
        """`let` reads top down."""
        reader = self.reading
        if reader is None or not reader.kind == entry.kind == "let" or reader.body is not entry.body:
            return
        if entry.place >= reader.place:
            what = "itself" if entry is reader else f"`{entry.name}`, which is declared after it"
            self.report.add(
                "CS304",
                f"`{reader.name}` reads {what}: `let` reads top down",
                node.span,
                help="" if entry is reader else f"move `{entry.name}` up",
            )
            raise Unresolved

    reading: Declared | None = None

    def derivative(self, node: tree.Derivative, body: Body) -> tree.Expression:
        owner, primes = node.operand, "'" * node.order
        match owner:
            case tree.Name(name):
                entry = body.find(name)
                if entry is None:
                    raise self.unknown(name, owner.span, body)
                known = body.find(name + primes)
            case tree.Member(inside, name):
                entry = self.member(owner, body)
                holder = self.holder(inside, body)
                known = None
                if isinstance(holder, GroupHere):
                    known = self.expander.group_variable(holder, name + primes, node)
                elif holder is not None:
                    known = members_of(holder).get(name + primes)
            case _:
                raise self.stop("CS308", "a prime stands at a state, as in `v'`", node.span)
        if isinstance(entry, Opaque):
            raise Unresolved
        if known is not None:
            return self.value_of(known, node, body)
        if isinstance(entry, Declared) and entry.kind == "state" and entry.body is body:
            return tree.Reference(entry.path + primes, span=node.span)  # the highest derivative, inside its equation
        what = kind_of(entry)
        help = ""
        if (isinstance(entry, Declared) and entry.kind == "state") or isinstance(entry, GroupVariable):
            what, help = (
                f"a state without `{print_expression(node)}`",
                "only lower derivatives than the equation's highest are states",
            )
        raise self.stop(
            "CS308", f"`{print_expression(owner)}` is {what}; a prime stands at a state", node.span, help=help
        )

    def holder(self, node: tree.Expression, body: Body) -> Entry | None:
        return (
            body.find(node.name)
            if isinstance(node, tree.Name)
            else self.member(node, body)
            if isinstance(node, tree.Member)
            else None
        )

    def member(self, node: tree.Member, body: Body) -> Entry:
        """What `a.b.c` stands for. Raises: Unresolved."""
        match node.owner:
            case tree.Name("pre" | "post" as side) if body.side(side) is not None:
                return self.side(side, node, body)
            case tree.Name(name):
                owner = body.find(name)
                if owner is None:
                    raise self.unknown(name, node.owner.span, body)
            case tree.Member():
                owner = self.member(node.owner, body)
            case _:
                text = print_expression(node.owner)
                if node.name == "T":
                    raise self.stop("CS308", "a value has no parts", node.span, help=f"write `transpose({text})`")
                raise self.stop("CS308", f"`{text}` is a value, which has no part `{node.name}`", node.span)
        if isinstance(owner, Opaque):
            return owner
        if node.name == "*" or (isinstance(owner, Declared) and owner.kind != "state"):
            raise self.no_part(owner, node)
        found = self.expander.member(owner, node.name, node)
        if found is None:
            raise Unresolved
        return found

    def no_part(self, owner: Entry, node: tree.Member) -> Unresolved:
        if node.name == "*":
            message = "`*` stands for every member in a recording only"
            return self.stop(
                "CS308", message, node.span, help="declare `group NAME = [...]`, so that the order is seen"
            )
        text = print_expression(node.owner)
        help = f"write `transpose({text})`" if node.name == "T" else ""
        return self.stop(
            "CS308", f"`{text}` is {kind_of(owner)}, which has no part `{node.name}`", node.span, help=help
        )

    def side(self, side: str, node: tree.Member, body: Body) -> Entry:
        """`pre.A`, `post.A`: a value per source or per target neuron of this connection."""
        owner = body.side(side)
        projection = body.connection
        assert owner is not None
        if isinstance(owner, Opaque):
            return owner
        found = self.expander.member(owner, node.name, node)
        if found is None:
            raise Unresolved
        if projection is None:  # arguments of a type in place lie along the target's axis already
            return found
        path = f"{projection.path}.{side}.{node.name}"
        made = self.expander.result.variables.get(path)
        if made is None:
            value = tree.Reference(found.path, span=node.span) if isinstance(found, (Declared, GroupVariable)) else node
            made = Declared(path, node.name, "let", projection.body, default=value, value=value, span=node.span)
            made.side = side
            self.expander.result.variables[path] = made
        return made

    # Larger nodes.

    def index(self, node: tree.Index, body: Body) -> tree.Expression:
        operand = self.resolve(node.operand, body)
        arguments: list[tree.Argument] = []
        failed = operand is None
        for argument in node.arguments:
            if argument.value is None:
                raise self.stop(
                    "CS308", "an index is a value, a range or a member of a group", argument.span or node.span
                )
            value = self.index_value(argument.value, body)
            failed = failed or value is None
            if value is not None:
                arguments.append(replace(argument, value=value))
        if failed or operand is None:
            raise Unresolved
        return replace(node, operand=operand, arguments=tuple(arguments))

    def index_value(self, node: tree.Expression, body: Body) -> tree.Expression | None:
        """A member of a group stands for its place in a table."""
        entry: Entry | None = None
        if isinstance(node, tree.Name):
            entry = body.find(node.name)
        elif isinstance(node, tree.Member):
            try:
                entry = self.member(node, body)
            except Unresolved:
                return None
        if isinstance(entry, (PopulationHere, CircuitHere)):
            return tree.Reference(entry.path, span=node.span)
        if isinstance(node, tree.Name) and node.name == "end" and entry is None:
            return node
        return self.resolve(node, body)

    def call(self, node: tree.Call, body: Body) -> tree.Expression:
        match node.function:
            case tree.Name(name):
                entry = body.find(name)
                if isinstance(entry, Opaque):
                    raise Unresolved
                if isinstance(entry, FunctionHere):
                    return self.call_part(entry, node, body)
                if entry is not None and name not in self.library.functions:
                    raise self.stop("CS308", f"`{name}` is {kind_of(entry)}, not a function", node.function.span)
                return self.call_name(name, node, body)
            case tree.Member():
                entry = self.member(node.function, body)
                if isinstance(entry, Opaque):
                    raise Unresolved
                if not isinstance(entry, FunctionHere):
                    text = print_expression(node.function)
                    raise self.stop("CS308", f"`{text}` is {kind_of(entry)}, not a function", node.function.span)
                return self.call_part(entry, node, body)
            case _:
                raise self.stop("CS308", f"`{print_expression(node.function)}` cannot be called", node.function.span)

    def call_part(self, part: FunctionHere, node: tree.Call, body: Body) -> tree.Expression:
        part.called = True
        arguments = self.arguments(node, body)
        return tree.Call(tree.Reference(part.path, span=node.function.span), arguments, span=node.span)

    def call_name(self, name: str, node: tree.Call, body: Body) -> tree.Expression:
        template = self.library.templates.get(name)
        if template is not None and template.kind == "function":
            return self.call_template(name, node, body)
        if name == "size" and len(node.arguments) == 1 and node.arguments[0].value is not None:
            return self.size(node, node.arguments[0].value, body)
        if name == "data":
            return self.data(replace(node, arguments=self.arguments(node, body)))
        if name in self.library.functions or name in self.library.distributions:
            return replace(node, arguments=self.arguments(node, body))
        if name in ("shape",):
            return replace(node, arguments=self.arguments(node, body))
        if template is not None:
            what = f"`{name}` is a {template.kind}, not a function"
            raise self.stop("CS308", what, node.function.span)
        if name in self.library.parts:
            help = f"declare `part NAME : {name}(...)` and call it by its name"
            raise self.stop("CS308", f"`{name}` has parameters, so it must be a part", node.function.span, help=help)
        if self.library.missing_plugins:
            self.resolve_arguments_only(node, body)
            needs_a_plugin(name, node.function.span, self.library, self.report)
            raise Unresolved
        functions = [n for n, t in self.library.templates.items() if t.kind == "function"]
        help = suggestion(name, [*self.library.functions, *self.library.distributions, *functions])
        if name == "index":
            help = "the number of a neuron is a name, no function: write `index` alone"
        raise self.stop("CS301", f"there is no function `{name}`", node.function.span, help=help)

    def data(self, node: tree.Call) -> tree.Expression:
        """An array of a file is a variable that nobody declared.

        Without a folder to read from, a call that is the whole of a declaration stays, and what stands around another has no type.
        """
        if self.expander.data.reader is None:
            if self.whole_value:
                return node
            raise Unresolved
        try:
            path = self.expander.data.find(*texts_of(node), self.data_unit)
        except RuleError as error:
            raise self.stop(error.code, error.message, node.span, label=error.label, help=error.help) from None
        return tree.Reference(path, span=node.span)

    def resolve_arguments_only(self, node: tree.Call, body: Body) -> None:
        """Of a function that nobody knows, at least the arguments are judged."""
        for argument in node.arguments:
            if argument.value is not None and not argument.name:
                self.resolve(argument.value, body)

    def call_template(self, name: str, node: tree.Call, body: Body) -> tree.Expression:
        """A function of the spec without parameters: each call is an instance of its own."""
        template = self.library.templates[name]
        if any(
            isinstance(one, written.Instances) or (isinstance(one, written.Declare) and one.kind == "param")
            for one in template.body
        ):
            help = f"declare `part NAME : {name}` and call it by its name"
            raise self.stop("CS308", f"`{name}` has parameters, so it must be a part", node.function.span, help=help)
        functions = self.expander.result.functions
        stem = body.dotted(name)
        path = next(one for one in (stem, *(f"{stem}_{n}" for n in range(2, _TOPMOST))) if one not in functions)
        callers = _callers(path, functions)
        if name in callers:
            chain = " -> ".join([*callers[callers.index(name) :], name])
            raise self.stop("CS305", f"`{name}` calls itself: {chain}", node.function.span)
        if len(callers) > DEEPEST:
            raise self.stop("CS506", f"calls are nested deeper than {DEEPEST}", node.function.span)
        self.expander.tick(node.span)
        part = self.expander.text_function(template, (), path, body.instance, body, node.span)
        return self.call_part(part, node, body)

    def size(self, node: tree.Call, argument: tree.Expression, body: Body) -> tree.Expression:
        from cortexspec.analysis.static import NotStatic, evaluate

        try:
            return literal(evaluate(node, body), node.span)
        except NotStatic as error:
            if error.code == "CS303":
                raise self.stop("CS308", f"`{print_expression(argument)}` has no size", argument.span) from None
            raise self.stop(error.code, error.message, error.span, label=error.label, help=error.help) from None

    def arguments(self, node: tree.Call, body: Body) -> tuple[tree.Argument, ...]:
        made: list[tree.Argument] = []
        failed = False
        for argument in node.arguments:
            if argument.value is None or argument.modifiers:
                self.report.add("CS307", "modifiers belong to a declaration or a type", argument.span or node.span)
                failed = True
                continue
            value = self.argument(argument, body)
            failed = failed or value is None
            if value is not None:
                made.append(replace(argument, value=value))
        if failed:
            raise Unresolved
        return tuple(made)

    def argument(self, argument: tree.Argument, body: Body) -> tree.Expression | None:
        assert argument.value is not None
        if argument.name in _AXIS_ARGUMENTS:
            return self.axis_names(argument.value, body)
        return self.resolve(argument.value, body)

    def axis_names(self, node: tree.Expression, body: Body) -> tree.Expression:
        if isinstance(node, tree.ListOf):
            return replace(node, items=tuple(self.axis_names(item, body) for item in node.items))
        entry: Entry | None = None
        if isinstance(node, tree.Name):
            entry = body.find(node.name)
        elif isinstance(node, tree.Member):
            entry = self.member(node, body)
        match entry:
            case PopulationHere(axis=axis) | GroupHere(axis=axis):
                return tree.Name(axis.name, span=node.span)
            case CircuitHere(axis=axis) if axis is not None:
                return tree.Name(axis.name, span=node.span)
            case _:
                return node

    def comprehension(self, node: tree.Comprehension, body: Body) -> Iterator[tree.Expression]:
        for inner in self.expander.rounds(node.ranges, body):
            self.made += 1
            if self.made > _TOPMOST:
                raise self.stop("CS506", f"this makes more than {_TOPMOST} items", node.span)
            yield self.walk(node.item, inner)


def literal(static: Static, span: Span | None) -> tree.Expression:
    """A known value written out as an expression."""
    match static.value:
        case bool():
            return tree.Name("true" if static.value else "false", span=span)
        case str():
            return tree.Text(static.value, span=span)
        case tuple():
            return tree.ListOf(tuple(literal(item, span) for item in static.value), span=span)
        case number:
            unit = "" if static.unit == DIMENSIONLESS else static.unit.name()
            positive = tree.Number(repr(abs(number)), unit, span=span)
            return tree.Unary("-", positive, span=span) if number < 0 else positive


def _callers(path: str, functions: dict[str, FunctionHere]) -> list[str]:
    """The functions whose instances surround a path: a function that calls itself is found here."""
    names: list[str] = []
    parts = path.split(".")
    for length in range(1, len(parts)):
        part = functions.get(".".join(parts[:length]))
        if part is not None:
            names.append(part.function)
    return names
