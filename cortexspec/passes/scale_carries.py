"""Carry a multiple of a state where that saves a multiplication in each step: dt*w instead of w where a step is v + dt*w.

The other readers of the state take the factor into their coefficients (`extract-linear-part`, which this pass runs to see what is
saved), so only numbers that are written in the program and are not zero can be factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Mul
from cortexspec.ir.ops.constant import Const
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.extract_linear_part import extract_linear_part
from cortexspec.passes.fold_constants import fold_constants
from cortexspec.passes.hoist import hoist
from cortexspec.passes.loop import Carry, loop_of, made_by, renamed, renamed_outputs
from cortexspec.passes.prices import Prices
from cortexspec.passes.remove_dead import remove_dead
from cortexspec.passes.share_common import share_common


def scale_carries(function: Function, sizes: Mapping[str, int]) -> Function:
    """`sizes` (of the module) bind size symbols, for what pays. Tries one factor at a time for as long as it saves: all carries of a
    loop that it multiplies, then each."""
    price = _price(function)
    better = True
    while better:
        better = False
        for place, carries, factor in _groups(_candidates(function)):
            tried = _clean(_all_scaled(function, place, carries, factor), sizes)
            if _price(tried) < price:
                function, price, better = tried, _price(tried), True
                break
    return function


def _clean(function: Function, sizes: Mapping[str, int]) -> Function:
    function = extract_linear_part(fold_constants(function), sizes)
    return remove_dead(share_common(hoist(share_common(fold_constants(function)))))


def _price(function: Function) -> float:
    """Operations in the loops."""
    prices = Prices()
    loops = [line.op.body for line in function.body if isinstance(line.op, Scan)]
    return sum(prices.calls(line) for body in loops for line in body.body) + sum(_price(body) for body in loops)


def _candidates(function: Function) -> list[tuple[int, int, Const]]:
    """A loop's place in the function, a carry's place in the loop, and a number that the loop multiplies the carry by."""
    found: list[tuple[int, int, Const]] = []
    for place, line in enumerate(function.body):
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            made = made_by(loop.lines)
            for number, carry in enumerate(loop.carries):
                found += [(place, number, factor) for each in loop.lines for factor in _factors_of(each, carry, made)]
    return found


def _groups(candidates: Sequence[tuple[int, int, Const]]) -> list[tuple[int, tuple[int, ...], Const]]:
    together: dict[tuple[int, Const], tuple[int, ...]] = {}
    for place, number, factor in candidates:
        together[place, factor] = (*together.get((place, factor), ()), number)
    found = [(place, tuple(dict.fromkeys(numbers)), factor) for (place, factor), numbers in together.items()]
    return [each for each in found if len(each[1]) > 1] + [(place, (number,), by) for place, number, by in candidates]


def _all_scaled(function: Function, place: int, numbers: Sequence[int], factor: Const) -> Function:
    for number in numbers:
        function = _scaled(function, place, number, factor)
        while not isinstance(function.body[place].op, Scan):  # the lines that scale its start stand in front of it now
            place += 1
    return function


def _factors_of(line: Line, carry: Carry, made: Mapping[str, Line]) -> Sequence[Const]:
    """The number that the line multiplies the carry by."""
    if not isinstance(line.op, Mul) or carry.inside.name not in (value.name for value in line.operands):
        return ()
    ops = [made[operand.name].op for operand in line.operands if operand.name in made]
    return [op for op in ops if isinstance(op, Const) and op.dtype == "float" and op.value != 0]


def _scaled(function: Function, place: int, number: int, factor: Const) -> Function:
    """The function with the carry times the factor in the place of the carry."""
    line = function.body[place]
    loop = loop_of(line)
    carry = loop.carries[number]
    names = Names.of(function)
    before, inside, after = (Builder(names) for _ in range(3))
    before.span = inside.span = after.span = line.span

    def times(build: Builder, value: Value, power: int) -> Value:
        op = factor if power > 0 else Const(1 / factor.value, "float", factor.unit**-1)
        return write.mul(build, build.one(op), value)

    start = times(before, carry.start, 1)
    entering = Value(names.fresh(carry.inside.name), start.type)
    old = times(inside, entering, -1)
    reading = {carry.inside.name: old}
    made = made_by(loop.lines)
    for each in loop.lines:
        if factor in _factors_of(each, carry, made):
            reading[each.result.name] = entering
        else:
            inside.lines.append(renamed(each, reading))
    following = times(inside, reading.get(carry.next.name, carry.next), 1)
    leaving = Value(names.fresh(carry.result.name), start.type)
    times(after, leaving, -1)
    after.lines[-1] = replace(after.lines[-1], results=(carry.result,))
    loop = renamed_outputs(replace(loop, lines=tuple(inside.lines)), reading)
    scaled = Carry(start, entering, following, leaving, carry.label)
    carries = (*loop.carries[:number], scaled, *loop.carries[number + 1 :])
    lines = (*before.lines, replace(loop, carries=carries).line(), *after.lines)
    return replace(function, body=(*function.body[:place], *lines, *function.body[place + 1 :]))
