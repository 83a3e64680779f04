"""From typed declarations to the Model: equations, updates, connections and parts, each checked against its place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from cortexspec.analysis.expand_templates import Expansion, StartHere, walk
from cortexspec.analysis.infer_types import Typed, Typing
from cortexspec.analysis.library import SURROGATES
from cortexspec.analysis.model import (
    Equation,
    Group,
    Model,
    Part,
    Penalty,
    Population,
    Projection,
    Spike,
    Start,
    Synapse,
    Update,
    Variable,
)
from cortexspec.analysis.plugins import names_that_need_a_plugin, needs_a_plugin
from cortexspec.analysis.report import suggestion
from cortexspec.analysis.rules import RULES, Facts
from cortexspec.analysis.scope import (
    Body,
    Declared,
    FunctionHere,
    GroupHere,
    GroupVariable,
    Opaque,
    PopulationHere,
    ProjectionHere,
    path_of,
)
from cortexspec.diagnostics import Span
from cortexspec.expressions import tree
from cortexspec.expressions.print import print_expression
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type, unit_in_words
from cortexspec.schema import statement as written
from cortexspec.units import DIMENSIONLESS, Unit


class ModelBuilder:
    """Types everything that an expansion has, once, and puts it together."""

    def __init__(self, typing: Typing, cuts: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType({})):
        self.typing, self.cuts = typing, cuts
        self.expansion: Expansion = typing.expander.result
        self.report = typing.report

    def build(self) -> Model:
        """The model; only whole where nothing was reported."""
        # Those of populations first, so that axes get their short names in the order in which populations stand.
        inner = [path for path, one in self.expansion.variables.items() if one.body.kind == "neuron"]
        for path in (*inner, *list(self.expansion.variables)):
            self.typing.variable(path)
        populations = tuple(self.population(one) for one in self.expansion.populations)
        projections = tuple(self.projection(one) for one in self.expansion.projections)
        starts = tuple(made for one in self.expansion.starts if (made := self.start(one)) is not None)
        penalties = tuple(
            made for one in self.expansion.penalties if (made := self.penalty(one.name, one.value, one.body, one.span))
        )
        for path in list(self.expansion.variables):  # those of functions that were called meanwhile
            self.typing.variable(path)
        parts = tuple(self.part(one) for one in self.expansion.functions.values() if self.is_called(one))
        top = self.expansion.body
        model = Model(
            circuit=self.expansion.circuit,
            sizes=MappingProxyType(dict(self.expansion.sizes)),
            variables=MappingProxyType(self.variables()),
            populations=populations,
            projections=projections,
            parts=parts,
            groups=tuple(self.group(one) for one in self.expansion.groups),
            starts=starts,
            penalties=penalties,
            inputs=tuple(one.path for one in _declared(top, "input")),
            lets=tuple(
                one.path
                for one in self.expansion.variables.values()
                if one.kind == "let" and one.body.kind == "circuit" and not one.side
            ),
            outputs=self.outputs(top),
            time_unit=self.typing.time_unit,
            uses=self.typing.library.uses,
            removed=tuple(self.typing.expander.removed),
            unread=MappingProxyType(dict(self.typing.unread)),
            opaque=MappingProxyType({**names_that_need_a_plugin(self.report), **self.typing.opaque}),
            entries=self.typing.library.entries,
            data=MappingProxyType(dict(self.typing.expander.data.arrays)),
        )
        facts = Facts(model, self.expansion.incomplete)
        for rule in RULES:
            self.report.put(*rule(facts))
        return model

    def outputs(self, top: Body) -> tuple[str, ...]:
        named = [self.expansion.body.names.get(name) for name in self.expansion.outputs]
        return tuple(one.path for one in named if isinstance(one, Declared))

    # Variables.

    def variables(self) -> dict[str, Variable]:
        """In the order in which types were found, so that what defines others comes first."""
        made: dict[str, Variable] = {
            path: Variable(path, "data", one.type, one.axes) for path, one in self.typing.expander.data.arrays.items()
        }
        for path, typed in self.typing.types.items():
            declared = self.expansion.variables.get(path)
            if typed is None or declared is None:
                continue
            made[path] = self.one_variable(declared, typed)
        for path, part in self.typing.parts.items():
            for one in part.parameters if part is not None else ():
                inputs = tree.Argument(_number_of(one.fan_in))
                draw = tree.Call(tree.Name(one.start), (inputs,)) if isinstance(one.start, str) else None
                value = tree.Number(repr(float(one.start))) if isinstance(one.start, float) else None
                kind = "running" if one.running else "param"
                name = f"{path}.{one.name}"
                around = tuple(axis.name for axis in one.type.axes if axis.name not in one.axes)
                span = self.expansion.functions[path].span
                made[name] = Variable(
                    name, kind, one.type, (*around, *one.axes), value, draw, one.trainable, span=span, around=around
                )
        return made

    def one_variable(self, declared: Declared, typed: Typed) -> Variable:
        return Variable(
            declared.path,
            declared.kind,
            typed.type,
            typed.axes,
            typed.value,
            typed.draw,
            declared.trainable,
            typed.constraint,
            typed.unit_shown,
            declared.given_at or declared.span,
            self.side_axes(declared, typed) if declared.side else _named(declared.body.around, typed.type),
            bool(declared.side),
        )

    def side_axes(self, declared: Declared, typed: Typed) -> tuple[str, ...]:
        """The axes of `pre.A` that are the connection's; A may have own ones behind them."""
        connection = declared.body.connection
        sides = self.typing.projection_axes(connection) if connection is not None else None
        own = {axis.name for axis in (*sides.all_targets, *sides.all_sources)} if sides is not None else set[str]()
        around = {axis.name for axis in declared.body.instance}
        return tuple(name for name in typed.axes if name in own | around)

    # Populations.

    def population(self, here: PopulationHere) -> Population:
        body = here.body
        names = body.names.values()
        own = [one for one in names if isinstance(one, Declared) and one.kind != "attribute"]
        equations = tuple(made for one, where in here.equations if (made := self.equation(one, where)) is not None)
        updates = self.updates(here.updates)
        return Population(
            here.path,
            here.neuron,
            here.axis.name,
            tuple(axis.name for axis in here.instance),
            _paths(own, "param", "constant"),
            _paths(own, "state"),
            _paths(own, "input"),
            _paths(own, "let"),
            tuple(body.dotted(name) for name in here.outputs),
            equations,
            updates,
            self.spike(here.spike, body) if here.spike is not None else None,
            tuple(here.noises),
            here.span,
        )

    def updates(self, found: Sequence[tuple[written.Update, Body]]) -> tuple[Update, ...]:
        return tuple(made for one, body in found if (made := self.update(one, body)) is not None)

    def equation(self, statement: written.Equation, body: Body) -> Equation | None:
        """Both sides resolved and of one unit. None after a mistake."""
        left = self.typing.resolve(statement.left, body)
        right = self.typing.resolve(statement.right, body)
        span = statement.span or statement.left.span
        highest = self.highest(statement, body)
        if left is None or right is None or highest is None:
            return None
        state, order = highest
        difference = tree.Binary("-", left, right, span=span)
        operand = self.typing.typed(difference, body)
        if operand is None:
            self.advise_time_constant(left, right, print_expression(statement.left), body)
        declared = self.expansion.variables[state]
        typed = self.typing.variable(state)
        if operand is not None and typed is not None:
            for axis in operand.type.axes:
                if not typed.type.has(axis.name):
                    message = f"the equation of `{declared.name}` has the axis `{axis.name}`, which the state has not"
                    self.report.add("CS501", message, span, help=f"declare `state {declared.name}[{axis.name}]`")
                    break
        if statement.modifiers:
            self.report.add("CS307", "modifiers do not go with an equation", statement.modifiers[0].span or span)
        return Equation(state, order, left, right, span)

    def advise_time_constant(self, left: tree.Expression, right: tree.Expression, text: str, body: Body) -> None:
        """`v' = I - v`: each side is right by itself, and they differ by a time."""
        first, second = self.typing.typed(left, body), self.typing.typed(right, body)
        if first is None or second is None or self.typing.time_unit == DIMENSIONLESS:
            return
        if first.type.unit * self.typing.time_unit == second.type.unit:
            help = f"the sides differ by a time: write a time constant before it, as in `10 ms*{text}`"
            self.report.advise("CS401", right.span, help)

    def highest(self, statement: written.Equation, body: Body) -> tuple[str, int] | None:
        """The state that an equation is about, by its highest derivative."""
        found: dict[str, int] = {}
        for node in (*walk(statement.left), *walk(statement.right)):
            if isinstance(node, tree.Derivative) and isinstance(node.operand, tree.Name):
                entry = body.find(node.operand.name)
                highest = (
                    isinstance(entry, Declared)
                    and f"{entry.path}{chr(39) * node.order}" not in self.expansion.variables
                )
                if isinstance(entry, Declared) and entry.kind == "state" and highest:
                    found[entry.path] = node.order
        if len(found) == 1:
            return next(iter(found.items()))
        span = statement.span or statement.left.span
        if found:
            names = " and ".join(f"`{path.rpartition('.')[2]}{chr(39) * order}`" for path, order in found.items())
            self.report.add(
                "CS311", f"one equation cannot say both {names}", span, help="write an equation for each state"
            )
        elif not any(isinstance(node, tree.Derivative) for node in (*walk(statement.left), *walk(statement.right))):
            self.no_equation(statement, body, span)
        return None

    def no_equation(self, statement: written.Equation, body: Body, span: Span | None) -> None:
        left, right = print_expression(statement.left), print_expression(statement.right)
        entry = body.find(left) if isinstance(statement.left, tree.Name) else None
        help = f"write `let {left} = {right}`"
        if isinstance(entry, Declared):
            help = f"write `{left} <- {right}` for a change at each step, or `{left}' = ...` for an equation"
        self.report.add("CS310", "`=` states a differential equation, and there is no derivative here", span, help=help)

    def update(self, statement: written.Update, body: Body, holder: str = "") -> Update | None:
        """`x <- e`: x a state, e of its type."""
        state = self.state(statement, body)
        value = self.typing.expression(statement.value, body)
        every: tree.Expression | None = None
        for modifier in statement.modifiers:
            if modifier.kind != "every" or modifier.value is None:
                message = "only `every T` goes with an update"
                self.report.add("CS307", message, modifier.span or statement.span)
                continue
            found = self.typing.expression(modifier.value, body)
            if found is None:
                return None
            every = found[0]
            self.wants(found[1].type.unit, self.typing.time_unit, modifier.value.span, "an interval", found[1].zero)
        if state is None or value is None:
            return None
        typed = self.typing.variable(state.path)
        if typed is not None:
            operand = value[1]
            allowed = Type(
                typed.type.axes, operand.type.dtype if operand.type.dtype == "int" else "float", typed.type.unit
            )
            own = [name for name in typed.axes if name not in {axis.name for axis in body.around}]
            self.typing.fitted(operand, _wider(allowed, operand.type, body, self.typing), own, statement.value.span)
        return Update(state.path, value[0], every, statement.span)

    def state(self, statement: written.Update, body: Body) -> Declared | None:
        entry = body.find(statement.name)
        if isinstance(entry, Declared) and entry.kind == "state":
            return entry
        if isinstance(entry, Opaque):
            return None
        states = [one.name for one in body.names.values() if isinstance(one, Declared) and one.kind == "state"]
        if entry is None:
            message, help = f"there is no state `{statement.name}` here", suggestion(statement.name, states)
            self.report.add("CS301", message, statement.span, help=help)
        else:
            message = f"`{statement.name}` is no state, so it cannot change"
            self.report.add("CS312", message, statement.span, help=f"declare `state {statement.name}`")
        return None

    def wants(self, found: Unit, wanted: Unit, span: Span | None, what: str, zero: bool = False) -> bool:
        if found == wanted or zero:
            return True
        name = "a pure number" if wanted == DIMENSIONLESS else wanted.name()
        has = "a pure number" if found == DIMENSIONLESS else found.name()
        self.report.add(
            "CS401", f"{what} is wanted in {name}, but this is in {has}", span, label=f"expected {name}, found {has}"
        )
        return False

    def spike(self, statement: written.Spike, body: Body) -> Spike | None:
        condition = crosses = refractory = surrogate = distribution = None
        unit = DIMENSIONLESS
        if statement.distribution is not None:
            distribution = self.typing.resolve(statement.distribution, body)
            if distribution is not None:
                self.typing.drawn(distribution, body, body.around, body.dotted("spike"))
            return Spike(None, None, (), None, None, distribution, statement.span)
        if statement.condition is not None:
            condition, unit = self.condition(statement, body)
        if statement.crosses is not None:
            found = self.typing.resolve(statement.crosses, body)
            if found is not None and condition is not None:
                self.typing.typed(tree.Binary("<", condition, found, span=found.span), body)
            crosses = found
        resets: list[Update] = []
        for one in statement.body:
            if isinstance(one, written.Update):
                made = self.update(one, body)
                resets += [made] if made is not None else []
            elif isinstance(one, written.Equation):
                self.typing.expander.no_assignment(one)
            else:
                self.report.add("CS105", f"`{one.kind}` cannot stand in a spike's block", one.span)
        if statement.refractory is not None:
            found = self.typing.expression(statement.refractory, body)
            if found is not None:
                refractory = found[0]
                self.wants(
                    found[1].type.unit,
                    self.typing.time_unit,
                    statement.refractory.span,
                    "a refractory period",
                    found[1].zero,
                )
        if statement.surrogate is not None:
            surrogate = self.surrogate(statement.surrogate, body, unit)
            compared = isinstance(condition, tree.Binary) and condition.operator in (">", "<")
            if condition is not None and statement.crosses is None and not compared:
                message = "a surrogate stands in for the slope of one comparison with `>` or `<`"
                self.report.add("CS321", message, condition.span or statement.span)
        return Spike(condition, crosses, tuple(resets), refractory, surrogate, distribution, statement.span)

    def condition(self, statement: written.Spike, body: Body) -> tuple[tree.Expression | None, Unit]:
        """The condition, and the unit of what is compared in it."""
        node = statement.condition
        assert node is not None
        found = self.typing.expression(node, body)
        if found is None:
            return None, DIMENSIONLESS
        resolved, operand = found
        if statement.crosses is not None:
            return resolved, operand.type.unit
        if operand.type.dtype != "bool":
            text = print_expression(node)
            self.report.add(
                "CS602", f"`{text}` is a number, where a condition is wanted", node.span, help=f"write `{text} > θ`"
            )
            return resolved, DIMENSIONLESS
        side = resolved.left if isinstance(resolved, tree.Binary) else None
        compared = self.typing.typed(side, body) if side is not None else None
        return resolved, compared.type.unit if compared is not None else DIMENSIONLESS

    def surrogate(self, node: tree.Expression, body: Body, unit: Unit) -> tree.Expression | None:
        name = node.function if isinstance(node, tree.Call) else node
        if not isinstance(name, tree.Name) or name.name not in SURROGATES:
            text = print_expression(name)
            help = suggestion(text, SURROGATES) or f"there are {', '.join(SURROGATES)}"
            self.report.add("CS301", f"there is no surrogate `{text}`", name.span, help=help)
            return None
        if not isinstance(node, tree.Call):
            return node
        made: list[tree.Argument] = []
        for argument in node.arguments:
            found = self.typing.expression(argument.value, body) if argument.value is not None else None
            if found is None:
                return None
            made.append(replace(argument, value=found[0]))
            self.wants(
                found[1].type.unit, DIMENSIONLESS / unit, found[0].span, "the slope of a surrogate", found[1].zero
            )
        return replace(node, arguments=tuple(made))

    # Connections.

    def projection(self, here: ProjectionHere) -> Projection:
        axes = self.typing.projection_axes(here)
        source = tree.Reference(path_of(here.source), span=here.statement.source.span)
        self.delivers(here)
        rule = self.rule(here)
        delay: tree.Expression | None = None
        if here.delay is not None:
            typed = self.typing.variable(here.delay.path)
            plain = typed is not None and typed.draw is None and not here.delay.trainable
            delay = typed.value if plain and typed is not None else tree.Reference(here.delay.path)
        dropout = here.settings.get("dropout")
        instances = tuple(axis.name for axis in here.body.instance)
        return Projection(
            here.path,
            source,
            here.target.path,
            tuple(axis.name for axis in axes.source) if axes is not None else (),
            tuple(axis.name for axis in axes.target) if axes is not None else (),
            tree.Name("one_to_one") if axes is not None and axes.one_to_one and rule is None else rule,
            here.weight.path if here.weight is not None else None,
            delay,
            self.synapse(here),
            self.read_new(here),
            self.pure(dropout.value, here.body, "a dropout rate")
            if dropout is not None and dropout.value is not None
            else None,
            span=here.span,
            around=instances,
            cuts=self.cuts.get(here.path, ()),
        )

    def pure(self, node: tree.Expression, body: Body, what: str) -> tree.Expression | None:
        found = self.typing.expression(node, body)
        if found is None:
            return None
        self.wants(found[1].type.unit, DIMENSIONLESS, node.span, what)
        return found[0]

    def read_new(self, here: ProjectionHere) -> bool:
        setting = here.settings.get("read")
        if setting is None:
            return False
        if isinstance(setting.value, tree.Name) and setting.value.name == "new":
            return True
        text = print_expression(setting.value) if setting.value is not None else ""
        self.report.add("CS301", f"`read` is `new` or left out, not `{text}`", setting.span, help="write `read = new`")
        return False

    def delivers(self, here: ProjectionHere) -> None:
        """What arrives has the unit that the port takes."""
        unknown = here.synapse is None and "synapse" in here.settings  # said already
        if not here.target.path or unknown:
            return
        source, target = self.typing.read(here.source.path), self.typing.read(here.target.path)
        weight = self.typing.weight_unit(here)
        if source is None or target is None or weight is None:
            return
        unit = source.type.unit * weight
        if here.synapse is not None:
            output = here.synapse.body.names.get(here.synapse.output) if here.synapse.output else None
            if isinstance(output, Declared):
                typed = self.typing.variable(output.path)
                if typed is None:
                    return
                unit = typed.type.unit
            elif here.synapse.input:
                arriving = self.typing.variable(here.synapse.body.dotted(here.synapse.input))
                if arriving is None:
                    return
                unit = arriving.type.unit
        if unit == target.type.unit:
            return
        port = here.target.path
        setting = here.settings.get("synapse") or here.settings.get("weight")
        span = (setting.value.span if setting is not None and setting.value is not None else None) or here.span
        needed = target.type.unit / source.type.unit
        takes, delivers = unit_in_words(target.type.unit), unit_in_words(unit)
        weights = "a pure number" if needed == DIMENSIONLESS else f"in {needed.name()}"
        help = f"the weight must be {weights}, or the input in {delivers}" if here.synapse is None else ""
        message = f"`{port}` takes {takes}, but `{here.path}` delivers {delivers}"
        self.report.add("CS403", message, span, label=f"expected {takes}, found {delivers}", help=help)

    def rule(self, here: ProjectionHere) -> tree.Expression | None:
        """The connection rule with its arguments resolved."""
        setting = here.settings.get("rule")
        if setting is None or setting.value is None:
            return None
        node = setting.value
        name = node.function if isinstance(node, tree.Call) else node
        entry = self.typing.library.rules.get(name.name) if isinstance(name, tree.Name) else None
        if entry is None and isinstance(name, tree.Name) and self.typing.library.missing_plugins:
            needs_a_plugin(name.name, name.span, self.typing.library, self.report)
            return node
        if entry is None:
            text = print_expression(name)
            rules = self.typing.library.rules
            help = suggestion(text, rules) or f"there are {', '.join(rules)}"
            self.report.add("CS301", f"there is no connection rule `{text}`", name.span, help=help)
            return None
        given = node.arguments if isinstance(node, tree.Call) else ()
        made: list[tree.Argument] = []
        seen: set[str] = set()
        for place, argument in enumerate(given):
            key = argument.name or (entry.arguments[place] if place < len(entry.arguments) else "")
            if key not in (*entry.arguments, *entry.options) or argument.value is None:
                takes = ", ".join((*entry.arguments, *entry.options))
                message = f"`{entry.name}` has no argument `{key}`" if key else f"`{entry.name}` has too many arguments"
                self.report.add(
                    "CS306", message, argument.span or node.span, help=f"it takes {takes}" if takes else "it takes none"
                )
                continue
            seen.add(key)
            found = self.typing.expression(argument.value, here.body)
            if found is None:
                continue
            made.append(replace(argument, value=found[0]))
            if key in ("p", "K", "n", "chance"):
                self.wants(found[1].type.unit, DIMENSIONLESS, argument.value.span, f"`{key}` of `{entry.name}`")
            known = found[1].literal if key == "p" else None
            if known is not None and not ((known >= 0) & (known <= 1)).all():
                message = (
                    f"a pair is connected with a probability in [0, 1], not with {print_expression(argument.value)}"
                )
                self.report.add("CS512", message, argument.value.span)
            if key in ("autapses", "multapses", "where") and found[1].type.dtype != "bool":
                self.report.add("CS602", f"`{key}` is true or false", argument.value.span)
        missing = [name for name in entry.arguments if name not in seen]
        if missing and len(given) < len(entry.arguments):
            self.report.add(
                "CS306", f"`{entry.name}` wants `{missing[0]}`", node.span, help=f"write `{entry.name}({missing[0]})`"
            )
        return replace(node, arguments=tuple(made)) if isinstance(node, tree.Call) else node

    def synapse(self, here: ProjectionHere) -> Synapse | None:
        synapse = here.synapse
        if synapse is None:
            return None
        body = synapse.body
        own = [one for one in body.names.values() if isinstance(one, Declared)]
        output: tree.Expression | None = None
        if synapse.output:
            output = tree.Reference(body.dotted(synapse.output))
        updates = {event: self.updates(synapse.on.get(event, [])) for event in ("pre", "post")}
        lets = [
            one
            for one in self.expansion.variables.values()
            if one.kind == "let" and one.body.connection is here and not one.side
        ]
        return Synapse(
            synapse.type,
            MappingProxyType(
                {
                    one.path: one.extent
                    for one in own
                    if one.kind == "state" and one.extent in ("pre", "post", "connection")
                }
            ),
            _paths(own, "param", "constant"),
            _paths(own, "state"),
            tuple(one.path for one in lets),
            tuple(made for one, where in synapse.equations if (made := self.equation(one, where)) is not None),
            updates["pre"],
            updates["post"],
            self.typing.resolve(*synapse.send) if synapse.send is not None else None,
            body.dotted(synapse.input),
            output,
            synapse.span,
        )

    # The rest.

    def group(self, here: GroupHere) -> Group:
        return Group(here.path, tuple(path_of(member) for member in here.members), here.axis.name, here.table.name)

    def start(self, here: StartHere) -> Start | None:
        target = self.typing.expander.entry(here.target, here.body)
        if isinstance(here.target, tree.Derivative) and isinstance(here.target.operand, tree.Member):
            holder = self.typing.resolver.holder(here.target.operand.owner, here.body)
            if isinstance(holder, GroupHere):
                target = self.typing.expander.group_variable(
                    holder, here.target.operand.name + "'" * here.target.order, here.target
                )
        found = self.typing.expression(here.value, here.body)
        if target is None or isinstance(target, Opaque):
            return None
        members = target.members if isinstance(target, GroupVariable) else (target,)
        if not isinstance(target, (Declared, GroupVariable)) or any(
            isinstance(one, Declared) and one.kind != "state" for one in members
        ):
            self.report.add(
                "CS312", f"`{print_expression(here.target)}` is no state; `start` sets states", here.target.span
            )
            return None
        typed = self.typing.read(target.path)
        if found is None or typed is None:
            return None
        around = {axis.name for axis in here.body.instance}
        own = [name for name in typed.axes if name not in around]
        if self.typing.fitted(found[1], typed.type, own, here.value.span) is None:
            return None
        return Start(target.path, found[0], here.span, tuple(axis.name for axis in here.body.instance))

    def penalty(self, name: str, value: tree.Expression, body: Body, span: Span | None) -> Penalty | None:
        found = self.typing.expression(value, body)
        if found is None:
            return None
        if found[1].axes:
            axes = ", ".join(found[1].axes)
            message = f"a penalty is a single number, but this has the axes {axes}"
            self.report.add("CS501", message, value.span, help="write `sum(...)` or `mean(...)`")
        return Penalty(name, found[0], span)

    def is_called(self, here: FunctionHere) -> bool:
        if here.body is not None:
            return any(f"{here.path}.{name}" in self.typing.types for name in here.outputs)
        return self.typing.parts.get(here.path) is not None

    def part(self, here: FunctionHere) -> Part:
        if here.body is None:
            typed = self.typing.parts[here.path]
            assert typed is not None
            params = tuple(f"{here.path}.{one.name}" for one in typed.parameters)
            settings: Mapping[str, object] = MappingProxyType(dict(typed.settings))
            return Part(here.path, here.function, ("x",), params, (), (), True, settings, here.span)
        own = [one for one in here.body.names.values() if isinstance(one, Declared)]
        return Part(
            here.path, here.function, _paths(own, "input"), _paths(own, "param", "constant"), _paths(own, "let"),
            tuple(here.body.dotted(name) for name in here.outputs), span=here.span,
        )  # fmt: skip


