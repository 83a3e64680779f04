"""Event-driven delivery along sparse connections: what a source sends is added at its targets, and nothing is read of silent ones.

Connections are kept by source: those of source j are row_start[j] to row_start[j + 1] - 1, in the order source, target, draw. That one
order serves the forward pass, which scatters, and its derivatives, which gather.

`reached`, an operand that may be absent, says for which sources a derivative by what they send is asked for: those that fired or have a
surrogate's slope. What a backward pass reads is then theirs alone.

ring [slot, post] has a slot for each of the next steps: what arrives in step t is in slot t % slots. With one slot all arrives at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, Context, Op, Tensor, in_layout, op, transpose
from cortexspec.ir.ops import write
from cortexspec.ir.types import (
    Axis,
    RuleError,
    Type,
    require_alike,
    require_axis,
    require_dtype,
    require_free,
    unit_in_words,
)

_WHAT = "a delivery"
_T = TypeVar("_T")


class _Delivery(Op):
    """`slot` and `post` are the axes of a ring; `delay` has the steps that all connections take, () where an operand says it."""

    slot: str
    post: str
    delay: tuple[int, ...]

    def check(self, rows: Type, target: Type, ring: Type, now: Type, when: Sequence[Type], first: int) -> None:
        """`when` is what follows `now`, `first` the place of `now` among the operands.

        Raises: RuleError where indices are no integers along their own axis.
        """
        delay, reached = self.parted(when)
        for name in (self.slot, self.post):
            require_axis(ring, name, _WHAT, operand=first - 1)
        for type_, axes in ((rows, 1), (target, 1), (now, 0)):
            require_dtype(type_, _WHAT, "int")
            if len(type_.axes) != axes:
                raise RuleError("CS501", f"{_WHAT} wants an index with {axes} axes, not {type_}")
        if len(self.delay) + len(delay) != 1:
            raise RuleError("CS601", f"{_WHAT} has one delay, written or as an operand", operand=first)
        if len(reached) > 1:
            raise RuleError(
                "CS601", f"{_WHAT} has at most one operand that says which sources are reached", operand=first
            )
        for type_ in delay:
            require_dtype(type_, "a delay in steps", "int", operand=first + 1)
            if type_.names != target.names:
                raise RuleError("CS501", f"a delay is one number or one a connection, not {type_}", operand=first + 1)
        require_alike(_WHAT, (ring, *reached), "float")

    def parted(self, when: Sequence[_T]) -> tuple[Sequence[_T], Sequence[_T]]:
        """What follows `now`: the delay of each connection, where no one number is written, and `reached`, where it is there."""
        delays = 1 - len(self.delay)
        return when[:delays], when[delays:]

    def ends(self, ring: Tensor) -> tuple[Array, list[str]]:
        """The ring as [slot, post, rest...], and the rest."""
        rest = [name for name in ring.axes if name not in (self.slot, self.post)]
        return transpose(ring.array, ring.axes, [self.slot, self.post, *rest]), rest

    def slots(self, edges: Array, now: Tensor, delay: Sequence[Tensor], slots: int) -> Array:
        """[edge]: where in the ring each of these connections ends."""
        steps = delay[0].array[edges] if delay else self.delay[0]
        return np.broadcast_to((now.array + steps) % slots, edges.shape)


def _check_weight(weight: Type, pre: str, target: Type, operand: int) -> None:
    """Raises: RuleError."""
    if weight.names not in (frozenset[str](), {pre}, target.names):
        message = f"a delivered weight is one number, one a source or one a connection, not {weight}"
        raise RuleError("CS501", message, operand=operand)


def _check_reached(reached: Type, pre: str, along: Type) -> None:
    """Raises: RuleError."""
    require_axis(reached, pre, _WHAT)
    if reached.names - {pre} - along.names:
        raise RuleError("CS501", f"the sources that are reached, {reached}, have axes that {along} has not")


def _spread(x: Tensor, first: str, rest: Sequence[str], sizes: Sequence[int]) -> Array:
    """[first, rest...], repeated along what it lacks of `rest`."""
    have = [name for name in rest if name in x.axes]
    array = transpose(x.array, x.axes, [first, *have])
    array = array[(slice(None), *(slice(None) if name in have else np.newaxis for name in rest))]
    return np.broadcast_to(array, (len(array), *sizes))


def _active(sent: Array) -> Array:
    return np.flatnonzero(np.any(sent.reshape(len(sent), -1) != 0, axis=1))


def _edges_of(rows: Array, sources: Array) -> tuple[Array, Array]:
    """The connections of these sources, in order, and the source of each."""
    counts = rows[sources + 1] - rows[sources]
    pre = np.repeat(sources, counts)
    first = np.repeat(rows[sources] - np.cumsum(counts) + counts, counts)
    return first + np.arange(len(pre)), pre


def _factor(weight: Tensor, target: Tensor, edges: Array, pre: Array, rest: int) -> Array:
    """[edge, 1, ...]"""
    if not weight.axes:
        return np.broadcast_to(weight.array, (len(edges), *(1,) * rest))
    values = weight.array[edges if weight.axes == target.axes else pre]
    return values.reshape(-1, *(1,) * rest)


@op
@dataclass(frozen=True, slots=True)
class Deliver(_Delivery):
    """ring[(t + delay[e]) % slots, target[e]] += z[j]*weight[e] for each source j with z[j] != 0 and each of its connections e.

    Shapes: z [pre, A], row_start [row] with one place more than there are sources, target [edge], weight [], [pre] or [edge],
    ring [slot, post, A, B], t [], where `delay` is () one delay [edge] with 0 <= delay < slots, and `reached` [pre, A] if any; gives
    [slot, post, A, B]. The unit of z times that of the weight is the ring's. The derivative by z is 0 where `reached` is 0.
    """

    name: ClassVar[str] = "events.deliver"
    pre: str
    slot: str
    post: str
    delay: tuple[int, ...] = (0,)

    def rule(
        self, z: Type, rows: Type, target: Type, weight: Type, ring: Type, now: Type, *when: Type
    ) -> tuple[Type, ...]:
        require_alike(_WHAT, (z, weight, ring), "float")
        require_axis(z, self.pre, _WHAT)
        self.check(rows, target, ring, now, when, 5)
        for reached in self.parted(when)[1]:
            _check_reached(reached, self.pre, z)
        _check_weight(weight, self.pre, target, 3)
        if z.names - {self.pre} - ring.names:
            raise RuleError("CS501", f"what is sent, {z}, has axes that what arrives, {ring}, has not")
        if z.unit * weight.unit != ring.unit:
            message = f"what is delivered has not the unit of where it arrives, {unit_in_words(ring.unit)}"
            raise RuleError("CS401", message, operand=4)
        return (ring,)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        z, rows, target, weight, ring, now, *when = operands
        delay, _ = self.parted(when)
        found, rest = self.ends(ring)
        found = found.copy()
        sent = _spread(z, self.pre, rest, found.shape[2:])
        edges, pre = _edges_of(rows.array, _active(sent))
        slots = self.slots(edges, now, delay, len(found))
        np.add.at(found, (slots, target.array[edges]), sent[pre] * _factor(weight, target, edges, pre, len(rest)))
        return (in_layout(found, [self.slot, self.post, *rest], results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (z, rows, target, weight, ring, now, *when) = cotangents, operands
        if cotangent is None:
            return [None] * len(operands)
        flow = write.fit(build, cotangent, ring.type.axes)
        collect = Collect(z.type.axis(self.pre), self.slot, self.post, self.delay)
        dz = write.fit(build, build.one(collect, rows, target, weight, flow, now, *when), z.type.axes)
        delay, _ = self.parted(when)
        return (
            dz,
            None,
            None,
            _weight_flow(build, collect, weight, z, (rows, target, flow, now, *delay)),
            flow,
            *_nothing((now, *when)),
        )


@op
@dataclass(frozen=True, slots=True)
class Collect(_Delivery):
    """y[j] = sum over the connections e of source j of weight[e]*ring[(t + delay[e]) % slots, target[e]]: `deliver`, turned.

    Shapes: as there, without z; gives [pre, A, B], 0 where `reached` is.
    """

    name: ClassVar[str] = "events.collect"
    pre: Axis
    slot: str
    post: str
    delay: tuple[int, ...] = (0,)

    def rule(self, rows: Type, target: Type, weight: Type, ring: Type, now: Type, *when: Type) -> tuple[Type, ...]:
        require_alike(_WHAT, (weight, ring), "float")
        self.check(rows, target, ring, now, when, 4)
        for reached in self.parted(when)[1]:
            _check_reached(reached, self.pre.name, ring)
        _check_weight(weight, self.pre.name, target, 2)
        rest = ring.without([self.slot, self.post])
        return (Type(require_free(rest, (self.pre,), _WHAT), "float", weight.unit * ring.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        rows, target, weight, ring, now, *when = operands
        delay, reached = self.parted(when)
        array, rest = self.ends(ring)
        sources = len(rows.array) - 1
        asked = [_spread(one, self.pre.name, rest, array.shape[2:]) != 0 for one in reached]
        edges, pre = _edges_of(rows.array, _active(asked[0]) if asked else np.arange(sources))
        slots = self.slots(edges, now, delay, len(array))
        found = np.zeros((sources, *array.shape[2:]), array.dtype)
        np.add.at(found, pre, _factor(weight, target, edges, pre, len(rest)) * array[slots, target.array[edges]])
        for where in asked:
            found = np.where(where, found, 0)
        return (in_layout(found, [self.pre.name, *rest], results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (rows, target, weight, ring, now, *when) = cotangents, operands
        if cotangent is None:
            return [None] * len(operands)
        flow = write.fit(build, cotangent, results[0].type.axes)
        delay, reached = self.parted(when)
        for one in reached:
            asked = write.ne(build, one, write.zero_like(build, one))
            flow = write.where(build, asked, flow, write.zero_like(build, flow))
        empty = write.zeros(build, ring.type.with_unit(flow.type.unit * weight.type.unit))
        deliver = Deliver(self.pre.name, self.slot, self.post, self.delay)
        dring = build.one(deliver, flow, rows, target, weight, empty, now, *delay)
        dweight = _weight_flow(build, self, weight, flow, (rows, target, ring, now, *delay))
        return None, None, dweight, dring, *_nothing((now, *when))


@op
@dataclass(frozen=True, slots=True)
class PerEdge(_Delivery):
    """y[e] = z[j]*ring[(t + delay[e]) % slots, target[e]] for each connection e of each source j, summed over all other axes.

    The derivative of `deliver` by a weight a connection. Shapes: as there, without weight; gives [edge].
    """

    name: ClassVar[str] = "events.per_edge"
    pre: str
    slot: str
    post: str
    delay: tuple[int, ...] = (0,)

    def rule(self, z: Type, rows: Type, target: Type, ring: Type, now: Type, *delay: Type) -> tuple[Type, ...]:
        require_alike(_WHAT, (z, ring), "float")
        require_axis(z, self.pre, _WHAT)
        self.check(rows, target, ring, now, delay, 4)
        if z.names - {self.pre} - ring.names:
            raise RuleError("CS501", f"what is sent, {z}, has axes that what arrives, {ring}, has not")
        return (Type(target.axes, "float", z.unit * ring.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        z, rows, target, ring, now, *delay = operands
        array, rest = self.ends(ring)
        sent = _spread(z, self.pre, rest, array.shape[2:])
        edges, pre = _edges_of(rows.array, _active(sent))
        slots = self.slots(edges, now, delay, len(array))
        found = np.zeros(len(target.array), array.dtype)
        flows = sent[pre] * array[slots, target.array[edges]]
        found[edges] = flows.sum(tuple(range(1, flows.ndim)))
        return (Tensor(found, target.axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (z, rows, target, ring, *when) = cotangents, operands
        if cotangent is None:
            return [None] * len(operands)
        collect = Collect(z.type.axis(self.pre), self.slot, self.post, self.delay)
        dz = write.fit(build, build.one(collect, rows, target, cotangent, ring, *when), z.type.axes)
        empty = write.zeros(build, ring.type.with_unit(z.type.unit * cotangent.type.unit))
        deliver = Deliver(self.pre, self.slot, self.post, self.delay)
        return dz, None, None, build.one(deliver, z, rows, target, cotangent, empty, *when), *_nothing(when)


def _nothing(operands: Sequence[Value]) -> list[None]:
    return [None] * len(operands)


def _weight_flow(build: Builder, collect: Collect, weight: Value, z: Value, others: Sequence[Value]) -> Value:
    """The cotangent of a weight: of z times what is collected, by connection, by source or in all."""
    rows, target, flow, *when = others
    if weight.type.names == target.type.names:
        per_edge = PerEdge(collect.pre.name, collect.slot, collect.post, collect.delay)
        return build.one(per_edge, z, rows, target, flow, *when)
    collected = build.one(collect, rows, target, write.const(build, 1.0), flow, *when)
    return write.fit(build, write.mul(build, z, collected), weight.type.axes)
