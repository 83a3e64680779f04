"""Claims: which cells one reads, what it makes of their measures, and whether it holds.

A claim is evaluated on arrays over seeds. The same walk, with a lookup that only notes what it is asked for, tells which
cells `reproduce` has to run.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from cortexspec.analysis.claim_units import ClaimUnits
from cortexspec.analysis.model import ClaimModel
from cortexspec.analysis.report import Report
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.shown_units import ShownUnits
from cortexspec.experiments.statistics import Spread, Verdict, judge_figure, judge_order, quantile
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.expressions.parse import parse_expression
from cortexspec.expressions.print import print_expression
from cortexspec.units import Unit, from_coherent, to_coherent, unit_of

Array = np.ndarray[Any, Any]
Point = tuple[tuple[str, Any], ...]  # (name, value) of every vary axis but the seed, in the order of the grid
BASE = "base"


@dataclass(frozen=True, slots=True)
class GridAxis:
    """One line of `vary`: names that are zipped together, and their rows of values."""

    names: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The grid of one experiment: its axes without the seed, its seeds, its variants without `base`.

    `seeded`: whether anything in it is drawn or trained; if not, values are judged exactly. `units`: those that people read.
    """

    experiment: str
    axes: tuple[GridAxis, ...]
    seeds: tuple[int, ...]
    variants: tuple[str, ...]
    measures: tuple[str, ...]
    seeded: bool = True
    units: ShownUnits = ShownUnits()

    def points(self) -> Iterator[Point]:
        for rows in itertools.product(*(axis.rows for axis in self.axes)):
            yield tuple(
                pair for axis, row in zip(self.axes, rows, strict=True) for pair in zip(axis.names, row, strict=True)
            )

    def axis_of(self, name: str) -> GridAxis | None:
        return next((axis for axis in self.axes if name in axis.names), None)


@dataclass(frozen=True, slots=True)
class CellKey:
    """One combination of experiment, variant and vary point; its seeds run together."""

    experiment: str
    variant: str
    point: Point


# What a cell's measure is over the seeds: an array [seed, own...].
Lookup = Callable[[CellKey, str], Array]


