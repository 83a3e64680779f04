"""A loop whose step is one matrix product and squashing functions, as one operation.

What a step carries and what it squashes stand side by side in one array z; all that is linear in a step is one matrix K, the
arguments of the squashing functions included, since these are linear in the next carry:

    z[n+1] = φ(K z[n] + b),    φ: the identity in some rows, tanh, a sigmoid or exp in others

`passes/recurrences.py` makes it of loops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, Context, Op, Tensor, in_layout, op
from cortexspec.ir.ops.arith import Add, Exp, Sigmoid, Tanh
from cortexspec.ir.ops.shape import InUnit
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.units import DIMENSIONLESS

# A squashing function, and its derivative from its value.
CURVES: Mapping[str, tuple[type[Op], Callable[[Array], Array], Callable[[Array], Array]]] = {
    "tanh": (Tanh, np.tanh, lambda y: 1 - y * y),
    "sigmoid": (Sigmoid, lambda x: 0.5 + 0.5 * np.tanh(0.5 * x), lambda y: y * (1 - y)),
    "exp": (Exp, np.exp, lambda y: y),
}


@op
@dataclass(frozen=True, slots=True)
class Recurrence(Op):
    """z at the end, z as each step finds it, z as each step leaves it, and K again: the pullback reads results only.

    The rows starts[i] <= row < stops[i] of z go through functions[i].

    Operands: z [before, sample], K [after, before], and b [after] or [after, sample] where there is one. All are pure numbers.
    """

    name: ClassVar[str] = "recurrence"
    over: Axis
    after: str
    before: str
    functions: tuple[str, ...]
    starts: tuple[Size, ...]
    stops: tuple[Size, ...]

    def rule(self, z: Type, K: Type, *b: Type) -> tuple[Type, ...]:
        if K.names != frozenset((self.after, self.before)) or any(x.unit != DIMENSIONLESS for x in (z, K, *b)):
            raise RuleError(
                "CS601", f"a recurrence takes pure numbers and a matrix of `{self.after}` by `{self.before}`"
            )
        stacked = z.with_axes((*z.axes, self.over))
        return (z, stacked, stacked, K)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        z, K, b = _arrays(self, operands)
        states = [z]
        for _ in range(self.over.size.evaluate(context.sizes)):
            new = K @ states[-1] + b
            for function, rows in _curved(self, context):
                new[rows] = CURVES[function][1](new[rows])
            states.append(new)
        sample = [name for name in operands[0].axes if name != self.before]
        one, all_ = [self.before, *sample], [self.over.name, self.before, *sample]
        stack = np.stack(states)
        return (
            in_layout(states[-1], one, results[0], context),
            in_layout(stack[:-1], all_, results[1], context),
            in_layout(stack[1:], all_, results[2], context),
            operands[1],
        )

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        *flows, again = cotangents
        found: list[Value | None] = [None for _ in operands]
        if any(flow is not None for flow in flows):
            unit = next(flow.type.unit for flow in flows if flow is not None)
            shift: Shift = "none"
            if len(operands) > 2:
                shift = "rows" if len(operands[2].type.axes) == 1 else "samples"
            given = tuple(flow is not None for flow in flows)
            reverse = RecurrenceBackward(**self.attributes(), given=given, shift=shift)
            pure = [build.one(InUnit(DIMENSIONLESS), flow) for flow in flows if flow is not None]
            flowing = build.emit(reverse, *results, *pure, hint="recurrence_backward")
            found = [build.one(InUnit(unit), flow) for flow in flowing]
        if again is not None:
            found[1] = again if found[1] is None else build.one(Add(), found[1], again)
        return found


Shift = Literal["none", "rows", "samples"]


@op
@dataclass(frozen=True, slots=True)
class RecurrenceBackward(Op):
    """The cotangents of z, of K and, where `shift` says what axes it has, of b.

    Operands: the results of the recurrence, and the cotangents of those of the first three that `given` says. It has no pullback.
    """

    name: ClassVar[str] = "recurrence.backward"
    over: Axis
    after: str
    before: str
    functions: tuple[str, ...]
    starts: tuple[Size, ...]
    stops: tuple[Size, ...]
    given: tuple[bool, ...]
    shift: Shift

    def rule(self, end: Type, before: Type, after: Type, K: Type, *flows: Type) -> tuple[Type, ...]:
        row = K.axis(self.after)
        match self.shift:
            case "none":
                return (end, K)
            case "rows":
                return (end, K, K.with_axes((row,)))
            case "samples":
                return (end, K, end.with_axes((row, *end.without([self.before]))))

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        K = _ordered(operands[3], (self.after, self.before))
        sample = [name for name in operands[0].axes if name != self.before]
        stacked = [self.over.name, self.before, *sample]
        before, after = (_ordered(x, stacked) for x in operands[1:3])
        flows = dict(zip([i for i, has in enumerate(self.given) if has], operands[4:], strict=True))
        d = _ordered(flows[0], stacked[1:]) if 0 in flows else np.zeros(before.shape[1:], K.dtype)
        d_before, d_after = (
            _ordered(flows[i], stacked) if i in flows else np.zeros(before.shape, K.dtype) for i in (1, 2)
        )
        d_K, d_b = np.zeros_like(K), np.zeros(before.shape[1:], K.dtype)
        for n in reversed(range(len(before))):
            d = d + d_after[n]
            for function, rows in _curved(self, context):
                d[rows] = d[rows] * CURVES[function][2](after[n][rows])
            d_K, d_b = d_K + d @ before[n].reshape(len(K), -1).T, d_b + d
            d = K.T @ d + d_before[n]
        found = [(d, stacked[1:]), (d_K, [self.after, self.before])]
        if self.shift == "samples":
            found.append((d_b, [self.after, *sample]))
        elif self.shift == "rows":
            found.append((d_b.reshape(len(K), -1).sum(1), [self.after]))
        return tuple(
            in_layout(array, axes, result, context) for (array, axes), result in zip(found, results, strict=True)
        )


def _curved(of: Recurrence | RecurrenceBackward, context: Context) -> list[tuple[str, slice]]:
    """Each squashing function with its rows."""
    starts, stops = ([size.evaluate(context.sizes) for size in sizes] for sizes in (of.starts, of.stops))
    return [(name, slice(start, stop)) for name, start, stop in zip(of.functions, starts, stops, strict=True)]


def _ordered(tensor: Tensor, axes: Sequence[str]) -> Array:
    return np.array(tensor.array.transpose([tensor.axes.index(name) for name in axes]))


def _arrays(op_: Recurrence, operands: Sequence[Tensor]) -> tuple[Array, Array, Array | float]:
    z, K, *b = operands
    sample = [name for name in z.axes if name != op_.before]
    offset: Any = 0.0
    if b:
        offset = _ordered(b[0], [op_.after, *(name for name in sample if name in b[0].axes)])
        offset = offset.reshape(len(offset), -1) if len(b[0].axes) == 1 and sample else offset
    return _ordered(z, [op_.before, *sample]), _ordered(K, (op_.after, op_.before)), offset
