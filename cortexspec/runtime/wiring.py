"""Draws the connections of projections, once and on the host: each rule gives edges in the order source, target, draw.

A draw is keyed by the seed and the site `NAME.rule#0`, counted by the pair [target, source], the source fastest (with `multapses`
by the draw), so that it depends on no other and on no order of evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from cortexspec.analysis.model import Model, Projection
from cortexspec.diagnostics import Diagnostic, Span, SpecError
from cortexspec.interpreter import run
from cortexspec.ir.module import Module
from cortexspec.ir.op import Array
from cortexspec.ir.ops.random import below, draw_words, unit_interval
from cortexspec.lowering.edges import has_edges, is_listed, rule_arguments, rule_name, source_path

MOST_PAIRS = 2**26  # a draw looks at every pair


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
    possible: Array  # [target, source]: the pairs that may be connected
    seed: int
    sources: Mapping[str, str]

    def stop(self, code: str, message: str, help: str = "") -> SpecError:
        return SpecError([Diagnostic(code, message, self.span, help=help)], dict(self.sources))

    @property
    def span(self) -> Span | None:
        rule = self.projection.rule
        return rule.span if rule is not None and rule.span is not None else self.projection.span

    @property
    def multapses(self) -> bool:
        return bool(self.given.get("multapses", False))

    def words(self, count: int) -> tuple[Array, Array]:
        return draw_words(f"{self.projection.path}.rule#0", np.array(self.seed), [], count)

    def numbers(self) -> Array:
        """A 64-bit number for each pair [target, source]."""
        high, low = self.words(self.possible.size)
        return ((high.astype(np.uint64) << np.uint64(32)) | low).reshape(self.possible.shape)

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

    Raises: SpecError CS501 where a list of weights is not as long as there are connections, CS505 for a number of connections that
    is no whole number, CS511 where there are fewer pairs than connections, CS512 for a probability outside [0, 1], CS700 for more
    pairs than can be looked at.
    """
    found = Edges()
    values = _rule_values(module, sizes, seed)
    for projection in model.projections:
        if not has_edges(model, projection):
            continue
        target, source = neurons_of(model, projection.target, sizes), neurons_of(model, source_path(projection), sizes)
        rule = _rule(projection, target, source, values, seed, sources or {})
        post, pre = _RULES[rule.name](rule)
        _check_list(rule, values, len(pre))
        order = np.lexsort((post, pre))
        found.arrays[f"{projection.path}.pre"] = pre[order].astype(np.int64)
        found.arrays[f"{projection.path}.post"] = post[order].astype(np.int64)
        found.sizes[f"{projection.path}.edges"] = len(pre)
        if is_listed(model, projection):
            found.arrays[f"{projection.path}.place"] = np.arange(len(pre))
    return found


def _check_list(rule: _Rule, values: Mapping[str, tuple[Array, tuple[str, ...]]], connections: int) -> None:
    path = rule.projection.path
    if f"{path}.listed" in values:
        listed = int(values[f"{path}.listed"][0])
        if listed != connections:
            message = f"the weight of `{path}` lists {listed} values, but there are {connections} connections"
            raise SpecError([Diagnostic("CS501", message, rule.projection.span)], dict(rule.sources))


def _rule_values(module: Module, sizes: Mapping[str, int], seed: int) -> dict[str, tuple[Array, tuple[str, ...]]]:
    """What each argument of a rule is worth, with the names of its axes."""
    function = module.functions.get("wiring")
    if function is None:
        return {}
    arrays = run(function, {"seed": np.array(seed)}, sizes, module.layout)
    types = dict(zip(function.output_names, function.outputs, strict=True))
    return {name: (array, module.layout.sort(types[name].type.names)) for name, array in arrays.items()}


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


