"""Draws the connections of projections, once and on the host: each rule gives edges in the order source, target, draw.

A draw is keyed by the seed and the site `NAME.rule#0`, counted by the pair [target, source], the source fastest (with `multapses`
by the draw), so that it depends on no other and on no order of evaluation. Among more than `MOST_PAIRS` pairs `many_pairs` draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import numpy as np

from cortexspec.analysis.model import Model, Projection
from cortexspec.contracts.connection_rule import Ends
from cortexspec.diagnostics import Diagnostic, Span, SpecError
from cortexspec.interpreter import run
from cortexspec.ir.module import Layout, Module, Value
from cortexspec.ir.op import Array
from cortexspec.ir.ops.random import below, draw_words, unit_interval
from cortexspec.ir.printer import print_function
from cortexspec.ir.types import RuleError
from cortexspec.lowering.edges import has_edges, is_listed, rule_arguments, rule_name, source_path
from cortexspec.lowering.entries import rules
from cortexspec.runtime import many_pairs
from cortexspec.runtime.many_pairs import ManyPairs
from cortexspec.runtime.pairs import MOST_PAIRS, NotElementwise, PairExpression, Sides, of_one_side, pair_expression

_AT_ONCE = 2**20  # draws with repetition that are made together
_PAIRS_AT_ONCE = 2**17  # pairs whose numbers are made together
_KEPT = 2**26  # edges that a process keeps for the next circuit


@dataclass(frozen=True, slots=True)
class Edges:
    """`arrays` have `NAME.pre`, `NAME.post` and `NAME.place` [edge] for each projection that is drawn, `sizes` its `NAME.edges`."""

    sizes: dict[str, int] = field(default_factory=dict[str, int])
    arrays: dict[str, Array] = field(default_factory=dict[str, Array])


@dataclass(frozen=True, slots=True)
class _Rule:
    """One rule with what its arguments are worth: numbers, or arrays over [target, source], [target] or [source]."""

    projection: Projection
    name: str
    given: Mapping[str, Array]
    shape: tuple[int, int]  # targets, sources
    allowed: Array | None  # [target, source]: the pairs that may be connected; None for all
    members: tuple[
        tuple[int, ...], tuple[int, ...]
    ]  # how many of the targets and of the sources each member of a group has
    seed: int
    sources: Mapping[str, str]
    many: ManyPairs | None = None
    p: PairExpression | None = None  # of `bernoulli` among many pairs

    def stop(self, code: str, message: str, help: str = "") -> SpecError:
        return SpecError([Diagnostic(code, message, self.span, help=help)], dict(self.sources))

    @property
    def span(self) -> Span | None:
        rule = self.projection.rule
        return rule.span if rule is not None and rule.span is not None else self.projection.span

    @property
    def possible(self) -> Array:
        """[target, source], also where all pairs are possible. Raises: SpecError CS700."""
        rows, columns = self.shape
        if rows * columns > MOST_PAIRS:
            raise self.stop("CS700", f"drawing among {rows * columns} pairs is not supported yet")
        return np.ones(self.shape, bool) if self.allowed is None else self.allowed

    @property
    def multapses(self) -> bool:
        return bool(self.given.get("multapses", False))

    @property
    def site(self) -> str:
        return f"{self.projection.path}.rule#0"

    def words(self, count: int, first: int = 0) -> tuple[Array, Array]:
        return draw_words(self.site, np.array(self.seed), [], count, first)

    def numbers(self) -> Array:
        """A 64-bit number for each pair [target, source]."""
        high, low = self.words(self.shape[0] * self.shape[1])
        return ((high.astype(np.uint64) << np.uint64(32)) | low).reshape(self.shape)

    def whole(self, key: str) -> Array:
        """A number of connections. Raises: SpecError CS505."""
        value = np.asarray(self.given[key], float)
        if not (np.isfinite(value).all() and (value >= 0).all() and (np.abs(value - np.round(value)) < 1e-6).all()):
            worst = value.ravel()[np.argmax(~(np.isfinite(value) & (value >= 0) & (value == np.round(value))))]
            message = f"`{key}` of `{self.name}` is {worst:g}, where a whole number of connections is wanted"
            raise self.stop("CS505", message, "write `round(...)`")
        return np.round(value).astype(np.int64)


def drawn_edges(
    model: Model, module: Module, sizes: Mapping[str, int], seed: int, sources: Mapping[str, str] | None = None
) -> Edges:
    """The edges of every projection that has them.

    Raises: SpecError CS501 where a list of weights is not as long as there are connections, or chances are not as many as a group
    has members; CS505 for a number of connections that is no whole number, CS511 where there are fewer pairs than connections,
    CS512 for a probability outside [0, 1] and for chances that do not add up to 1, CS700 for more pairs than can be looked at.
    """
    found = Edges()
    drawn = [projection for projection in model.projections if has_edges(model, projection)]
    if not drawn:
        return found
    arguments = _arguments(model, module, sizes, drawn, seed, sources or {})
    for projection in drawn:
        target, source = neurons_of(model, projection.target, sizes), neurons_of(model, source_path(projection), sizes)
        members = (_members(model, projection.target, sizes), _members(model, source_path(projection), sizes))
        names = [name for name, _ in rule_arguments(projection.rule, rules(model))]
        rule = _rule(projection, names, (target, source), members, arguments, seed, sources or {})
        if rule.many is not None and rule.name in _AMONG_MANY:
            post, pre = _AMONG_MANY[rule.name](rule, rule.many)
        else:
            post, pre = _RULES[rule.name](rule) if rule.name in _RULES else _by_plugin(rule, model, sizes)
            post, pre = many_pairs.in_order(post, pre)
        _check_list(rule, arguments.values, len(pre))
        for side, places in (("pre", pre), ("post", post)):
            found.arrays[f"{projection.path}.{side}"] = places.astype(np.int32, copy=False)
        found.sizes[f"{projection.path}.edges"] = len(pre)
        if is_listed(model, projection):
            found.arrays[f"{projection.path}.place"] = np.arange(len(pre), dtype=np.int32)
    return found


def without_edges(model: Model) -> Edges:
    """No connection of any projection that has edges."""
    found = Edges()
    for projection in model.projections:
        if has_edges(model, projection):
            names = ("pre", "post", "place") if is_listed(model, projection) else ("pre", "post")
            found.arrays.update({f"{projection.path}.{name}": np.empty(0, np.int32) for name in names})
            found.sizes[f"{projection.path}.edges"] = 0
    return found


def kept_edges(
    model: Model, module: Module, sizes: Mapping[str, int], seed: int, sources: Mapping[str, str] | None = None
) -> Edges:
    """Those of `drawn_edges`, the same arrays for circuits one after the other that have the same: cells that differ in a stimulus."""
    # A plugin's rule is code, which may be another one by the same name.
    by_plugins = tuple(rule.connect for rule in rules(model).values() if rule.connect is not None)
    told = (_told(model, module, sizes, seed), by_plugins)
    with _last_lock:
        if told in _last:
            return Edges(dict(_last[told].sizes), dict(_last[told].arrays))
    found = drawn_edges(model, module, sizes, seed, sources)
    with _last_lock:
        _last.clear()
        if sum(found.sizes.values()) <= _KEPT:
            _last[told] = Edges(dict(found.sizes), dict(found.arrays))
    return found


_last: dict[tuple[str, tuple[object, ...]], Edges] = {}  # the edges of the last circuit, by all that they depend on
_last_lock = Lock()


def _told(model: Model, module: Module, sizes: Mapping[str, int], seed: int) -> str:
    """All that the edges depend on: circuits that differ in what no rule reads have the same."""
    ends = [
        (
            one.path,
            rule_name(one.rule),
            [(neurons_of(model, path, sizes), _members(model, path, sizes)) for path in (one.target, source_path(one))],
            is_listed(model, one),
            one.target_axes,
            one.source_axes,
        )
        for one in model.projections
        if has_edges(model, one)
    ]
    wiring = module.functions.get("wiring")
    text = "" if wiring is None else print_function(wiring)
    return repr((seed, sorted(sizes.items()), module.layout, ends, text))


def _check_list(rule: _Rule, values: Mapping[str, tuple[Array, tuple[str, ...]]], connections: int) -> None:
    path = rule.projection.path
    if f"{path}.listed" in values:
        listed = int(values[f"{path}.listed"][0])
        if listed != connections:
            message = f"the weight of `{path}` lists {listed} values, but there are {connections} connections"
            raise SpecError([Diagnostic("CS501", message, rule.projection.span)], dict(rule.sources))


@dataclass(frozen=True, slots=True)
class _Arguments:
    """`values` are what arguments are worth, with the names of their axes; `over_pairs` are those of projections with many pairs,
    which are not computed for each."""

    values: Mapping[str, tuple[Array, tuple[str, ...]]]
    over_pairs: Mapping[str, PairExpression]


def _arguments(
    model: Model,
    module: Module,
    sizes: Mapping[str, int],
    drawn: Sequence[Projection],
    seed: int,
    sources: Mapping[str, str],
) -> _Arguments:
    """Raises: SpecError CS700."""
    function = module.functions.get("wiring")
    if function is None:
        return _Arguments({}, {})
    outputs = dict(zip(function.output_names, function.outputs, strict=True))
    many: dict[str, Sides] = {}
    for projection in drawn:
        targets, places = (
            sum(one.size for one in neurons_of(model, path, sizes))
            for path in (projection.target, source_path(projection))
        )
        sides = Sides(_side_names(projection, "target"), _side_names(projection, "source"), targets, places)
        if sides.pairs > MOST_PAIRS:
            many[projection.path] = sides
    if not many:
        arrays = run(function, {"seed": np.array(seed)}, sizes, module.layout)
        return _Arguments(
            {name: (one, module.layout.sort(outputs[name].type.names)) for name, one in arrays.items()}, {}
        )
    span: Span | None = None
    try:
        first = of_one_side(function, many.values())
        arrays = run(first, {"seed": np.array(seed)}, sizes, module.layout)
        over_pairs: dict[str, PairExpression] = {}
        for projection in drawn:
            span = projection.rule.span if projection.rule is not None else projection.span
            for name in (f"{projection.path}.p", f"{projection.path}.where"):
                if projection.path in many and name in outputs:
                    over_pairs[name] = pair_expression(function, name, many[projection.path], arrays, module.layout)
    except NotElementwise as error:
        message = f"`{error.over}` over so many pairs of a projection is not supported yet"
        raise SpecError([Diagnostic("CS700", message, span)], dict(sources)) from None
    return _Arguments(_values(outputs, arrays, module.layout), over_pairs)


def _values(
    outputs: Mapping[str, Value], arrays: Mapping[str, Array], layout: Layout
) -> dict[str, tuple[Array, tuple[str, ...]]]:
    """Those outputs that were computed."""
    return {
        name: (arrays[value.name], layout.sort(value.type.names))
        for name, value in outputs.items()
        if value.name in arrays
    }


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a list of sources or targets: `neurons` of one owner, each with so many places (branches of its dendrite)."""

    owner: str
    neurons: int
    places: int

    @property
    def size(self) -> int:
        return self.neurons * self.places


