"""Lines that nothing reads but one branch of a `where` are evaluated only where it is taken, if they draw.

A number that is drawn again where the first one is refused (`truncated`) costs what is refused, not a whole array. No draw
depends on another, so that each has the value that it has among all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cortexspec.ir.module import Function, Line
from cortexspec.ir.op import Array, Context, Tensor, align
from cortexspec.ir.ops.arith import Elementwise, Where
from cortexspec.ir.ops.random import Draw
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis

_AT_ONCE = 2**18  # places whose lines are evaluated together, so that what comes between takes no room
_PLACE = Axis("place", Size.symbol("place"))


def only_where_taken(function: Function) -> dict[str, tuple[Line, ...]]:
    """The lines that wait for a `where`, in their order, by the name of its result."""
    if not any(isinstance(line.op, Draw) for line in function.body):
        return {}
    made = {value.name: place for place, line in enumerate(function.body) for value in line.results}
    readers: dict[str, set[int]] = {value.name: {len(function.body)} for value in function.outputs}
    for place, line in enumerate(function.body):
        for value in line.operands:
            readers.setdefault(value.name, set()).add(place)
    found: dict[str, tuple[Line, ...]] = {}
    waiting: set[int] = set()
    for place in reversed(range(len(function.body))):
        line = function.body[place]
        if isinstance(line.op, Where) and place not in waiting:
            inside = _read_by_branch(function, line, place, made, readers)
            if any(isinstance(function.body[one].op, Draw) for one in inside):
                found[line.result.name] = tuple(function.body[one] for one in sorted(inside))
                waiting |= inside
    return found


def _read_by_branch(
    function: Function, where: Line, at: int, made: Mapping[str, int], readers: Mapping[str, set[int]]
) -> set[int]:
    """The places of the lines that have the axes of the `where`, are made element by element, and only its first branch reads."""
    condition, branch, other = (value.name for value in where.operands)
    axes, inside = where.result.type.names, {at}
    left = [branch] if branch not in (condition, other) else []
    while left:
        name = left.pop()
        place = made.get(name)
        if place is None or place in inside or not readers[name] <= inside:
            continue
        line = function.body[place]
        if line.result.type.names == axes and _by_element(line):
            inside.add(place)
            left += [value.name for value in line.operands if value.name not in (condition, other)]
    return inside - {at}


def _by_element(line: Line) -> bool:
    if isinstance(line.op, Draw):
        keyed = any(value.type.axes for value in line.operands[line.op.arguments :])
        return line.op.by_element and not keyed
    return isinstance(line.op, Elementwise)


def where_taken(where: Line, waiting: Sequence[Line], known: Mapping[str, Tensor], context: Context) -> Tensor:
    """The result of a `where`, with the lines that wait for it at the places of their branch."""
    axes, shape = context.axes(where.result.type), context.shape(where.result.type)
    condition, other = (known[where.operands[place].name] for place in (0, 2))
    places = np.nonzero(np.broadcast_to(align(condition, axes), shape))
    array, count = align(other, axes), len(places[0])
    if count or array.shape != shape:
        array = np.broadcast_to(array, shape).copy()
    for start in range(0, count, _AT_ONCE):
        part = tuple(one[start : start + _AT_ONCE] for one in places)
        array[part] = _branch(where, waiting, known, dict(zip(axes, part, strict=True)), context)
    return Tensor(array, axes)


def _branch(
    where: Line,
    waiting: Sequence[Line],
    known: Mapping[str, Tensor],
    coordinates: Mapping[str, Array],
    context: Context,
) -> Array:
    """[place] or []: the first branch at these places."""
    here: dict[str, Tensor] = {}
    for line in waiting:
        operands = [here.get(value.name) or _at(known[value.name], coordinates) for value in line.operands]
        type_ = line.result.type.with_axes((_PLACE,))
        if isinstance(line.op, Draw):
            here[line.result.name] = line.op.evaluate_at(operands, type_, coordinates, context)
        else:
            (here[line.result.name],) = line.op.evaluate(operands, (type_,), context)
    return here[where.operands[1].name].array


def _at(tensor: Tensor, coordinates: Mapping[str, Array]) -> Tensor:
    """A tensor's values at these places; one value stays one."""
    if not tensor.axes:
        return tensor
    return Tensor(tensor.array[tuple(coordinates[name] for name in tensor.axes)], (_PLACE.name,))