@dataclass(frozen=True, slots=True)
class Row:
    """One judged line of the claims table: `ours` is the value, or by how much a comparison's two sides differ.

    Figures are in `unit`, the one that the claim writes; without one they are in coherent units, and people read them in `shown`.
    """

    claim: ClaimModel
    where: Mapping[str, Any]
    verdict: Verdict
    ours: Spread
    published: float | None = None
    tolerance: float | None = None
    sides: tuple[float, float] | None = None  # of a comparison, means over seeds
    unit: str = ""
    shown: str = ""

    @property
    def reading(self) -> float:
        """By how much figures are multiplied for people."""
        return _reading(self.unit, self.shown)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean while one row is evaluated."""

    grids: Mapping[str, Grid]
    home: str
    lookup: Lookup
    bound: Mapping[str, Any] = field(
        default_factory=lambda: MappingProxyType({})
    )  # loop names, and vary names of the row
    lets: Mapping[str, tree.Expression] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def grid(self) -> Grid:
        return self.grids[self.home]

    def binding(self, **names: Any) -> _Scope:
        return self.having(names)

    def having(self, names: Mapping[str, Any]) -> _Scope:
        return _Scope(self.grids, self.home, self.lookup, {**self.bound, **names}, self.lets)


def rows_of(claim: ClaimModel, grid: Grid) -> list[Mapping[str, Any]]:
    """The rows a claim gives: one for each value of every vary axis that it neither selects nor reduces."""
    parts = [part for part in (claim.value, claim.published, claim.within, claim.of) if part is not None]
    fixed = [_selected(part, grid, frozenset()) for part in parts]
    readers = [names for found in fixed for names in found]
    free = [axis for axis in grid.axes if any(not names.intersection(axis.names) for names in readers)]
    rows: list[Mapping[str, Any]] = []
    for values in itertools.product(*(axis.rows for axis in free)):
        row = {
            name: value
            for axis, entry in zip(free, values, strict=True)
            for name, value in zip(axis.names, entry, strict=True)
        }
        rows.append({**claim.row, **row})
    return rows


def needed_cells(claim: ClaimModel, grids: Mapping[str, Grid], home: str) -> list[CellKey]:
    """Every cell that the claim reads, in the order of first use."""
    seen: dict[CellKey, None] = {}

    def note(key: CellKey, measure: str) -> Array:
        seen.setdefault(key)
        return np.ones(len(grids[key.experiment].seeds))

    for row in rows_of(claim, grids[home]):
        scope = _Scope(grids, home, note, row)
        for part in (claim.value, claim.published, claim.within, claim.of):
            if part is not None:
                _sides(part, scope) if part is claim.value else _value(part, scope)
    return list(seen)


def judge(claim: ClaimModel, grids: Mapping[str, Grid], home: str, lookup: Lookup) -> list[Row]:
    """The rows of a claim with their verdicts.

    Raises: SpecError CS921 where the claim reads something that its cells do not have.
    """
    return [_judge_row(claim, _Scope(grids, home, lookup, row), row) for row in rows_of(claim, grids[home])]


def _judge_row(claim: ClaimModel, scope: _Scope, row: Mapping[str, Any]) -> Row:
    unit, shown = _unit_of(claim, scope)
    reading = _reading(unit, shown)
    factor = from_coherent(1.0, unit) if unit else 1.0
    comparison = claim.value if isinstance(claim.value, tree.Binary) and claim.value.operator in _ORDERS else None
    if comparison is not None:
        left, right = (factor * _value(side, scope) for side in (comparison.left, comparison.right))
        difference = np.atleast_1d(
            np.subtract(left, right) if comparison.operator in (">", ">=") else np.subtract(right, left)
        )
        if comparison.operator == "==":
            same = bool(np.all(np.mean(np.atleast_1d(left), axis=0) == np.mean(np.atleast_1d(right), axis=0)))
            verdict = Verdict("holds" if same else "fails", "judged on means over seeds")
            sides = _average(left), _average(right)
            return Row(claim, row, verdict, Spread.of([float(same)]), sides=sides, unit=unit, shown=shown)
        seeded = _seeded(scope, left, right)
        verdict = judge_order(difference.tolist(), seeded, reading, shown)
        sides = _average(left), _average(right)
        return Row(claim, row, verdict, Spread.of(difference.tolist()), sides=sides, unit=unit, shown=shown)
    raw = _value(claim.value, scope)
    value = np.atleast_1d(raw)
    if value.dtype == bool:
        return Row(claim, row, _judge_truth(value, np.ndim(raw) > 0), Spread.of(value.astype(float).tolist()))
    value = factor * value
    spread = Spread.of(value.tolist())
    published = None if claim.published is None else factor * _mean(claim.published, scope)
    if claim.within is None:
        verdict = Verdict("printed", "no tolerance is claimed")
        return Row(claim, row, verdict, spread, published, unit=unit, shown=shown)
    reference = published if claim.of is None else factor * _mean(claim.of, scope)
    if reference is None:
        raise _undefined(claim, "`within` has no reference: write `published x` or `of y`")
    tolerance = _mean(claim.within, scope) * (abs(reference) if claim.relative else factor)
    verdict = judge_figure(value.tolist(), reference, tolerance, _seeded(scope, raw), reading, shown)
    return Row(claim, row, verdict, spread, published, tolerance, unit=unit, shown=shown)


def _judge_truth(values: Array, by_seed: bool) -> Verdict:
    """A statement that is true or false of each seed [n] holds where it is true of all of them."""
    count = f"true in {int(values.sum())} of {len(values)} seeds"
    return Verdict("holds" if bool(values.all()) else "fails", count if by_seed else "judged on means over seeds")


def _unit_of(claim: ClaimModel, scope: _Scope) -> tuple[str, str]:
    """The unit that the claim writes for its figures, "" where it writes none, and the one that people read them in."""

    def measured(name: str) -> Unit | None:
        owner, _, own = name.rpartition(".")
        known = scope.grids.get(owner or scope.home)
        return known.units.measured.get(own) if known is not None and name not in scope.bound else None

    units, value = ClaimUnits(measured, Report()), claim.value
    match value:
        case tree.Binary(operator=operator, left=left, right=right) if operator in _ORDERS:
            sides = (left, right)
        case _:
            sides = (value, claim.published)
    unit = units.alike((units.of(side) for side in sides if side is not None), claim.span)
    own = tuple(_units(claim.row, claim.value, claim.published))
    # Where the unit of the whole is not known, as of a function of claims, nobody knows better than what is written.
    literal = next((text for text in own if unit is None or unit_of(text) == unit), "")
    known = scope.grid.units
    return literal, literal or replace(known, written=(*own, *known.written)).name(unit)


def _reading(unit: str, shown: str) -> float:
    return from_coherent(1.0, shown) if shown and not unit else 1.0


def units_written(claims: Iterable[ClaimModel]) -> tuple[str, ...]:
    """The units that claims write beside figures, each once."""
    parts = ((one.row, one.value, one.published, one.of, one.within) for one in claims)
    return tuple(dict.fromkeys(unit for each in parts for unit in _units(*each)))


def _units(row: Mapping[str, Any], *parts: tree.Expression | None) -> Iterator[str]:
    """The units that are written beside figures, in the order of the text, those of `for` where their name stands. A per cent is none."""
    pending = [part for part in reversed(parts) if part is not None]
    while pending:
        node = pending.pop()
        if isinstance(node, (tree.Number, tree.ListOf)) and node.unit and node.unit != "%":
            yield node.unit
        if isinstance(node, tree.Name) and isinstance(bound := row.get(node.name), str):
            pending.append(parse_expression(bound))
        # What picks a cell, `rate[τ = 3 ms]`, is no figure.
        pending += [node.operand] if isinstance(node, tree.Index) else reversed(children(node))


def _seeded(scope: _Scope, *values: Array) -> bool:
    """Whether values depend on the seed: not where nothing is drawn, nor a mean over seeds, nor one that several seeds share."""
    return scope.grid.seeded and any(np.ndim(a) > 0 and not (len(a) > 1 and bool(np.all(a == a[0]))) for a in values)


_ORDERS = ("<", "<=", ">", ">=", "==")
_SWEEPS: Mapping[str, Callable[[Array, Sequence[Any]], Any]] = {
    "interior_maximum": lambda y, x: bool(0 < int(np.argmax(y)) < len(y) - 1),
    "increasing": lambda y, x: bool(np.all(np.diff(y) > 0)),
    "decreasing": lambda y, x: bool(np.all(np.diff(y) < 0)),
    "argmax": lambda y, x: float(x[int(np.argmax(y))]),
    "argmin": lambda y, x: float(x[int(np.argmin(y))]),
}
# With `over` a vary axis: the values, by seed, at the place where their mean is largest or smallest.
_EXTREMES: Mapping[str, Callable[[Sequence[float]], int]] = {
    "max": lambda means: int(np.argmax(means)),
    "min": lambda means: int(np.argmin(means)),
}
# With `over` a vary axis: of the values there [place, seed, element...], at the axis' own numbers; `lag` is in places, round the axis.
_ALONG: Mapping[str, Callable[[Array, Array, int], Array]] = {
    "mean": lambda values, x, lag: values.mean(axis=0),
    "selectivity": lambda values, x, lag: _share(np.abs(np.tensordot(np.exp(1j * x), values, 1)), values.sum(axis=0)),
    "lagged_product": lambda values, x, lag: (values * np.roll(values, -lag, axis=0)).mean(axis=0),
    "vertex": lambda values, x, lag: _vertex(values, x),
}


def _share(part: Array, whole: Array) -> Array:
    """Not a number where the whole is 0: a silent neuron has no direction."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole != 0)


