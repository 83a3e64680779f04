"""What is on its way to its targets stays where it is, instead of moving up by one place a step.

A delayed projection of spikes carries [slot, target], where slot k arrives k steps after the next one begins (lowering/delays.py): each
step moves all of it by one place. Here what arrives in step n lies at place n modulo the number of places, one more than there are slots:
a step clears the place of the step before it, adds what is sent now, and reads its own place, so most of a ring is not touched. Where all
have one delay, what is sent takes that very place, and nothing is cleared or added. In front of the loop and behind it the ring is turned,
and means what it meant.

Taken are rings that a delivery by events adds to, and those of one delay. This is docs/decisions/0065.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Add, Eq, Mul, Where
from cortexspec.ir.ops.constant import Const, Iota
from cortexspec.ir.ops.events import Deliver
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Expand, Index, Pad, Slice, Split
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.loop import Carry, Fed, Loop, loop_of, made_by, named
from cortexspec.units import DIMENSIONLESS


@dataclass(frozen=True, slots=True)
class _Sent:
    """Deliveries: the line that adds to a ring of zeros, the splits of its targets in their order, and one weight for all behind it."""

    line: Line
    splits: tuple[Line, ...]
    between: tuple[Line, ...]
    weight: Value | None

    @property
    def type(self) -> Type:
        type_ = self.line.result.type
        return type_ if self.weight is None else type_.with_unit(type_.unit * self.weight.type.unit)

    @property
    def lines(self) -> tuple[Line, ...]:
        return (self.line, *self.between)


@dataclass(frozen=True, slots=True)
class _Row:
    """One delay for all: what is sent, [target, ...], and after how many steps it arrives, in the loop and outside."""

    line: Line
    value: Value
    steps: Fed
    type: Type
    splits: tuple[Line, ...] = ()

    @property
    def lines(self) -> tuple[Line, ...]:
        return (self.line,)


@dataclass(frozen=True, slots=True)
class _Ring:
    carry: Carry
    pad: Line
    new: _Sent | _Row
    whole: Line  # the sum of what was on its way and what is new
    arrivals: tuple[Line, ...]
    moved: Line

    @property
    def places(self) -> Axis:
        return self.whole.result.type.axis(_pad_of(self.pad).result.name)

    @property
    def slots(self) -> Axis:
        return self.carry.inside.type.axis(_pad_of(self.pad).axis)


def settle_rings(function: Function) -> Function:
    names, made = Names.of(function), made_by(function.body)
    body: list[Line] = []
    for line in function.body:
        body += _settled(line, names, made) if isinstance(line.op, Scan) else (line,)
    return replace(function, body=tuple(body))


def _settled(line: Line, names: Names, made: Mapping[str, Line]) -> Sequence[Line]:
    loop = loop_of(line)
    number = next((carry for carry in loop.carries if _counts(carry, made_by(loop.lines))), None)
    if number is None:
        return (line,)
    found = list(_rings(loop))
    before, after = Builder(names), Builder(names)
    before.span = after.span = line.span
    start = made.get(number.start.name)
    first = None if start is not None and start.op == Const(0, "int") else number.start
    for ring in found:
        loop = _Writing(loop, ring, number, first, before, after).loop()
    return (*before.lines, loop.line(), *after.lines)


def _counts(carry: Carry, made: Mapping[str, Line]) -> bool:
    """Whether the carry is the number of the step: one more each time."""
    line = made.get(carry.next.name)
    if line is None or not isinstance(line.op, Add) or carry.inside.type.dtype != "int":
        return False
    others = [operand for operand in line.operands if operand.name != carry.inside.name]
    return len(others) == 1 and others[0].name in made and made[others[0].name].op == Const(1, "int")


# Which carries are rings


def _rings(loop: Loop) -> Iterable[_Ring]:
    reading: dict[str, list[Line]] = {}
    for line in loop.lines:
        for operand in line.operands:
            reading.setdefault(operand.name, []).append(line)
    given = [value.name for value in loop.outputs]
    made = made_by(loop.lines)
    consts = {fed.inside.name: fed for fed in loop.consts}
    for carry in loop.carries:
        ring = _ring(carry, reading, given, made, consts)
        if ring is not None:
            yield ring


def _ring(
    carry: Carry,
    reading: Mapping[str, Sequence[Line]],
    given: Sequence[str],
    made: Mapping[str, Line],
    consts: Mapping[str, Fed],
) -> _Ring | None:
    match reading.get(carry.inside.name, ()):
        case [Line(op=Pad(before=Size() as none, after=Size() as one)) as pad] if (none, one) == (
            Size.of(0),
            Size.of(1),
        ):
            pass
        case _:
            return None
    match reading.get(pad.result.name, ()):
        case [Line(op=Add()) as whole]:
            pass
        case _:
            return None
    others = [value for value in whole.operands if value.name != pad.result.name]
    apart = {carry.inside.name, pad.result.name, whole.result.name}
    if len(others) != 1 or not apart.isdisjoint(given) or whole.result.type.names != pad.result.type.names:
        return None
    new = _new(others[0], _pad_of(pad).result.name, reading, given, made, consts)
    last = made.get(carry.next.name)
    arrivals = tuple(line for line in reading[whole.result.name] if line is not last)
    if new is None or last is None or not _moves(last, pad, whole) or carry.next.name in reading:
        return None
    if given.count(carry.next.name) != 1 or not all(_is_first(line, _pad_of(pad).result.name) for line in arrivals):
        return None
    return _Ring(carry, pad, new, whole, arrivals, last)


def _pad_of(line: Line) -> Pad:
    assert isinstance(line.op, Pad)
    return line.op


def _moves(line: Line, pad: Line, whole: Line) -> bool:
    """Whether the line is the ring a step later: all places of the sum but the first."""
    places = whole.result.type.axis(_pad_of(pad).result.name)
    wanted = Slice(places.name, Size.of(1), places.size, pad.operands[0].type.axis(_pad_of(pad).axis))
    return line.op == wanted and line.operands == (whole.result,)


def _is_first(line: Line, places: str) -> bool:
    return line.op == Index(places, Size.of(0))


def _new(
    value: Value,
    places: str,
    reading: Mapping[str, Sequence[Line]],
    given: Sequence[str],
    made: Mapping[str, Line],
    consts: Mapping[str, Fed],
) -> _Sent | _Row | None:
    splits: list[Line] = []
    between: list[Line] = []
    weight: Value | None = None
    while (line := made.get(value.name)) is not None and len(reading[value.name]) == 1 and value.name not in given:
        match line.op:
            case Split(axis=axis) if axis != places:
                splits.append(line)
                (value,) = line.operands
            case Mul() if weight is None and any(not operand.type.axes for operand in line.operands):
                (weight,) = (operand for operand in line.operands if not operand.type.axes)
                (value,) = (operand for operand in line.operands if operand.type.axes)
            case Deliver(slot=slot) if slot == places and _is_zero(line.operands[4], made) and _is_now(line, made):
                plain = weight is None or _is_one(line.operands[3], made)
                return _Sent(line, tuple(splits[::-1]), tuple(between), weight) if plain else None
            case Where() if not between:
                return _row(line, places, made, consts)
            case _:
                return None
        between.append(line)
    return None


def _is_one(value: Value, made: Mapping[str, Line]) -> bool:
    line = made.get(value.name)
    return line is not None and isinstance(line.op, Const) and line.op.value == 1 and line.op.unit == DIMENSIONLESS


def _is_now(line: Line, made: Mapping[str, Line]) -> bool:
    now = made.get(line.operands[5].name)
    return now is not None and now.op == Const(0, "int")


def _is_zero(value: Value, made: Mapping[str, Line]) -> bool:
    line = made.get(value.name)
    while line is not None and isinstance(line.op, Expand):
        line = made.get(line.operands[0].name)
    return line is not None and isinstance(line.op, Const) and line.op.value == 0


def _row(line: Line, places: str, made: Mapping[str, Line], consts: Mapping[str, Fed]) -> _Row | None:
    """where(place == steps, value, 0) for steps that are one number."""
    here, value, rest = line.operands
    equal = made.get(here.name)
    if equal is None or not isinstance(equal.op, Eq) or not _is_zero(rest, made) or value.type.has(places):
        return None
    for place, steps in (equal.operands, equal.operands[::-1]):
        counted = made.get(place.name)
        if counted is not None and isinstance(counted.op, Iota) and counted.op.axis.name == places:
            known = steps.name in consts and not steps.type.axes
            return _Row(line, value, consts[steps.name], line.result.type) if known else None
    return None


# The loop with a ring that stays


@dataclass
class _Writing:
    old: Loop
    ring: _Ring
    number: Carry
    first: Value | None  # the number of the first step; None for 0
    before: Builder
    after: Builder

    def loop(self) -> Loop:
        old, ring = self.old, self.ring
        build = Builder(self.before.names)
        start = self.start()
        inside = Value(build.names.fresh(ring.carry.inside.name), start.type)
        gone = {id(line) for line in (ring.pad, *ring.new.lines, ring.whole, ring.moved, *ring.arrivals)}
        held: Value | None = None
        lines: list[Line] = []
        for line in old.lines:
            if line is ring.whole:
                build.lines, build.span = lines, line.span
                held = self.held(build, inside)
                for each in ring.arrivals:
                    build.span = each.span
                    self.arrival(build, each, held)
            elif id(line) not in gone:
                lines.append(line)
        assert held is not None
        carry = Carry(
            start, inside, held, Value(build.names.fresh(ring.carry.result.name), held.type), ring.carry.label
        )
        self.end(carry.result)
        carries = tuple(carry if each is ring.carry else each for each in old.carries)
        return replace(old, lines=tuple(lines), carries=carries)

    def start(self) -> Value:
        """The ring with a place more, turned so that what arrives in the first step lies at its place, targets in one axis."""
        build, ring, places = self.before, self.ring, self.ring.places
        value = write.pad(build, ring.carry.start, ring.slots.name, 0, 1, places)
        if self.first is not None:
            count = _count(build, places)
            turned = write.sub(build, count, write.mod(build, self.first, count))
            value = _turned(build, value, places, turned, places)
        for split in reversed(ring.new.splits):
            op = split.op
            assert isinstance(op, Split)
            merged = split.operands[0].type.axis(op.axis)
            value = write.merge(build, value, [axis.name for axis in op.axes], merged)
        return write.expand(build, value, [axis for axis in ring.new.type.axes if not value.type.has(axis.name)])

    def held(self, build: Builder, inside: Value) -> Value:
        """What is on its way after what this step sends."""
        ring, places, n = self.ring, self.ring.places, self.number.inside
        count = _count(build, places)
        if isinstance(ring.new, _Row):
            # The place that it takes is the one before this step's, which is over; without a delay, this step's own.
            place = write.mod(build, write.add(build, n, ring.new.steps.inside), count)
            return write.put(build, inside, ring.new.value, place, places.name)
        one = write.integer(build, 1)
        last = write.mod(build, write.add(build, n, write.sub(build, count, one)), count)
        empty = write.zeros(build, inside.type.with_axes(inside.type.without([places.name])))
        cleared = write.put(build, inside, empty, last, places.name)
        z, rows, target, weight, _, _, *when = ring.new.line.operands
        weight = weight if ring.new.weight is None else ring.new.weight
        return build.one(ring.new.line.op, z, rows, target, weight, cleared, n, *when)

    def arrival(self, build: Builder, line: Line, held: Value) -> None:
        """What arrives in this step, under the name that it had."""
        place = write.mod(build, self.number.inside, _count(build, self.ring.places))
        value = write.gather(build, held, place, self.ring.places.name)
        value = self.apart(build, value)
        named(build, value, line.result)

    def apart(self, build: Builder, value: Value) -> Value:
        for split in self.ring.new.splits:
            value = build.one(split.op, value)
        return value

    def end(self, result: Value) -> None:
        build, ring = self.after, self.ring
        value = self.apart(build, result)
        value = _turned(build, value, ring.places, self.number.result, ring.slots)
        if isinstance(ring.new, _Row):
            # Behind the last arrival lies what is over.
            coming = write.lt(build, write.iota(build, ring.slots), ring.new.steps.outside)
            value = write.where(build, coming, value, write.zero_like(build, value))
        named(build, value, ring.carry.result)


def _count(build: Builder, places: Axis) -> Value:
    return write.cast(build, write.size_of(build, places), "int")


def _turned(build: Builder, value: Value, places: Axis, by: Value, result: Axis) -> Value:
    """Place k of the result is place k + `by`, modulo their number."""
    at = write.mod(build, write.add(build, write.iota(build, result), by), _count(build, places))
    return write.gather(build, value, at, places.name)


__all__ = ["settle_rings"]
