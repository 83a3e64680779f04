"""How many numbers of a circuit are trained: in its populations, in the weights of its connections, elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cortexspec.analysis.model import Model, Population, Projection, Variable
from cortexspec.expressions import tree
from cortexspec.ir.types import Axis


@dataclass(frozen=True, slots=True)
class Count:
    """What is trained in one population: `own` parameters of its neurons, `weights` of the connections that end at them."""

    population: str
    neurons: int
    own: int
    weights: int


@dataclass(frozen=True, slots=True)
class Counts:
    """`elsewhere` is what belongs to no population. `unknown` are the paths whose number only data or drawn wiring tell."""

    populations: tuple[Count, ...]
    elsewhere: int
    unknown: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        return self.elsewhere + sum(one.own + one.weights for one in self.populations)


def count(model: Model) -> Counts:
    """Trained numbers of a circuit, without drawing its connections."""
    own = {one.path: 0 for one in model.populations}
    weights = dict(own)
    elsewhere, unknown = 0, list[str]()
    projections = {one.weight: one for one in model.projections if one.weight is not None}
    for path, variable in model.variables.items():
        if not variable.trainable or variable.kind != "param":
            continue
        numbers = _elements(model, variable, projections.get(path))
        if numbers is None:
            unknown.append(path)
            continue
        into = _owner(model, projections[path].target) if path in projections else None
        at = _owner(model, path)
        if into is not None:
            weights[into.path] += numbers
        elif at is not None:
            own[at.path] += numbers
        else:
            elsewhere += numbers
    found = (
        Count(one.path, _neurons(model, one), own[one.path], weights[one.path])
        for one in model.populations
        if own[one.path] or weights[one.path]
    )
    return Counts(tuple(found), elsewhere, tuple(unknown))


def _owner(model: Model, path: str) -> Population | None:
    return next((one for one in model.populations if path.startswith(f"{one.path}.")), None)


def _neurons(model: Model, population: Population) -> int:
    names = {population.axis, *population.instance_axes}
    paths = (*population.states, *population.ports, *population.outputs, *population.params)
    axes = {a.name: a for path in paths for a in model.variables[path].type.axes if a.name in names}
    return math.prod(axis.size.evaluate(model.sizes) for axis in axes.values())


def _elements(model: Model, variable: Variable, projection: Projection | None) -> int | None:
    """How many elements a variable has; None where only data or a draw tell."""
    total = 1
    for axis in variable.type.axes:
        size = _connections(model, projection) if axis.role == "edge" and projection is not None else _size(model, axis)
        if size is None:
            return None
        total *= size
    return total


def _size(model: Model, axis: Axis) -> int | None:
    return axis.size.evaluate(model.sizes) if axis.size.symbols <= model.sizes.keys() else None


def _connections(model: Model, projection: Projection) -> int | None:
    """How many connections a rule makes, where that does not depend on the draw."""
    rule = projection.rule
    name = rule.function.name if isinstance(rule, tree.Call) and isinstance(rule.function, tree.Name) else ""
    name = rule.name if isinstance(rule, tree.Name) else name
    given = rule.arguments if isinstance(rule, tree.Call) else ()
    wanted = {"fixed_total": "n", "fixed_indegree": "K", "fixed_outdegree": "K"}.get(name)
    first = next(
        (one.value for place, one in enumerate(given) if one.name == wanted or (place == 0 and not one.name)), None
    )
    if wanted is None or not isinstance(first, tree.Number) or first.value != int(first.value):
        return None
    if wanted == "n":
        return int(first.value)
    side = projection.target if name == "fixed_indegree" else _source(projection)
    names = projection.target_axes if name == "fixed_indegree" else projection.source_axes
    rows = _places(model, side, names)
    return None if rows is None else rows * int(first.value)


def _source(projection: Projection) -> str:
    return projection.source.path if isinstance(projection.source, tree.Reference) else ""


def _places(model: Model, path: str, names: tuple[str, ...]) -> int | None:
    """How long the list of targets or sources under a path is."""
    if path not in model.variables:
        return None
    sizes = [_size(model, model.variables[path].type.axis(name)) for name in names]
    return None if None in sizes else math.prod(size for size in sizes if size is not None)


def described(model: Model) -> list[str]:
    """Lines for the page of a model: each population's neurons, k_e and k_c a neuron, and all in all."""
    found = count(model)
    if not found.total and not found.unknown:
        return []
    lines = [_line(one) for one in found.populations]
    if found.elsewhere:
        lines.append(f"elsewhere: {found.elsewhere:,}")
    lines += [f"{path}: as many as are drawn, or as the data have" for path in found.unknown]
    return [*lines, f"P = {found.total:,}" + (" and those" if found.unknown else "")]


def _line(one: Count) -> str:
    each = f"k_e = {_share(one.own, one.neurons)}, k_c = {_share(one.weights, one.neurons)}"
    return f"{one.population}: N = {one.neurons:,}, {each}, in all {one.own + one.weights:,}"


def _share(total: int, neurons: int) -> str:
    return f"{total // neurons:,}" if neurons and total % neurons == 0 else f"{total / max(neurons, 1):,.2f}"


__all__ = ["Count", "Counts", "count", "described"]