_OVER_AXES = frozenset((*_SWEEPS, *_EXTREMES, *_ALONG))
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs, "sqrt": np.sqrt, "log": np.log, "exp": np.exp, "real": np.real, "imag": np.imag, "round": np.round,
    "sin": np.sin, "cos": np.cos, "tanh": np.tanh,
}  # fmt: skip
_REDUCTIONS: Mapping[str, Callable[..., Any]] = {
    "max": np.max,
    "min": np.min,
    "mean": np.mean,
    "median": np.median,
    "sum": np.sum,
}


def _sides(expression: tree.Expression, scope: _Scope) -> None:
    """Evaluates both sides of a comparison, or the whole, for what they read."""
    if isinstance(expression, tree.Binary) and expression.operator in _ORDERS:
        _value(expression.left, scope)
        _value(expression.right, scope)
    else:
        _value(expression, scope)


def _mean(expression: tree.Expression, scope: _Scope) -> float:
    """The mean over seeds."""
    return _average(_value(expression, scope))


def _average(values: Any) -> float:
    array: Array = np.asarray(values, float)
    return float(array.mean())


def _value(expression: tree.Expression, scope: _Scope) -> Any:
    match expression:
        case tree.Number():
            return to_coherent(expression.value, expression.unit) if expression.unit else expression.value
        case tree.Name(name=name):
            return _named(name, expression, scope)
        case tree.Member():
            return _member(expression, scope)
        case tree.Index():
            return _selection(expression, scope)
        case tree.Unary(operator="-"):
            return -_value(expression.operand, scope)
        case tree.Unary(operator="not"):
            return np.logical_not(_value(expression.operand, scope))
        case tree.Binary():
            return _BINARY[expression.operator](_value(expression.left, scope), _value(expression.right, scope))
        case tree.ListOf():
            factor = to_coherent(1.0, expression.unit) if expression.unit else 1.0
            return np.array([_value(item, scope) for item in expression.items]) * factor
        case tree.Call():
            return _call(expression, scope)
        case _:
            raise _unreadable(expression)


