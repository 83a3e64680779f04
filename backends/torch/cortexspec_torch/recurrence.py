"""A loop whose step is one matrix product and squashing functions, as one operation.

Where a circuit has few places, a call costs more than its arithmetic. So what a step carries and what it squashes stand side by side in
one array z; all that is linear in a step is one matrix K, the arguments of the squashing functions included, since these
are linear in the next carry:

    z[n+1] = φ(K z[n] + b),    φ: the identity in some rows, tanh, a sigmoid or exp in others

A step is two calls, its pullback two more, and the gradient of K is one batched product behind the loop. These operations are torch's
own: XLA fuses by itself. What was measured: docs/decisions/0030.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.inline import copied
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.op import Array, Context, Op, Tensor, in_layout, op
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Exp, Sigmoid, Tanh
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Index, Merge, Rename, Slice, Split
from cortexspec.ir.size import Size
from cortexspec.ir.specialise import specialise
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.passes.fold_constants import fold_constants
from cortexspec.passes.hoist import hoist
from cortexspec.passes.linearity import Linearity, Replay, Seed, plain_axes
from cortexspec.passes.loop import Loop, loop_of, renamed
from cortexspec.passes.remove_dead import remove_dead
from cortexspec.passes.share_common import share_common
from cortexspec.units import DIMENSIONLESS, Unit

LIMIT = 48
"""Rows of z up to which one product beats several calls (docs/decisions/0030)."""

# A squashing function, and its derivative from its value.
CURVES: Mapping[str, tuple[type[Op], Callable[[Array], Array], Callable[[Array], Array]]] = {
    "tanh": (Tanh, np.tanh, lambda y: 1 - y * y),
    "sigmoid": (Sigmoid, lambda x: 0.5 + 0.5 * np.tanh(0.5 * x), lambda y: y * (1 - y)),
    "exp": (Exp, np.exp, lambda y: y),
}


@op
@dataclass(frozen=True, slots=True)
class InUnit(Op):
    """The same numbers in another unit: quantities of several dimensions stand side by side in z."""

    name: ClassVar[str] = "torch.in_unit"
    saved: ClassVar[bool] = False
    unit: Unit

    def rule(self, x: Type) -> tuple[Type, ...]:
        return (Type(x.axes, x.dtype, self.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        return (operands[0],)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (flow,), (x,) = cotangents, operands
        return (None if flow is None else build.one(InUnit(flow.type.unit * self.unit / x.type.unit), flow),)


@op
@dataclass(frozen=True, slots=True)
class Recurrence(Op):
    """z at the end, z as each step finds it, z as each step leaves it, and K again: the pullback reads results only.

    The rows starts[i] <= row < stops[i] of z go through functions[i].

    Operands: z [before, sample], K [after, before], and b [after] or [after, sample] where there is one. All are pure numbers.
    """

    name: ClassVar[str] = "torch.recurrence"
    over: Axis
    after: str
    before: str
    functions: tuple[str, ...]
    starts: tuple[Size, ...]
    stops: tuple[Size, ...]

    def rule(self, z: Type, K: Type, *b: Type) -> tuple[Type, ...]:
        if K.names != {self.after, self.before} or any(x.unit != DIMENSIONLESS for x in (z, K, *b)):
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
        given = tuple(flow is not None for flow in cotangents[:3])
        flows = [build.one(InUnit(DIMENSIONLESS), flow) for flow in cotangents[:3] if flow is not None]
        unit = next(flow.type.unit for flow in cotangents[:3] if flow is not None)
        shift: Shift = "none"
        if len(operands) > 2:
            shift = "rows" if len(operands[2].type.axes) == 1 else "samples"
        reverse = RecurrenceBackward(**self.attributes(), given=given, shift=shift)
        found = build.emit(reverse, *results, *flows, hint="recurrence_backward")
        return [build.one(InUnit(unit), flow) for flow in found]


Shift = Literal["none", "rows", "samples"]


@op
@dataclass(frozen=True, slots=True)
class RecurrenceBackward(Op):
    """The cotangents of z, of K and, where `shift` says what axes it has, of b.

    Operands: the results of the recurrence, and the cotangents of those of the first three that `given` says.
    """

    name: ClassVar[str] = "torch.recurrence_backward"
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


# ---------------------------------------------------------------- the pass


def as_recurrences(function: Function, sizes: Mapping[str, int]) -> Function:
    """The function with its small loops of this form as one operation each. Sizes of 1 are written in: what is summed or
    coupled over one place needs no call."""
    ones = {symbol: size for symbol, size in sizes.items() if size == 1}
    return _cleaned(_replaced(_cleaned(specialise(function, ones)) if ones else function, sizes))


def _cleaned(function: Function) -> Function:
    """Coefficients that only move elements are found before the adjoint would keep them."""
    return remove_dead(share_common(hoist(share_common(fold_constants(function)))))


def _replaced(function: Function, sizes: Mapping[str, int]) -> Function:
    names = Names.of(function)
    lines: list[Line] = []
    for line in function.body:
        form = _Form(loop_of(line)) if isinstance(line.op, Scan) else None
        lines += [line] if form is None or not form.fits(sizes) else _Written(form, names).lines
    return replace(function, body=tuple(lines))


class _Form:
    """A loop taken as z[n+1] = φ(K z[n] + b). The rows of z are the carries, then the squashed values."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.linearity = Linearity(loop)
        curves = {kind: name for name, (kind, _, _) in CURVES.items()}
        fixed, linear = self.linearity.fixed, self.linearity.lines
        changing = [line for line in loop.lines if line.results[0].name not in fixed]
        self.squashed = [line for line in changing if line.results[0].name not in linear]
        self.curves = [curves.get(type(line.op), "") for line in self.squashed]
        self.carried = [carry.inside for carry in loop.carries]
        self.following = [carry.next for carry in loop.carries]
        self.sources = [*self.carried, *(line.results[0] for line in self.squashed)]

    def fits(self, sizes: Mapping[str, int]) -> bool:
        """Whether the loop has the form, and is small."""
        loop = self.loop
        if loop.op.reverse or loop.xs or loop.sums or not loop.carries or not all(self.curves):
            return False
        samples = {frozenset(axis for axis in value.type.axes if axis.role == "sample") for value in self.sources}
        if len(samples) != 1 or any(value.type.dtype != "float" for value in self.sources):
            return False
        every, carried = ({value.name for value in values} for values in (self.sources, self.carried))
        linear = all(self._is_linear_in(value, every) for value in self.following)
        linear = linear and all(self._is_linear_in(line.operands[0], carried) for line in self.squashed)
        seen = {self.view(given.inside)[0].name for given in loop.stacks} <= every | {v.name for v in self.following}
        rows = [rows_of(value) for value in self.sources]
        known = all(size.symbols <= sizes.keys() for size in rows)
        return linear and seen and known and sum(size.evaluate(sizes) for size in rows) <= LIMIT

    def view(self, value: Value) -> tuple[Value, list[Op]]:
        """What a value shows of another, and the operations that do it, first to last."""
        shown: list[Op] = []
        sources = {source.name for source in (*self.sources, *self.following)}
        line = self.linearity.made.get(value.name)
        while line is not None and isinstance(line.op, _VIEWS) and value.name not in sources:
            shown.append(line.op)
            (value,) = line.operands
            line = self.linearity.made.get(value.name)
        return value, shown[::-1]

    def _is_linear_in(self, value: Value, sources: set[str]) -> bool:
        if value.name in sources:
            return True
        if value.name not in self.linearity.lines:
            return False
        return self.linearity.form(value, frozenset(), {}).keys() - {""} <= sources


