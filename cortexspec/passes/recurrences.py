"""Make small loops one operation: what is carried and what is squashed side by side, a step as one product (`ir/ops/recurrence.py`).

Where a circuit has few places, a call costs more than its arithmetic: a step becomes two calls, its pullback two more, and the gradient
of the matrix is one batched product behind the loop. Where it has many, the one matrix has too many zeros. It is for engines that
run calls one by one; one that fuses gains nothing. What was measured: docs/decisions/0030.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.inline import copied
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops import write
from cortexspec.ir.ops.recurrence import CURVES, Recurrence
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Index, InUnit, Merge, Rename, Slice, Split
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.linearity import Linearity, Replay, Seed, plain_axes
from cortexspec.passes.loop import Loop, loop_of, renamed
from cortexspec.units import DIMENSIONLESS

LIMIT = 48
"""Rows of z up to which one product beats several calls on one core (docs/decisions/0030)."""


def recurrences(function: Function, sizes: Mapping[str, int], rows: int = LIMIT) -> Function:
    """The function with its loops of this form as one operation each, where z has at most so many rows."""
    names = Names.of(function)
    lines: list[Line] = []
    for line in function.body:
        form = _Form(loop_of(line)) if isinstance(line.op, Scan) else None
        lines += [line] if form is None or not form.fits(sizes, rows) else _Written(form, names).lines
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

    def fits(self, sizes: Mapping[str, int], limit: int) -> bool:
        """Whether the loop has the form, and is small."""
        loop = self.loop
        if loop.op.reverse or loop.xs or loop.sums or not loop.carries or not all(self.curves):
            return False
        samples = {frozenset(axis for axis in value.type.axes if axis.role == "sample") for value in self.sources}
        if [len(each) for each in samples] != [1] or any(value.type.dtype != "float" for value in self.sources):
            return False
        every, carried = ({value.name for value in values} for values in (self.sources, self.carried))
        linear = all(self._is_linear_in(value, every) for value in self.following)
        linear = linear and all(self._is_linear_in(line.operands[0], carried) for line in self.squashed)
        seen = {self.view(given.inside)[0].name for given in loop.stacks} <= every | {v.name for v in self.following}
        rows = [rows_of(value) for value in self.sources]
        known = all(size.symbols <= sizes.keys() for size in rows)
        return linear and seen and known and sum(size.evaluate(sizes) for size in rows) <= limit

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
        step = self._matrix(form.following, form.sources, carries, rows, self.before)
        z = self._beside(
            [(value, carry.start) for value, carry in zip(form.carried, self.loop.carries, strict=True)], rows
        )
        b = self._vector(form.following, offsets, rows)
        if arguments:
            asking = self._axis("after", [line.results[0] for line in form.squashed])
            A = self._matrix(arguments, form.carried, asked, asking, rows)
            z, step, b = self._with_arguments(z, step, b, A, self._vector(arguments, shifts, asking))
        self._emit(z, step, b)
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
        self, z: Value, matrix: Value, b: Value | None, A: Value, c: Value | None
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
        rest = write.contract(build, A, matrix, [at])
        whole = write.concat(build, [matrix, rest], [at, asking], self.after)
        if b is None and c is None:
            return z, whole, None
        if b is None:
            b = write.full(build, 0.0, Type((self._axis("at", self.form.carried),), "float", DIMENSIONLESS))
            shift = c
        else:
            shift = write.contract(build, A, b, [at])
            shift = shift if c is None else write.add(build, shift, c)
        assert shift is not None
        return z, whole, write.concat(build, [b, shift], [_along(b, "at"), asking], self.after)

    def _emit(self, z: Value, matrix: Value, b: Value | None) -> None:
        build, form = self.build, self.form
        operands = [x for x in (z, matrix, b) if x is not None]
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
        axes = self.after.name, self.before.name
        op_ = Recurrence(self.loop.op.over, *axes, tuple(form.curves), starts, stops)
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
