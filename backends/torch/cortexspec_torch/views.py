"""Fewer views: a view costs as much as a small operation. And arrays that no input changes, made once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from cortexspec.ir.builder import Names
from cortexspec.ir.module import Function, Layout, Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops import arith
from cortexspec.ir.ops.constant import Const, SizeOf
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Index, Merge, Split
from cortexspec.ir.types import Type
from cortexspec_torch.fuse import live


@dataclass(frozen=True, slots=True)
class Unbind(Op):
    """All places along an axis, as one call."""

    name: ClassVar[str] = "torch.unbind"
    axis: str


@dataclass(frozen=True, slots=True)
class Reshape(Op):
    """Several merges and splits in one."""

    name: ClassVar[str] = "torch.reshape"
    result: Type


@dataclass(frozen=True, slots=True)
class Constants(Op):
    """What the function of this name gives, which has no inputs."""

    name: ClassVar[str] = "torch.constants"
    function: str


FEWEST = 3
"""Places that are read one by one before they are worth a call that gives all."""


def fewer_views(function: Function, layout: Layout) -> Function:
    """In front of loops and behind them; what a loop does in each step has few views as it is."""
    names = Names.of(function)
    lines, same = _unbound(_reshaped(function.body, function.outputs, layout), names)
    outputs = tuple(same.get(value.name, value) for value in function.outputs)
    return replace(function, body=live(lines, outputs), outputs=outputs)


_WITH_NUMBERS = (arith.Add, arith.Sub, arith.Mul, arith.Div, arith.Where)


def split_constants(function: Function, sizes: Mapping[str, int], records: bool) -> tuple[Function, Function | None]:
    """The function, and one without inputs that makes the arrays which no input changes; None where there are none.

    What the function gives out is made anew each time: its reader may write into it. Where autograd does not record, numbers
    are arrays too: of a Python number each call makes one, which costs twice what the arithmetic on a small array does.
    """
    known: dict[str, Line] = {}
    given = {value.name for value in function.outputs}
    for line in function.body:
        axes = [axis for value in line.results for axis in value.type.axes]
        if isinstance(line.op, SizeOf):
            axes.append(line.op.axis)
        fixed = all(axis.size.bind(sizes).fixed is not None for axis in axes)
        if fixed and not isinstance(line.op, Scan) and all(operand.name in known for operand in line.operands):
            known.update((result.name, line) for result in line.results)
    moved = {name for name, line in known.items() if line.results[0].type.axes and not given & _names(line.results)}
    if not records:
        beside = [
            line for line in function.body if isinstance(line.op, _WITH_NUMBERS) and line.result.name not in known
        ]
        numbers = {operand.name for line in beside for operand in line.operands if operand.name in known}
        moved |= {
            name for name in numbers - given if isinstance(known[name].op, Const) and known[name].op.dtype == "float"
        }
    rest = live([line for line in function.body if line.results[0].name not in moved], function.outputs)
    read = {operand.name for line in rest for operand in line.operands}
    made = tuple(value for line in function.body for value in line.results if value.name in moved & read)
    if not made:
        return function, None
    name = f"{function.name}_constants"
    constants = Function(name, (), live(_unique(known.values()), made), made)
    body = (Line(made, Constants(name), ()), *rest)
    return replace(function, body=body), constants


def _names(values: Iterable[Value]) -> set[str]:
    return {value.name for value in values}


def _unique(lines: Iterable[Line]) -> list[Line]:
    return list({line.results[0].name: line for line in lines}.values())


def _reshaped(lines: Sequence[Line], outputs: Sequence[Value], layout: Layout) -> list[Line]:
    read = Counter(value.name for line in lines for value in line.operands) + Counter(value.name for value in outputs)
    made: dict[str, Line] = {}
    done: list[Line] = []
    for line in lines:
        source = made.get(line.operands[0].name) if line.operands else None
        if _keeps_order(line, layout) and source is not None and read[source.result.name] == 1:
            line = replace(line, op=Reshape(line.result.type), operands=source.operands)
        if isinstance(line.op, Reshape) or _keeps_order(line, layout):
            made[line.result.name] = line
        done.append(line)
    return done


def _keeps_order(line: Line, layout: Layout) -> bool:
    """Whether merging or splitting moves nothing in memory."""
    match line.op:
        case Merge(axes=parts, axis=axis):
            whole, apart, one = line.operands[0], tuple(parts), axis.name
        case Split(axis=one, axes=axes):
            whole, apart = line.result, tuple(axis.name for axis in axes)
        case _:
            return False
    other = line.result if whole is line.operands[0] else line.operands[0]
    found: list[str] = []
    for name in layout.sort(other.type.names):
        found += apart if name == one else [name]
    return tuple(found) == layout.sort(whole.type.names)


def _unbound(lines: Sequence[Line], names: Names) -> tuple[list[Line], dict[str, Value]]:
    """The lines, and what values are called now."""
    places: dict[tuple[str, str], set[int]] = {}
    for line in lines:
        if isinstance(line.op, Index) and line.op.place.fixed is not None:
            places.setdefault((line.operands[0].name, line.op.axis), set()).add(line.op.place.fixed)
    parts: dict[tuple[str, str], tuple[Value, ...]] = {}
    same: dict[str, Value] = {}
    done: list[Line] = []
    for line in lines:
        line = replace(line, operands=tuple(same.get(operand.name, operand) for operand in line.operands))
        key = (line.operands[0].name, line.op.axis) if isinstance(line.op, Index) else ("", "")
        if not isinstance(line.op, Index) or len(places.get(key, ())) < FEWEST or line.op.place.fixed is None:
            done.append(line)
            continue
        size = line.operands[0].type.axis(line.op.axis).size.fixed
        if size is None or size > 2 * len(places[key]):
            done.append(line)
            continue
        if key not in parts:
            parts[key] = tuple(Value(names.fresh(line.result.name), line.result.type) for _ in range(size))
            done.append(Line(parts[key], Unbind(line.op.axis), line.operands, line.span))
        same[line.result.name] = parts[key][line.op.place.fixed]
    return done, same