def neurons_of(model: Model, path: str, sizes: Mapping[str, int]) -> list[Stretch]:
    """Whose values stand in the list under a path, end to end."""
    if path in model.variables:
        type_, owner, cells = model.variables[path].type, path, set(model.variables[path].type.names)
        for population in model.populations:
            if path in (*population.states, *population.outputs, *population.ports):
                owner, cells = population.path, {population.axis, *population.instance_axes}
        neurons, places = 1, 1
        for axis in type_.axes:
            if axis.role == "plain":
                length = axis.size.evaluate(sizes)
                neurons, places = (neurons * length, places) if axis.name in cells else (neurons, places * length)
        return [Stretch(owner, neurons, places)]
    for group in model.groups:
        rest = path.removeprefix(f"{group.path}.") if path != group.path else ""
        if path == group.path or path.startswith(f"{group.path}."):
            members = [f"{member}.{rest}" if rest else member for member in group.members]
            return [entry for member in members for entry in neurons_of(model, member, sizes)]
    raise KeyError(path)


def _members(model: Model, path: str, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """How many places each member of a group has in the list under a path; one number where it is no group's."""
    for group in model.groups:
        if path == group.path or path.startswith(f"{group.path}."):
            rest = path.removeprefix(group.path)
            return tuple(sum(one.size for one in neurons_of(model, member + rest, sizes)) for member in group.members)
    return (sum(one.size for one in neurons_of(model, path, sizes)),)


def _rule(
    projection: Projection,
    names: Sequence[str],
    ends: tuple[list[Stretch], list[Stretch]],
    members: tuple[tuple[int, ...], tuple[int, ...]],
    arguments: _Arguments,
    seed: int,
    sources: Mapping[str, str],
) -> _Rule:
    target, source = ends
    rows, columns = sum(one.size for one in target), sum(one.size for one in source)
    path = projection.path
    sides, values = (_side_names(projection, "target"), _side_names(projection, "source")), arguments.values
    given = {
        name: values[f"{path}.{name}"][0]
        if name == "chance"
        else _over_pairs(*values[f"{path}.{name}"], sides, (rows, columns))
        for name in names
        if f"{path}.{name}" in values
    }
    rule = _Rule(projection, rule_name(projection.rule), given, (rows, columns), None, members, seed, sources)
    allowed: Array | None = None
    own: tuple[Array, Array] | None = None
    if not given.get("autapses", True):
        owners = {owner: place for place, owner in enumerate({one.owner: None for one in (*target, *source)})}
        own = _identities(target, owners), _identities(source, owners)
    if rows * columns > MOST_PAIRS and rule.name in _AMONG_MANY:
        where = arguments.over_pairs.get(f"{path}.where")
        among = ManyPairs(rule.site, seed, rows, columns, own, where, rule.stop)
        return replace(rule, many=among, p=arguments.over_pairs.get(f"{path}.p"))
    if own is not None:
        allowed = rule.possible & (own[0][:, np.newaxis] != own[1])
    if "where" in given:
        where = np.broadcast_to(np.asarray(given["where"], bool), (rows, columns))
        allowed = where & (rule.possible if allowed is None else allowed)
    return replace(rule, allowed=allowed)


def _side_names(projection: Projection, side: str) -> tuple[str, ...]:
    """The names of one side's axes in an expression over pairs."""
    own, other = projection.target_axes, projection.source_axes
    if side == "source":
        own, other = other, own
    return tuple(f"{name}_{side}" if name in other else name for name in own)


def _over_pairs(
    array: Array, axes: tuple[str, ...], sides: tuple[tuple[str, ...], tuple[str, ...]], shape: tuple[int, int]
) -> Array:
    """A number, or an array that spreads over [target, source]."""
    if not axes:
        return array
    wanted = [name for side in sides for name in side]
    places = [axes.index(name) for name in wanted if name in axes]
    array = array.transpose(places)[tuple(slice(None) if name in axes else np.newaxis for name in wanted)]
    rows, columns = (any(name in axes for name in side) for side in sides)
    if rows and columns:
        return np.broadcast_to(array, array.shape).reshape(shape)
    return array.reshape((shape[0], 1) if rows else (1, shape[1]))


def _identities(neurons: list[Stretch], owners: Mapping[str, int]) -> Array:
    """A number for each neuron, the same wherever it stands."""
    found = [owners[one.owner] * 2**32 + np.repeat(np.arange(one.neurons), one.places) for one in neurons]
    return np.concatenate(found)


# The rules, as (target, source) of each edge.

Pairs = tuple[Array, Array]


def _all_to_all(rule: _Rule) -> Pairs:
    rows, columns = np.nonzero(rule.possible)
    return rows, columns


def _one_to_one(rule: _Rule) -> Pairs:
    places = np.arange(rule.shape[0])
    return places, places


def _bernoulli(rule: _Rule) -> Pairs:
    """Each possible pair with probability p: its 64-bit number is below p*2^64."""
    p = np.asarray(rule.given["p"], float)
    if not ((p >= 0) & (p <= 1)).all():
        worst = float(p.ravel()[np.argmax(~((p >= 0) & (p <= 1)))])
        raise rule.stop("CS512", f"a pair is connected with probability {worst:g}, which is not in [0, 1]")
    p = np.broadcast_to(p, rule.shape)
    height = max(1, _PAIRS_AT_ONCE // max(1, rule.shape[1]))
    pieces = [_bernoulli_of_rows(rule, p, first, height) for first in range(0, rule.shape[0], height)]
    nothing = np.empty(0, np.int64)
    return np.concatenate([nothing, *(rows for rows, _ in pieces)]), np.concatenate([nothing, *(c for _, c in pieces)])


def _bernoulli_of_rows(rule: _Rule, p: Array, first: int, height: int) -> Pairs:
    """The pairs of `height` targets from the first on. Most are told from the largest p there, by the high words alone."""
    p = p[first : first + height]
    count = p.shape[1]
    high, low = rule.words(p.size, first * count)
    largest = float(p.max(initial=0.0))
    near = np.flatnonzero(high <= np.uint32(min(largest, 1 - 2.0**-32) * 2.0**32))
    rows, columns = near // max(count, 1), near % max(count, 1)
    taken = below((high[near], low[near]), p[rows, columns])
    if rule.allowed is not None:
        taken &= rule.allowed[first + rows, columns]
    return first + rows[taken], columns[taken]


def _fixed_total(rule: _Rule) -> Pairs:
    """n of the possible pairs: those with the smallest numbers; with `multapses` n draws among them."""
    wanted = int(rule.whole("n"))
    pairs = None if rule.allowed is None else np.flatnonzero(rule.allowed)  # None for all
    possible = rule.shape[0] * rule.shape[1] if pairs is None else len(pairs)
    if wanted > possible and not (rule.multapses and possible):
        raise rule.stop("CS511", f"`fixed_total` wants {wanted} connections, but there are {possible} pairs")
    if rule.multapses:
        chosen = np.empty(wanted, np.int64)
        for start in range(0, wanted, _AT_ONCE):
            numbers = unit_interval(rule.words(min(_AT_ONCE, wanted - start), start), np.dtype("float64"))
            chosen[start : start + len(numbers)] = np.floor(numbers * possible)
    else:
        numbers = rule.numbers().reshape(-1)
        chosen = np.argsort(numbers if pairs is None else numbers[pairs], kind="stable")[:wanted]
    return np.divmod(chosen if pairs is None else pairs[chosen], rule.shape[1])


def _fixed_indegree(rule: _Rule) -> Pairs:
    return _fixed_degree(rule, 0, "K sources for each target")


def _fixed_outdegree(rule: _Rule) -> Pairs:
    source, target = _fixed_degree(rule, 1, "K targets for each source")
    return target, source


def _fixed_degree(rule: _Rule, side: int, what: str) -> Pairs:
    """K places for each row of one side: those with the smallest numbers; with `multapses` K draws among the possible ones."""
    rows = rule.shape[side]
    degrees = np.broadcast_to(rule.whole("K").reshape(-1), rows)
    few = f"`{rule.name}(K)` takes {what}; with `multapses = true` a pair may be connected more than once"
    if rule.multapses:
        return np.repeat(np.arange(rows), degrees), _with_replacement(rule, side, degrees, few)
    if "chance" in rule.given:
        raise rule.stop("CS700", "`chance` without `multapses = true` is not supported yet")
    possible, numbers = (matrix.T if side else matrix for matrix in (rule.possible, rule.numbers()))
    columns: list[Array] = []
    for row, degree in enumerate(degrees):
        allowed = np.flatnonzero(possible[row])
        if degree > len(allowed):
            raise rule.stop("CS511", f"`{rule.name}` wants {degree} connections of {len(allowed)} pairs", few)
        columns.append(allowed[np.argsort(numbers[row, allowed], kind="stable")[:degree]])
    return np.repeat(np.arange(rows), degrees), np.concatenate([np.empty(0, np.int64), *columns])


def _with_replacement(rule: _Rule, side: int, degrees: Array, few: str) -> Array:
    """As many draws for each row as it has degrees, end to end: the member of a group by its chance, then one of its places.

    One uniform number u decides both: member m has the interval [c, c + chance), the place is by (u - c)/chance.
    """
    pieces = [np.empty(0, np.int64), *(column for _, column in _pieces_with_replacement(rule, side, degrees, few))]
    return np.concatenate(pieces)


def _pieces_with_replacement(rule: _Rule, side: int, degrees: Array, few: str) -> Iterator[Pairs]:
    """The same piece by piece, each with the row of every draw."""
    most = int(degrees.max(initial=0))
    lengths = rule.members[1 - side]
    chances = _chances(rule, lengths) if "chance" in rule.given else None
    sizes = np.array(lengths if chances is not None else (sum(lengths),))
    before = np.concatenate([[0.0], np.cumsum(chances)[:-1]]) if chances is not None else np.zeros(1)
    last = np.maximum.accumulate(np.where(chances > 0, np.arange(len(chances)), 0)) if chances is not None else None
    possible = None if rule.allowed is None else rule.allowed.T if side else rule.allowed
    if possible is None:
        _enough(rule, chances, sizes, most, few)
    ends = np.cumsum(sizes)
    height = max(1, _AT_ONCE // max(most, 1))
    for start in range(0, len(degrees), height):
        part = degrees[start : start + height]
        numbers = rule.words(len(part) * most, start * most)
        drawn = unit_interval(numbers, np.dtype("float64")).reshape(len(part), most)
        member = np.searchsorted(before, drawn, side="right") - 1
        if chances is not None and last is not None:
            member = last[member]
            drawn = np.minimum((drawn - before[member]) / chances[member], np.nextafter(1.0, 0.0))
        taken = np.arange(most) < part[:, np.newaxis]
        if possible is None:
            places = (ends - sizes)[member] + np.floor(drawn * sizes[member]).astype(np.int64)
        else:
            places = np.zeros(drawn.shape, np.int64)
            for row, degree in enumerate(part):
                allowed = np.flatnonzero(possible[start + row])
                firsts: Array = np.concatenate([np.zeros(1, np.int64), np.searchsorted(allowed, ends)])
                here = np.diff(firsts)
                _enough(rule, chances, here, int(degree), few)
                chosen = member[row, :degree]
                places[row, :degree] = allowed[
                    firsts[chosen] + np.floor(drawn[row, :degree] * here[chosen]).astype(np.int64)
                ]
        yield np.repeat(np.arange(start, start + len(part)), part), places[taken]


def _enough(rule: _Rule, chances: Array | None, sizes: Array, degree: int, few: str) -> None:
    """Raises: SpecError CS511 where a member that may be chosen has no place."""
    wanted = sizes if chances is None else sizes[chances > 0]
    if degree and not wanted.all():
        raise rule.stop("CS511", f"`{rule.name}` wants {degree} connections of 0 pairs", few)


def _chances(rule: _Rule, lengths: tuple[int, ...]) -> Array:
    """The share of each member. Raises: SpecError CS501, CS512."""
    chances = np.asarray(rule.given["chance"], float)
    if chances.shape != (len(lengths),):
        message = f"`chance` gives {chances.size} shares, but there are {len(lengths)} members to choose from"
        raise rule.stop("CS501", message, "write one share for each member of the group, `chance = [0.2, 0.8]`")
    if not (np.isfinite(chances).all() and (chances >= 0).all() and abs(chances.sum() - 1) < 1e-9):
        shares = ", ".join(f"{share:g}" for share in chances)
        message = f"the chances of the members are {shares}; they lie in [0, 1] and add up to 1"
        raise rule.stop("CS512", message)
    return chances


def _from_matrix(rule: _Rule) -> Pairs:
    rows, columns = np.nonzero(rule.possible & (np.asarray(rule.given["M"]) != 0))
    return rows, columns


def _by_plugin(rule: _Rule, model: Model, sizes: Mapping[str, int]) -> Pairs:
    """The pairs that a plugin's rule gives. Raises: SpecError where it refuses, CS903 where it gives places that are not there."""
    variable = model.variables.get(rule.projection.target)
    places = (rule.shape[0],)
    if variable is not None:
        axes = [variable.type.axis(name) for name in variable.axes_written or variable.type.names]
        places = tuple(axis.size.evaluate(sizes) for axis in axes if axis.role == "plain")
    connect = rules(model)[rule.name].connect
    assert connect is not None
    try:
        pairs = connect(Ends(places, rule.shape[1], rule.given))
    except RuleError as error:
        raise rule.stop(error.code, error.message, error.help) from None
    post, pre = (np.asarray(side, np.int64).ravel() for side in pairs)
    for side, count in zip((post, pre), rule.shape, strict=True):
        if len(post) != len(pre) or (len(side) and not 0 <= side.min() <= side.max() < count):
            raise rule.stop("CS903", f"the connection rule `{rule.name}` gives places that are not there")
    return post, pre


_RULES = {
    "all_to_all": _all_to_all,
    "one_to_one": _one_to_one,
    "bernoulli": _bernoulli,
    "fixed_total": _fixed_total,
    "fixed_indegree": _fixed_indegree,
    "fixed_outdegree": _fixed_outdegree,
    "from_matrix": _from_matrix,
}


# The same among many pairs.


def _bernoulli_among_many(rule: _Rule, among: ManyPairs) -> Pairs:
    assert rule.p is not None
    return many_pairs.bernoulli(among, rule.p)


def _total_among_many(rule: _Rule, among: ManyPairs) -> Pairs:
    def refuse(wanted: int, possible: int) -> SpecError:
        return rule.stop("CS511", f"`fixed_total` wants {wanted} connections, but there are {possible} pairs")

    return many_pairs.fixed_total(among, int(rule.whole("n")), rule.multapses, refuse)


def _indegree_among_many(rule: _Rule, among: ManyPairs) -> Pairs:
    return _degree_among_many(rule, among, 0, "K sources for each target")


def _outdegree_among_many(rule: _Rule, among: ManyPairs) -> Pairs:
    return _degree_among_many(rule, among, 1, "K targets for each source")


def _degree_among_many(rule: _Rule, among: ManyPairs, side: int, what: str) -> Pairs:
    """Draws with repetition from all places, or by the chances of members, have the numbers that they have among few pairs."""
    degrees = np.broadcast_to(rule.whole("K").reshape(-1), rule.shape[side])
    few = f"`{rule.name}(K)` takes {what}; with `multapses = true` a pair may be connected more than once"
    restricted = among.own is not None or among.where is not None
    if rule.multapses and not restricted:
        pieces = _pieces_with_replacement(rule, side, degrees, few)
        return many_pairs.with_repetition(pieces, int(degrees.sum()), side == 0)
    if "chance" in rule.given:
        missing = "`multapses = true`" if not rule.multapses else "all of so many pairs"
        raise rule.stop("CS700", f"`chance` without {missing} is not supported yet")

    def refuse(degree: int, places: int) -> SpecError:
        return rule.stop("CS511", f"`{rule.name}` wants {degree} connections of {places} pairs", few)

    return many_pairs.fixed_degree(among, degrees, side == 0, rule.multapses, refuse)


_AMONG_MANY = {
    "bernoulli": _bernoulli_among_many,
    "fixed_total": _total_among_many,
    "fixed_indegree": _indegree_among_many,
    "fixed_outdegree": _outdegree_among_many,
}
