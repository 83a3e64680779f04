"""The only loop of the IR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeVar

import numpy as np

from cortexspec.ir.module import Function, Line
from cortexspec.ir.op import Array, Context, Op, Tensor, op
from cortexspec.ir.ops.where_taken import only_where_taken, where_taken
from cortexspec.ir.types import Axis, RuleError, Type

T = TypeVar("T")


def evaluate_function(function: Function, operands: Sequence[Tensor], context: Context) -> tuple[Tensor, ...]:
    """The outputs of a function: each line's meaning in turn. What no later line reads is let go: drawn weights can fill a memory."""
    environment: dict[str, Tensor] = {v.name: t for v, t in zip(function.inputs, operands, strict=True)}
    waiting = only_where_taken(function)
    for line, done in _with_last_reads(function, waiting):
        if line.results[0].name in waiting:
            name = line.result.name
            environment[name] = where_taken(line, waiting[name], environment, context)
        else:
            _evaluate((line,), environment, context)
        for name in done:
            del environment[name]
    return tuple(environment[value.name] for value in function.outputs)


def _with_last_reads(function: Function, waiting: Mapping[str, Sequence[Line]]) -> list[tuple[Line, list[str]]]:
    """Each line that waits for no other, with the names that nothing reads after it. It reads what those read that wait for it."""
    later = {value.name for value in function.outputs}
    found: list[tuple[Line, list[str]]] = []
    later_made = {value.name for lines in waiting.values() for line in lines for value in line.results}
    for line in reversed(function.body):
        if line.results[0].name in later_made:
            continue
        read = [line, *waiting.get(line.results[0].name, ())]
        named = dict.fromkeys(value.name for one in read for value in (*one.operands, *one.results))
        named = {name: None for name in named if name not in later_made}
        found.append((line, [name for name in named if name not in later]))
        later.update(named)
    return found[::-1]


def _evaluate(lines: Sequence[Line], environment: dict[str, Tensor], context: Context) -> None:
    for line in lines:
        operands = [environment[value.name] for value in line.operands]
        results = line.results
        if len(results) == 1:
            (environment[results[0].name],) = line.op.evaluate(operands, (results[0].type,), context)
            continue
        types = [value.type for value in results]
        for value, tensor in zip(results, line.op.evaluate(operands, types, context), strict=True):
            environment[value.name] = tensor


def _steady_and_changing(body: Function, consts: int) -> tuple[list[Line], list[Line]]:
    """The lines that read nothing but consts, which are the same at every step, and the others."""
    changing = {value.name for value in body.inputs[consts:]}
    steady: list[Line] = []
    rest: list[Line] = []
    for line in body.body:
        if changing.isdisjoint(value.name for value in line.operands):
            steady.append(line)
        else:
            rest.append(line)
            changing.update(value.name for value in line.results)
    return steady, rest


@op
@dataclass(frozen=True, slots=True)
class Scan(Op):
    """Runs `body` once for each place of the axis `over`.

    Operands: consts | carry | xs; results: carry | stack | sum. The body has the same operands without the axis `over`
    on xs, and gives the next carry, the elements of the stacks, and the terms of the sums.
    `save` says what the forward scan keeps for the reverse one: "carry" (recompute the step), "residuals", or names.
    """

    name: ClassVar[str] = "scan"
    body: Function
    consts: int
    carry: int
    xs: int
    stack: int
    sum: int
    over: Axis
    reverse: bool = False
    save: Literal["carry", "residuals"] | tuple[str, ...] = "residuals"

    def rule(self, *operands: Type) -> tuple[Type, ...]:
        wanted = [value.type for value in self.body.inputs]
        counts = (len(wanted), len(self.body.outputs))
        if (
            counts != (self.consts + self.carry + self.xs, self.carry + self.stack + self.sum)
            or len(operands) != counts[0]
        ):
            raise RuleError("CS601", f"scan counts other operands or results than its body has: {counts}")
        for place, (type_, inside) in enumerate(zip(operands, wanted, strict=True)):
            if place >= self.consts + self.carry and inside.has(self.over.name):
                raise RuleError("CS601", f"the body of a scan along `{self.over.name}` reads that axis", operand=place)
            outside = inside.with_axes((*inside.axes, self.over)) if place >= self.consts + self.carry else inside
            if type_ != outside:
                raise RuleError("CS601", f"scan operand {place} is {type_}, its body wants {outside}", operand=place)
        outputs = [value.type for value in self.body.outputs]
        carried = wanted[self.consts : self.consts + self.carry]
        if outputs[: self.carry] != carried:
            raise RuleError("CS601", f"scan body returns a carry of {outputs[: self.carry]}, it was given {carried}")
        for value in self.body.outputs[self.carry : self.carry + self.stack]:
            if value.type.has(self.over.name):
                raise RuleError("CS601", f"scan stacks %{value.name} along `{self.over.name}`, an axis that it has")
        stacked = [t.with_axes((*t.axes, self.over)) for t in outputs[self.carry : self.carry + self.stack]]
        return (*carried, *stacked, *outputs[self.carry + self.stack :])

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        consts, carry, xs = (list(part) for part in self.split(operands))
        first, second = self.carry, self.carry + self.stack
        stacks = [_empty(type_, context) for type_ in results[first:second]]
        sums = [Tensor(np.zeros_like(t.array), t.axes) for t in (_empty(type_, context) for type_ in results[second:])]
        length = self.over.size.evaluate(context.sizes)
        steady, changing = _steady_and_changing(self.body, self.consts)
        always: dict[str, Tensor] = {v.name: t for v, t in zip(self.body.inputs, consts, strict=False)}
        if length:
            _evaluate(steady, always, context)
        names = [value.name for value in self.body.inputs[self.consts :]]
        for n in reversed(range(length)) if self.reverse else range(length):
            environment = {**always, **dict(zip(names, [*carry, *(self._take(x, n) for x in xs)], strict=True))}
            _evaluate(changing, environment, context)
            outputs = [environment[value.name] for value in self.body.outputs]
            carry = list(outputs[:first])
            for stack, element in zip(stacks, outputs[first:second], strict=True):
                stack.array[self._place(stack.axes, n)] = element.array
            sums = [
                Tensor(total.array + term.array, total.axes) for total, term in zip(sums, outputs[second:], strict=True)
            ]
        return (*carry, *stacks, *sums)

    def _place(self, axes: tuple[str, ...], n: int) -> tuple[int | slice, ...]:
        return tuple(n if name == self.over.name else slice(None) for name in axes)

    def _take(self, x: Tensor, n: int) -> Tensor:
        kept = tuple(name for name in x.axes if name != self.over.name)
        return Tensor(np.asarray(x.array[self._place(x.axes, n)]), kept)

    def split(self, operands: Sequence[T]) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
        """Operands as (consts, carry, xs)."""
        a, b = self.consts, self.consts + self.carry
        return operands[:a], operands[a:b], operands[b:]

    def divide(self, results: Sequence[T]) -> tuple[Sequence[T], Sequence[T], Sequence[T]]:
        """Results, or outputs of the body, as (carry, stack, sum)."""
        a, b = self.carry, self.carry + self.stack
        return results[:a], results[a:b], results[b:]


def _empty(type_: Type, context: Context) -> Tensor:
    array: Array = np.empty(context.shape(type_), context.numpy_dtype(type_))
    return Tensor(array, context.axes(type_))