_BINARY: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power, "<": np.less, ">": np.greater,
    "<=": np.less_equal, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal, "and": np.logical_and, "or": np.logical_or,
}  # fmt: skip


def _named(name: str, expression: tree.Expression, scope: _Scope) -> Any:
    if name in scope.bound:
        bound = scope.bound[name]  # a text where it is a quantity
        return number_of(parse_expression(bound)) if isinstance(bound, str) else bound
    if name in scope.grid.measures:
        return _measure(scope.home, name, {}, scope)
    if name == "π":
        return math.pi
    raise _unreadable(expression)


def _member(expression: tree.Member, scope: _Scope) -> Any:
    text = print_expression(expression)
    if text in scope.bound:
        return scope.bound[text]
    if isinstance(expression.owner, tree.Name) and expression.owner.name in scope.grids:
        return _measure(expression.owner.name, expression.name, {}, scope)
    raise _unreadable(expression)


def _selection(expression: tree.Index, scope: _Scope) -> Any:
    operand = expression.operand
    if isinstance(operand, tree.Member) and isinstance(operand.owner, tree.Name) and operand.owner.name in scope.grids:
        experiment, name = operand.owner.name, operand.name
    elif isinstance(operand, tree.Name) and operand.name in scope.grid.measures:
        experiment, name = scope.home, operand.name
    else:
        raise _unreadable(expression)
    chosen: dict[str, Any] = {}
    for argument in expression.arguments:
        if not argument.name or argument.value is None:
            raise _unreadable(expression)
        chosen[argument.name] = _choice(argument.name, argument.value, scope)
    return _measure(experiment, name, chosen, scope)


def _choice(name: str, value: tree.Expression, scope: _Scope) -> Any:
    if isinstance(value, tree.Name):
        return scope.bound.get(value.name, value.name)
    return float(_value(value, scope)) if name != "variant" else print_expression(value)


def _measure(experiment: str, name: str, chosen: Mapping[str, Any], scope: _Scope) -> Any:
    grid = scope.grids[experiment]
    variant = str(chosen.get("variant", BASE))
    if variant != BASE and variant not in grid.variants:
        raise SpecError([Diagnostic("CS921", f"`{experiment}` has no variant `{variant}`")])
    wanted = {
        **{k: v for k, v in scope.bound.items() if grid.axis_of(k)},
        **{k: v for k, v in chosen.items() if k != "variant"},
    }
    for point in grid.points():
        values = dict(point)
        if all(name in values and _same(values[name], value) for name, value in wanted.items()):
            return scope.lookup(CellKey(experiment, variant, point), name)
    described = ", ".join(f"{k} = {v}" for k, v in wanted.items())
    raise SpecError([Diagnostic("CS921", f"`{experiment}` does not vary to {described}")])


def _same(a: Any, b: Any) -> bool:
    """Values of a vary axis: numbers, or texts of names and quantities."""
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    try:
        a, b = (number_of(parse_expression(x)) if isinstance(x, str) else float(x) for x in (a, b))
    except SpecError:
        return False
    return math.isclose(a, b, rel_tol=1e-12)


def _vertex(values: Array, places: Array) -> Array:
    """Where values [place, seed, ...] are largest, by seed, read between the places of an axis whose steps are factors.

    The parabola through the place where their mean is largest and its two neighbours, on the logarithm of the places; never beyond
    these neighbours, and at the ends of the axis the end itself. Raises: SpecError CS921 for a place that is not positive.
    """
    if (places <= 0).any():
        raise SpecError(
            [Diagnostic("CS921", "`vertex` is along an axis of positive numbers, since it takes logarithms")]
        )
    order = np.argsort(places)
    x, y = np.log(places[order]), values[order]
    best = int(np.argmax(y.reshape(len(y), -1).mean(axis=1)))
    if best in (0, len(x) - 1):
        return np.full(y.shape[1:], np.exp(x[best]))
    left, right = x[best] - x[best - 1], x[best + 1] - x[best]
    rise, fall = (y[best] - y[best - 1]) / left, (y[best] - y[best + 1]) / right
    bend = rise + fall  # not positive where a seed has no maximum here: then the better neighbour
    inside: Array = 0.5 * (rise * right - fall * left) / np.where(bend > 0, bend, 1.0)
    better: Array = right * (fall * right < rise * left) - left * (rise * left < fall * right)
    moved: Array = np.where(bend > 0, inside, better)
    return np.exp(x[best] + np.clip(moved, -left, right))


