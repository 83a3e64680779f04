"""Statistics of an experiment: what a StatisticEntry makes of the circuit's arrays as they stand, in NumPy; and such arrays themselves.

What stands around a call is an expression like any other, in which a name stands for what the call gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cortexspec.contracts.statistic import StatisticEntry, Undefined
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.expressions.print import print_expression
from cortexspec.interpreter import run
from cortexspec.ir.op import Array
from cortexspec.ir.types import RuleError, Type
from cortexspec.lowering import entries
from cortexspec.lowering.readout import Readout, rebuilt
from cortexspec.runtime.analyse import function_of, values_at_start
from cortexspec.runtime.measure import setting_of

if TYPE_CHECKING:
    from cortexspec.analysis.model import Model
    from cortexspec.runtime.simulation import Simulation

Expressions = Mapping[str, tree.Expression]


@dataclass(frozen=True, slots=True)
class Computed:
    """Measures by name; one that is undefined is not a number, and one of `notes` says why."""

    values: Mapping[str, Array]
    notes: tuple[str, ...] = ()


def that_need_statistics(measures: Expressions, lets: Expressions, known: Mapping[str, StatisticEntry]) -> set[str]:
    """The measures that call a statistic, themselves or through lets and other measures."""
    names = {**lets, **measures}

    def calls(node: tree.Expression, open: frozenset[str]) -> bool:
        match node:
            case tree.Call(function=tree.Name(name)) if name in known:
                return True
            case tree.Call(arguments=arguments):
                return any(one.value is not None and calls(one.value, open) for one in arguments)
            case tree.Name(name) if name in names and name not in open:
                return calls(names[name], open | {name})
            case _:
                return any(calls(child, open) for child in children(node))

    return {name for name, value in measures.items() if calls(value, frozenset({name}))} if known else set()


def that_are_matrices(measures: Expressions, lets: Expressions, model: Model) -> set[str]:
    """The measures that name a matrix of the circuit which does not move, such as `rec.weight`: it is kept whole.

    Other arrays that a measure still has at its end become their mean.
    """

    def still(path: str, open: frozenset[str]) -> bool:
        variable = model.variables.get(path)
        if variable is None or path in open or variable.kind in ("state", "input", "noise"):
            return False
        inner = variable.value if variable.kind in ("let", "output") else None
        return inner is None or all(still(one, open | {path}) for one in _paths(inner))

    found: set[str] = set()
    for name, value in measures.items():
        while isinstance(value, tree.Name) and value.name in lets and value != lets[value.name]:
            value = lets[value.name]
        path = print_expression(value)
        variable = model.variables.get(path)
        if variable is not None and len(variable.axes_written) == 2 and still(path, frozenset()):
            found.add(name)
    return found


def _paths(node: tree.Expression) -> set[str]:
    """The variables that an expression of the circuit reads."""
    if isinstance(node, tree.Reference):
        return {node.path}
    inside = (one.value for one in node.arguments) if isinstance(node, tree.Call) else children(node)
    return set[str]().union(*(_paths(one) for one in inside if one is not None))


def computed(
    simulation: Simulation,
    measures: Expressions,
    lets: Expressions,
    given: Mapping[str, Array] | None = None,
    seed: int | None = None,
) -> Computed:
    """Measures of statistics, and matrices, at the simulation's present parameters. `given` are numbers that they may read.

    Raises: SpecError for a call that does not check.
    """
    reading = _Reading(simulation, {**lets, **measures}, given or {}, seed)
    matrices = that_are_matrices(measures, lets, simulation.model)
    values: dict[str, Array] = {}
    notes: list[str] = []
    for name, expression in measures.items():
        try:
            array = reading.value(expression, scalars=name not in matrices).array
        except Undefined as reason:
            values[name] = np.array(np.nan)
            notes.append(f"`{name}` is undefined: {reason}")
        else:
            values[name] = array
    return Computed(values, tuple(notes))


@dataclass(frozen=True, slots=True)
class _Read:
    """A value with its axes in the order in which they are written."""

    array: Array
    type: Type = Type()
    axes: tuple[str, ...] = ()


class _Reading:
    """Values of expressions that call statistics: each call becomes a field of what is around it."""

    def __init__(self, simulation: Simulation, lets: Expressions, given: Mapping[str, Array], seed: int | None):
        self.simulation, self.given = simulation, given
        self.known = entries.statistics(simulation.model)
        self.seed = simulation.settings.seed if seed is None else seed
        self.calls: dict[str, tree.Call] = {}
        self.lets = {name: self.split(value) for name, value in lets.items() if name not in given}
        self.found: dict[str, _Read | Undefined] = {}

    def split(self, node: tree.Expression) -> tree.Expression:
        """The expression with names in place of calls, equal calls of one name."""
        match node:
            case tree.Call(function=tree.Name(name)) if name in self.known:
                call = rebuilt(node, self.split)
                assert isinstance(call, tree.Call)
                same = next((key for key, one in self.calls.items() if one == call), f"{name}.{len(self.calls)}")
                self.calls.setdefault(same, call)
                return tree.Name(same, span=node.span)
            case _:
                return rebuilt(node, self.split)

    def value(self, expression: tree.Expression, *, scalars: bool = False) -> _Read:
        """An expression's value with its axes in written order. Raises: Undefined, SpecError."""
        expression = self.split(expression)
        fields = {name: self.field(name) for name in self.needed(expression, set())}
        order: dict[str, tuple[str, ...]] = {}
        readout = Readout(
            "statistic", {"value": expression}, scalars, lets=self.lets,
            fields={name: one.type for name, one in fields.items()},
            written={name: one.axes for name, one in fields.items()}, told=order.__setitem__,
        )  # fmt: skip
        function = function_of(self.simulation, readout)
        self.refuse_states([value.name for value in function.inputs], expression)
        layout, sizes = self.simulation.plain.layout, self.simulation.sizes
        values = values_at_start(self.simulation, {}, 1)
        for name, one in fields.items():
            values[name] = one.array.transpose([one.axes.index(axis) for axis in layout.sort(one.type.names)])
        array = run(function, {one.name: values[one.name] for one in function.inputs}, sizes, layout)["value"]
        type_ = function.outputs[0].type
        written = tuple(name for name in order["value"] if type_.has(name))
        stored = list(layout.sort(type_.names))
        return _Read(np.asarray(array).transpose([stored.index(axis) for axis in written]), type_, written)

    def refuse_states(self, read: Sequence[str], expression: tree.Expression) -> None:
        moving = next((name for name in read if name in self.simulation.states), None)
        if moving is not None:
            message = f"a statistic reads what does not move, and `{moving}` does"
            raise SpecError([Diagnostic("CS501", message, expression.span, help="give it weights or other parameters")])

    def needed(self, node: tree.Expression, seen: set[str]) -> set[str]:
        """The calls and given numbers that an expression reads, directly or through lets."""
        match node:
            case tree.Name(name) if name in self.calls or name in self.given:
                return {name}
            case tree.Name(name) if name in self.lets and name not in seen:
                return self.needed(self.lets[name], seen | {name})
            case tree.Call(arguments=arguments):
                inside = [one.value for one in arguments if one.value is not None]
            case _:
                inside = list(children(node))
        return set[str]().union(*(self.needed(one, seen) for one in inside))

    def field(self, name: str) -> _Read:
        """Raises: Undefined, again for each measure that reads the call."""
        if name in self.given:
            return _Read(np.asarray(self.given[name], float))
        if name not in self.found:
            try:
                self.found[name] = self.called(self.calls[name])
            except Undefined as reason:
                self.found[name] = reason
        found = self.found[name]
        if isinstance(found, Undefined):
            raise found
        return found

    def called(self, call: tree.Call) -> _Read:
        assert isinstance(call.function, tree.Name)
        entry = self.known[call.function.name]
        positional, settings = _arguments(entry, call)
        read = [self.value(one) for one in positional]
        for place, one in enumerate(read):
            try:
                entry.check(place, one.type)
            except RuleError as error:
                span = positional[place].span or call.span
                raise SpecError([Diagnostic(error.code, error.message, span, error.label, error.help)]) from None
            broken = int(one.array.size - np.isfinite(one.array).sum())
            if broken:
                raise Undefined(
                    f"of the {one.array.size:,} numbers that `{entry.name}` reads, {broken:,} are not finite"
                )
        more = {"seed": self.seed} if entry.draws else {}
        try:
            found = np.asarray(entry.compute([one.array for one in read], {**settings, **more}), float)
        except SpecError as error:
            told = [replace(one, span=one.span or call.span) for one in error.diagnostics]
            raise SpecError(told, self.simulation.sources) from None
        if not np.isfinite(found).all():
            raise Undefined(f"`{entry.name}` gives no finite number")
        return _Read(found, Type(read[0].type.axes), read[0].axes) if entry.like else _Read(found)