_VIEWS = (Rename, Merge, Split, Slice, Index)


def rows_of(value: Value) -> Size:
    """How many places a value has, without samples."""
    size = Size.of(1)
    for axis in plain_axes(value.type):
        size = size * axis.size
    return size


class _Written:
    """The lines in place of a loop.

    Coefficients are found inside the loop, under the names that things have there, and then taken out of it.
    """

    def __init__(self, form: _Form, names: Names):
        self.form, self.loop = form, form.loop
        inside = Builder(names)
        self.replay = Replay(form.linearity, frozenset(), inside)
        self.outside = {fed.inside.name: fed.outside for fed in self.loop.consts}
        self.build = Builder(names)
        self.build.span = self.loop.span
        for line in self.loop.lines:
            if line.results[0].name in form.linearity.fixed:
                self.build.lines.append(copied(line, self.outside, names))
        carries = [self._coefficients(value, form.sources) for value in form.following]
        offsets = [self._offset(value) for value in form.following]
        arguments = [line.operands[0] for line in form.squashed]
        asked = [self._coefficients(value, form.carried) for value in arguments]
        shifts = [self._offset(value) for value in arguments]
        self.build.lines += [renamed(line, self.outside) for line in inside.lines]

        # An axis that the layout does not name comes first, by name: a matrix lies as [after, before], A as [after, at].
        self.before = self._axis("before", form.sources)
        self.after = self._axis("after", form.sources)
        rows = self._axis("at", form.carried)
        K = self._matrix(form.following, form.sources, carries, rows, self.before)
        z = self._beside(
            [(value, carry.start) for value, carry in zip(form.carried, self.loop.carries, strict=True)], rows
        )
        b = self._vector(form.following, offsets, rows)
        if arguments:
            asking = self._axis("after", [line.results[0] for line in form.squashed])
            A = self._matrix(arguments, form.carried, asked, asking, rows)
            z, K, b = self._with_arguments(z, K, b, A, self._vector(arguments, shifts, asking))
        self._emit(z, K, b)
        self.lines = self.build.lines

    # Coefficients, inside the loop.

    def _coefficients(self, value: Value, sources: Sequence[Value]) -> list[Value | None]:
        """That of each source, over the value's axes and the source's own as columns; None for zero."""
        return [self._coefficient(value, source) for source in sources]

    def _coefficient(self, value: Value, source: Value) -> Value | None:
        axes = plain_axes(source.type)
        if value.name not in self.form.linearity.lines:
            return self._unit(source, axes) if value.name == source.name else None
        return self._taken_out(self.replay.run(value, Seed(source.name, frozenset(axis.name for axis in axes))))

    def _unit(self, source: Value, axes: Sequence[Axis]) -> Value:
        build = self.replay.build
        unit = write.const(build, 1.0)
        for axis in axes:
            unit = write.mul(build, unit, write.identity(build, axis, self.replay.column(axis)))
        return unit

    def _offset(self, value: Value) -> Value | None:
        is_linear = value.name in self.form.linearity.lines
        return self._taken_out(self.replay.run(value, Seed())) if is_linear else None

    def _taken_out(self, value: Value | None) -> Value | None:
        return None if value is None else self.outside.get(value.name, value)

    # Outside of it.

    def _axis(self, stem: str, values: Sequence[Value]) -> Axis:
        size = Size.of(0)
        for value in values:
            size = size + rows_of(value)
        return self.build.axis(stem, size)

    def _flat(self, x: Value, axes: Sequence[Axis], into: Axis) -> Value:
        """x with these axes as one, which it is expanded along where it lacks some."""
        if not axes:
            return write.expand(self.build, x, [into])
        x = write.expand(self.build, x, [axis for axis in axes if not x.type.has(axis.name)])
        if len(axes) == 1:
            return write.rename(self.build, x, {axes[0].name: into.name})
        return write.merge(self.build, x, [axis.name for axis in axes], into)

    def _number(self, x: Value) -> Value:
        return x if x.type.unit == DIMENSIONLESS else self.build.one(InUnit(DIMENSIONLESS), x)

    def _matrix(
        self,
        values: Sequence[Value],
        sources: Sequence[Value],
        blocks: Sequence[Sequence[Value | None]],
        rows: Axis,
        columns: Axis,
    ) -> Value:
        """The blocks side by side: rows by the values, columns by the sources."""
        row = [self.build.axis("after", rows_of(value)) for value in values]
        column = [self.build.axis("before", rows_of(source)) for source in sources]
        made: list[Value] = []
        for value, along, some in zip(values, row, blocks, strict=True):
            parts = [
                self._block(value, source, block, along, across)
                for source, block, across in zip(sources, some, column, strict=True)
            ]
            made.append(write.concat(self.build, parts, [axis.name for axis in column], columns))
        return write.concat(self.build, made, [axis.name for axis in row], rows)

    def _block(self, value: Value, source: Value, block: Value | None, row: Axis, column: Axis) -> Value:
        if block is None:
            return write.full(self.build, 0.0, Type((row, column), "float", DIMENSIONLESS))
        columns = [self.replay.column(axis) for axis in plain_axes(source.type)]
        return self._flat(self._flat(self._number(block), plain_axes(value.type), row), columns, column)

    def _vector(self, values: Sequence[Value], parts: Sequence[Value | None], rows: Axis) -> Value | None:
        """The parts end to end; None where all are zero."""
        if all(part is None for part in parts):
            return None
        row = [self.build.axis("after", rows_of(value)) for value in values]
        made = [
            write.full(self.build, 0.0, Type((along,), "float", DIMENSIONLESS))
            if part is None
            else self._flat(self._number(part), plain_axes(value.type), along)
            for value, part, along in zip(values, parts, row, strict=True)
        ]
        return write.concat(self.build, made, [axis.name for axis in row], rows)

    def _beside(self, values: Sequence[tuple[Value, Value]], rows: Axis) -> Value:
        """Values end to end, each under the axes of the first of its pair."""
        row = [self.build.axis("before", rows_of(of)) for of, _ in values]
        made = [
            self._flat(self._number(x), plain_axes(of.type), along) for (of, x), along in zip(values, row, strict=True)
        ]
        return write.concat(self.build, made, [axis.name for axis in row], rows)

    def _with_arguments(
        self, z: Value, K: Value, b: Value | None, A: Value, c: Value | None
    ) -> tuple[Value, Value, Value | None]:
        """The squashed values as rows too: A gives their arguments from the carries, now and after the step."""
        build, at, asking = self.build, _along(A, "at"), _along(A, "after")
        asked = write.contract(build, A, z, [at])
        asked = asked if c is None else write.add(build, asked, c)
        squashed = [z]
        start = Size.of(0)
        for line in self.form.squashed:
            stop = start + rows_of(line.results[0])
            part = build.axis("before", rows_of(line.results[0]))
            squashed.append(build.one(line.op, write.slice_(build, asked, asking, start, stop, part)))
            start = stop
        z = write.concat(build, squashed, [at, *(_along(x, "before") for x in squashed[1:])], self.before)
        rest = write.contract(build, A, K, [at])
        K = write.concat(build, [K, rest], [at, asking], self.after)
        if b is None and c is None:
            return z, K, None
        if b is None:
            b = write.full(build, 0.0, Type((self._axis("at", self.form.carried),), "float", DIMENSIONLESS))
            shift = c
        else:
            shift = write.contract(build, A, b, [at])
            shift = shift if c is None else write.add(build, shift, c)
        assert shift is not None
        return z, K, write.concat(build, [b, shift], [_along(b, "at"), asking], self.after)

    def _emit(self, z: Value, K: Value, b: Value | None) -> None:
        build, form = self.build, self.form
        operands = [x for x in (z, K, b) if x is not None]
        if not form.squashed:
            named = [self.before.name, *[self.after.name] * 2]
            operands = [
                write.rename(build, x, {_along(x, "at"): name}) for x, name in zip(operands, named, strict=False)
            ]
        places: dict[str, tuple[Size, Size]] = {}
        start = Size.of(0)
        for value in form.sources:
            places[value.name] = (start, start + rows_of(value))
            start = start + rows_of(value)
        rows = [places[line.results[0].name] for line in form.squashed]
        starts, stops = tuple(start for start, _ in rows), tuple(stop for _, stop in rows)
        over, after, before = self.loop.op.over, self.after.name, self.before.name
        op_ = Recurrence(over, after, before, tuple(form.curves), starts, stops)
        end, before, after, _ = build.emit(op_, *operands)
        for carry in self.loop.carries:
            self._leave(end, carry.inside, places[carry.inside.name], carry.result)
        following = {carry.next.name: carry.inside for carry in self.loop.carries}
        for given in self.loop.stacks:
            value, shown = form.view(given.inside)
            stack = before if value.name in places else after
            of = value if value.name in places else following[value.name]
            self._leave(stack, of, places[of.name], given.result, shown)

    def _leave(self, x: Value, value: Value, place: tuple[Size, Size], result: Value, shown: Sequence[Op] = ()) -> None:
        """Rows of z under the axes, the unit and the name of a result of the loop, which shows them through `shown`."""
        build, axes = self.build, plain_axes(value.type)
        if not axes:
            x = write.index(build, x, self.before.name, place[0])
        elif len(axes) == 1:
            x = write.slice_(build, x, self.before.name, *place, axes[0])
        else:
            rows = build.axis("before", rows_of(value))
            x = write.split(build, write.slice_(build, x, self.before.name, *place, rows), rows.name, axes)
        for op_ in shown:
            x = build.one(op_, x)
        build.lines.append(Line((result,), InUnit(result.type.unit), (x,), self.loop.span))


def _along(value: Value, stem: str) -> str:
    """The axis of a value that was made under this stem."""
    return next(axis.name for axis in value.type.axes if axis.name.partition("~")[0] == stem)