def _number(place: Any) -> float:
    return number_of(parse_expression(place)) if isinstance(place, str) else float(place)


def number_of(expression: tree.Expression, **names: float) -> float:
    """An expression of numbers and of `names`, in coherent units. Raises: SpecError CS921 where it reads another name."""
    nothing = Grid("", (), (), (), ())
    scope = _Scope({"": nothing}, "", lambda key, measure: np.array(math.nan), names)
    return float(_value(expression, scope))


def _call(expression: tree.Call, scope: _Scope) -> Any:
    name = expression.function.name if isinstance(expression.function, tree.Name) else ""
    over = next((a.value for a in expression.arguments if a.name == "over"), None)
    values = [a.value for a in expression.arguments if not a.name and a.value is not None]
    if name in _OVER_AXES and over is not None:
        axis_name = print_expression(over)
        axis = scope.grid.axis_of(axis_name)
        if axis is None and axis_name == "seed" and name in _EXTREMES:
            return _REDUCTIONS[name](np.asarray(_value(values[0], scope)), axis=0)
        if axis is None:
            raise _unreadable(over)
        places = [row[axis.names.index(axis_name)] for row in axis.rows]
        if name in _EXTREMES or name in _ALONG:
            there = [_value(values[0], scope.having(dict(zip(axis.names, row, strict=True)))) for row in axis.rows]
            if name in _EXTREMES:
                return there[_EXTREMES[name]([_average(one) for one in there])]
            lag = next((a.value for a in expression.arguments if a.name == "lag" and a.value is not None), None)
            steps = 0 if lag is None else round(float(_value(lag, scope)))
            return _ALONG[name](
                np.stack(np.broadcast_arrays(*there)), np.array([_number(one) for one in places]), steps
            )
        means = [_mean(values[0], scope.having(dict(zip(axis.names, row, strict=True)))) for row in axis.rows]
        return _SWEEPS[name](np.array(means), places)
    if name == "diverged":
        return np.isnan(_value(values[0], scope))
    if (name, len(values)) in (("quantile", 2), ("median", 1)):
        elements, share = np.asarray(_value(values[0], scope), float), _value(values[1], scope) if values[1:] else 0.5
        return quantile(elements, share, range(1, elements.ndim))
    if name in _FUNCTIONS:
        return _FUNCTIONS[name](*(_value(value, scope) for value in values))
    if name in _REDUCTIONS:
        if len(values) > 1:
            return _REDUCTIONS[name](np.stack(np.broadcast_arrays(*(_value(value, scope) for value in values))), axis=0)
        value = np.asarray(_value(values[0], scope))
        return value if value.ndim < 2 else _REDUCTIONS[name](value, axis=tuple(range(1, value.ndim)))
    raise _unreadable(expression)


def _selected(expression: tree.Expression, grid: Grid, consumed: frozenset[str]) -> list[frozenset[str]]:
    """For each measure that the expression reads: the names of the vary axes that are selected or reduced there."""
    match expression:
        case tree.Name(name=name) if name in grid.measures:
            return [consumed]
        case tree.Index(operand=operand, arguments=arguments):
            return [names | {a.name for a in arguments} for names in _selected(operand, grid, consumed)]
        case tree.Call(function=tree.Name(name=name), arguments=arguments):
            over = [print_expression(a.value) for a in arguments if a.name == "over" and a.value is not None]
            inside = consumed | frozenset(over) if name in _OVER_AXES else consumed
            return [
                names
                for a in arguments
                if a.value is not None and not a.name
                for names in _selected(a.value, grid, inside)
            ]
        case tree.Unary(operand=operand):
            return _selected(operand, grid, consumed)
        case tree.Binary(left=left, right=right):
            return _selected(left, grid, consumed) + _selected(right, grid, consumed)
        case _:
            return []


def _unreadable(expression: tree.Expression) -> SpecError:
    text = print_expression(expression)
    return SpecError(
        [
            Diagnostic(
                "CS921", f"a claim cannot read `{text}`", expression.span, label="no measure, vary axis or loop name"
            )
        ]
    )


def _undefined(claim: ClaimModel, why: str) -> SpecError:
    return SpecError([Diagnostic("CS921", f'claim "{claim.text}": {why}', claim.span)])