def _arguments(entry: StatisticEntry, call: tree.Call) -> tuple[tuple[tree.Expression, ...], dict[str, Any]]:
    """What a call reads, and its settings. Raises: SpecError CS301 for one too many or unknown, CS303 for one that is not known."""
    written = [one for one in call.arguments if one.value is not None]
    values = [one.value for one in written if not one.name and one.value is not None]
    least, most = entry.arity
    positional = values if most is None else values[:most]
    if len(positional) < least or len(values) > len(positional) + len(entry.static):
        wanted = f"{least}" if least == most else f"{least} to {most}" if most is not None else f"at least {least}"
        message = f"`{entry.name}` takes {wanted} argument{'' if wanted == '1' else 's'}, not {len(values)}"
        raise SpecError([Diagnostic("CS301", message, call.span)])
    settings = dict(entry.settings)
    named = [(one.name, one.value) for one in written if one.name]
    for name, value in (*zip(entry.static, values[len(positional) :], strict=False), *named):
        if name not in entry.settings:
            help = f"it takes {', '.join(f'`{one}`' for one in settings)}" if settings else ""
            raise SpecError([Diagnostic("CS301", f"`{entry.name}` has no argument `{name}`", call.span, help=help)])
        assert value is not None
        settings[name] = setting_of(value)
    return tuple(positional), settings


__all__ = ["Computed", "computed", "that_are_matrices", "that_need_statistics"]