def _rule(
    projection: Projection,
    target: list[Stretch],
    source: list[Stretch],
    values: Mapping[str, tuple[Array, tuple[str, ...]]],
    seed: int,
    sources: Mapping[str, str],
) -> _Rule:
    rows, columns = sum(one.size for one in target), sum(one.size for one in source)
    names = [name for name, _ in rule_arguments(projection.rule)]
    path = projection.path
    sides = (_side_names(projection, "target"), _side_names(projection, "source"))
    given = {
        name: _over_pairs(*values[f"{path}.{name}"], sides, (rows, columns))
        for name in names
        if f"{path}.{name}" in values
    }
    rule = _Rule(projection, rule_name(projection.rule), given, np.ones((0, 0), bool), seed, sources)
    if rows * columns > MOST_PAIRS:
        raise rule.stop("CS700", f"drawing among {rows * columns} pairs is not supported yet")
    possible = np.ones((rows, columns), bool)
    if not given.get("autapses", True):
        owners = {owner: place for place, owner in enumerate({one.owner: None for one in (*target, *source)})}
        possible &= _identities(target, owners)[:, np.newaxis] != _identities(source, owners)
    if "where" in given:
        possible &= np.broadcast_to(np.asarray(given["where"], bool), possible.shape)
    return _Rule(projection, rule.name, given, possible, seed, sources)


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
    places = np.arange(len(rule.possible))
    return places, places


def _bernoulli(rule: _Rule) -> Pairs:
    """Each possible pair with probability p: its 64-bit number is below p*2^64."""
    p = np.asarray(rule.given["p"], float)
    if not ((p >= 0) & (p <= 1)).all():
        worst = float(p.ravel()[np.argmax(~((p >= 0) & (p <= 1)))])
        raise rule.stop("CS512", f"a pair is connected with probability {worst:g}, which is not in [0, 1]")
    high, low = (word.reshape(rule.possible.shape) for word in rule.words(rule.possible.size))
    rows, columns = np.nonzero(rule.possible & below((high, low), p))
    return rows, columns


def _fixed_total(rule: _Rule) -> Pairs:
    """n of the possible pairs: those with the smallest numbers; with `multapses` n draws among them."""
    wanted = int(rule.whole("n"))
    rows, columns = np.nonzero(rule.possible)
    if wanted > len(rows) and not (rule.multapses and len(rows)):
        raise rule.stop("CS511", f"`fixed_total` wants {wanted} connections, but there are {len(rows)} pairs")
    if rule.multapses:
        drawn = np.floor(unit_interval(rule.words(wanted), np.dtype("float64")) * len(rows)).astype(np.int64)
        return rows[drawn], columns[drawn]
    chosen = np.sort(np.argsort(rule.numbers()[rows, columns], kind="stable")[:wanted])
    return rows[chosen], columns[chosen]


def _fixed_indegree(rule: _Rule) -> Pairs:
    return _fixed_degree(rule, rule.possible, "K sources for each target")


def _fixed_outdegree(rule: _Rule) -> Pairs:
    source, target = _fixed_degree(rule, rule.possible.T, "K targets for each source")
    return target, source


def _fixed_degree(rule: _Rule, possible: Array, what: str) -> Pairs:
    """K places of each row, those with the smallest numbers; with `multapses` K draws among the possible ones."""
    degrees = np.broadcast_to(rule.whole("K").reshape(-1), len(possible))
    most = int(degrees.max(initial=0))
    numbers = rule.numbers() if possible is rule.possible else rule.numbers().T
    drawn = unit_interval(rule.words(len(possible) * most), np.dtype("float64")).reshape(len(possible), most)
    rows: list[Array] = []
    columns: list[Array] = []
    for row, degree in enumerate(degrees):
        allowed = np.flatnonzero(possible[row])
        if degree > len(allowed) and not (rule.multapses and len(allowed)):
            help = f"`{rule.name}(K)` takes {what}; with `multapses = true` a pair may be connected more than once"
            raise rule.stop("CS511", f"`{rule.name}` wants {degree} connections of {len(allowed)} pairs", help)
        if rule.multapses:
            chosen = allowed[np.floor(drawn[row, :degree] * len(allowed)).astype(np.int64)]
        else:
            chosen = allowed[np.argsort(numbers[row, allowed], kind="stable")[:degree]]
        rows.append(np.full(degree, row))
        columns.append(chosen)
    nothing = [np.empty(0, np.int64)]
    return np.concatenate(rows or nothing), np.concatenate(columns or nothing)


def _from_matrix(rule: _Rule) -> Pairs:
    rows, columns = np.nonzero(rule.possible & (np.asarray(rule.given["M"]) != 0))
    return rows, columns


_RULES = {
    "all_to_all": _all_to_all,
    "one_to_one": _one_to_one,
    "bernoulli": _bernoulli,
    "fixed_total": _fixed_total,
    "fixed_indegree": _fixed_indegree,
    "fixed_outdegree": _fixed_outdegree,
    "from_matrix": _from_matrix,
}