def _named(axes: Sequence[Axis], type_: Type) -> tuple[str, ...]:
    return tuple(axis.name for axis in axes if type_.has(axis.name))


def _declared(body: Body, *kinds: str) -> Iterable[Declared]:
    return (one for one in body.names.values() if isinstance(one, Declared) and one.kind in kinds)


def _number_of(size: Size) -> tree.Expression:
    """A size as an expression, so that a symbol which only the data bind stays one."""
    total: tree.Expression | None = None
    for symbols, factor in size.terms:
        term: tree.Expression = tree.Number(str(factor))
        for symbol in symbols:
            one = tree.Call(tree.Name("axis_size"), (tree.Argument(tree.Text(symbol)),))
            term = one if term == tree.Number("1") else tree.Binary("*", term, one)
        total = term if total is None else tree.Binary("+", total, term)
    return total if total is not None else tree.Number("0")


def _paths(variables: Sequence[Declared], *kinds: str) -> tuple[str, ...]:
    return tuple(one.path for one in variables if one.kind in kinds)


def _wider(wanted: Type, found: Type, body: Body, typing: Typing) -> Type:
    """In a synapse a value may run over the connection's other side; its state then takes it edge by edge."""
    if body.kind != "synapse" or body.connection is None or not body.connection.source.path:
        return wanted
    axes = typing.projection_axes(body.connection)
    if axes is None:
        return wanted
    both = {axis.name: axis for axis in (*axes.target, *axes.all_targets, *axes.all_sources)}
    extra = [axis for axis in both.values() if found.has(axis.name) and not wanted.has(axis.name)]
    return wanted.with_axes((*wanted.axes, *extra))
