"""Write the order of the axes, one for the whole module: time first, then targets before sources, samples last.

A value's array has its axes in this order. With samples last every vector operation runs over them, and a weight [target, source]
times a state [source, sample] is a plain matrix product. Time first makes a step's frame one piece of memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise, product

from cortexspec.ir.module import Function, Layout, Line, Module, Value
from cortexspec.ir.ops.events import Deliver
from cortexspec.ir.ops.indexing import Put
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Merge, Split
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.linearity import sample_axes

_ROLES = {"time": 0, "edge": 1, "plain": 1, "sample": 2}


def choose_layout(module: Module) -> Module:
    """Where wishes contradict each other, the one that more lines have is granted, and then the one that comes first."""
    axes, wishes = _Axes(), dict[tuple[str, str], float]()
    for declared in (*module.params, *module.buffers, *module.states, *module.inputs):
        axes.add(declared.value.type)
    for function in module.functions.values():
        _read(function, axes, wishes, weight=1.0)
    for name in axes.roles:
        if name.endswith("_target"):  # weights are [target, source], also where no product asks for it
            wishes.setdefault((name, name.removesuffix("_target") + "_source"), 1.0)
    _keep_together(module.functions.values(), wishes)
    return replace(module, layout=Layout(tuple(_ordered(axes.roles, wishes))))


class _Axes:
    """Axis names in the order in which they first occur, with their roles."""

    def __init__(self) -> None:
        self.roles: dict[str, str] = {}

    def add(self, type_: Type) -> None:
        self.add_axes(type_.axes)

    def add_axes(self, axes: Iterable[Axis]) -> None:
        for axis in axes:
            self.roles.setdefault(axis.name, axis.role)


def _read(function: Function, axes: _Axes, wishes: dict[tuple[str, str], float], weight: float) -> None:
    for value in function.inputs:
        axes.add(value.type)
    for line in function.body:
        if isinstance(line.op, Scan):
            axes.add_axes([line.op.over])
            _read(line.op.body, axes, wishes, weight * 100)  # what a loop does counts for many
        for value in line.results:
            axes.add(value.type)
        for first, second in _wishes(line):
            wishes[first, second] = wishes.get((first, second), 0.0) + weight


def _keep_together(functions: Iterable[Function], wishes: dict[tuple[str, str], float]) -> None:
    """A merged axis and its parts stand on the same side of others, so that merging moves nothing."""
    group: dict[str, tuple[str, ...]] = {}
    for parts, merged in (found for function in functions for found in _merges(function)):
        for name in (*parts, merged):
            group.setdefault(name, (*parts, merged))
    for (first, second), weight in list(wishes.items()):
        before, after = group.get(first, (first,)), group.get(second, (second,))
        if before != after:
            for pair in product(before, after):
                wishes.setdefault(pair, weight / 2)


def _merges(function: Function) -> Iterable[tuple[tuple[str, ...], str]]:
    for line in function.body:
        match line.op:
            case Merge(axes=parts, axis=merged):
                yield parts, merged.name
            case Split(axis=merged, axes=parts):
                yield tuple(axis.name for axis in parts), merged
            case Scan(body=body):
                yield from _merges(body)
            case _:
                pass


def _wishes(line: Line) -> Iterable[tuple[str, str]]:
    match line.op:
        case Contract(over=over):
            for matrix, vector in (line.operands, line.operands[::-1]):
                if _is_matrix(matrix, vector):
                    rows = [axis.name for axis in matrix.type.axes if not vector.type.has(axis.name)]
                    shared = [a.name for a in matrix.type.axes if vector.type.has(a.name) and a.name not in over]
                    yield from ((row, column) for row in rows for column in over)
                    yield from ((axis, other) for axis in shared for other in (*rows, *over))
        case Merge(axes=names):
            yield from pairwise(names)
        case Split(axes=parts):
            yield from pairwise(axis.name for axis in parts)
        case Deliver(slot=slot, post=post):
            yield slot, post
        case Put(axis=axis):
            yield from ((axis, other.name) for other in line.operands[1].type.axes)
        case _:
            return


def _is_matrix(matrix: Value, vector: Value) -> bool:
    """A weight: no samples, while what it weighs has them, or more axes than that."""
    if sample_axes(matrix.type):
        return False
    return bool(sample_axes(vector.type)) or len(matrix.type.axes) > len(vector.type.axes)


def _ordered(roles: Mapping[str, str], wishes: Mapping[tuple[str, str], float]) -> list[str]:
    """Names by role, then so that as many wishes hold as one order allows."""
    before: dict[str, set[str]] = {name: set() for name in roles}
    for (first, second), _ in sorted(wishes.items(), key=lambda wish: -wish[1]):
        known = first != second and first in roles and second in roles
        if known and _ROLES[roles[first]] == _ROLES[roles[second]] and not _reaches(before, first, second):
            before[second].add(first)
    order: list[str] = []
    left = sorted(roles, key=lambda name: _ROLES[roles[name]])
    while left:
        name = next(each for each in left if before[each].issubset(order) or not before[each] & set(left))
        order.append(name)
        left.remove(name)
    return order


def _reaches(before: Mapping[str, set[str]], start: str, goal: str) -> bool:
    """Whether `goal` has to come before `start` already."""
    pending, seen = [start], set[str]()
    while pending:
        name = pending.pop()
        if name == goal:
            return True
        new = before[name] - seen
        seen |= new
        pending += new
    return False
