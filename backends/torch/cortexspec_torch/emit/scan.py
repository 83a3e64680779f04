"""The loop in torch: a Python `for`.

Where autograd records, stacks are lists (a write into a slot would be recorded as a copy of the whole stack). Where it does
not, a stack is one array and a step writes its values right into their slots; sums are added up in place, and so is a carry whose
old value nothing reads any more; what lives within a step has one array for all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import TypeVar

from cortexspec.contracts.program import Block, Term, Writer, identifier, margin
from cortexspec.ir.module import Line, Value
from cortexspec.ir.ops import arith, events, indexing, linear, shape
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.size import Size
from cortexspec.ir.types import Type
from cortexspec_torch.emit.base import arranged, dtype, emit, in_order
from cortexspec_torch.emit.fused import added
from cortexspec_torch.fuse import (
    VIEWS,
    Gathered,
    Part,
    SigmoidBackward,
    TanhBackward,
    Terms,
    Update,
    Within,
    is_matrix_product,
    live,
    orientation,
)
from cortexspec_torch.starts import Start

T = TypeVar("T")


class Pending(Term):
    """The first value of a carry, whose lines are still to be written."""

    lines: tuple[Line, ...]


@emit.register
def start(op: Start, write: Writer, *operands: Term) -> Term:
    value, pending = write.results[0], Pending()
    pending.type, pending.axes, pending.block, pending.literal = value.type, write.axes(value.type), write.block, False
    pending.lines = op.lines
    return pending


def _settled(write: Writer, term: Term) -> Term:
    if not isinstance(term, Pending):
        return term
    results = write.results
    write.lines(term.lines)
    write.results = results
    return write.term(term.lines[-1].result)


def _placed(write: Writer, pending: Pending, place: str) -> None:
    """Writes the lines so that their value is made in the place, an array with the axes of the value."""
    *before, last = pending.lines
    source = last.operands[0]
    if isinstance(last.op, shape.Expand) and write.term(source).literal:
        write.block.add(f"{place}.fill_({write.term(source)})")
    elif isinstance(last.op, shape.Merge):
        op = last.op
        apart = [name for axis in pending.axes for name in (op.axes if axis == op.axis.name else [axis])]
        target = f"{place}.view({write.shape(source.type, apart)})"
        if before and not _made_in(write, before[0], in_order(target, apart, write.axes(source.type))):
            write.line(before[0])
            before = []
        if not before:
            x = write.term(source)
            write.block.add(f"{target}.copy_({in_order(x, x.axes, apart)})")
    else:
        write.block.add(f"{place}.copy_({write.array(_settled(write, pending))})")


def _made_in(write: Writer, line: Line, place: str) -> bool:
    results, write.results = write.results, line.results
    text = emit(line.op, write, *(write.term(value) for value in line.operands))
    write.results = results
    placed = write.dialect.into(text, place) if isinstance(text, str) and not isinstance(text, Term) else None
    if placed is not None:
        write.block.add(placed)
    return placed is not None


@emit.register
def scan(op: Scan, write: Writer, *operands: Term) -> None:
    """Consts are read by their outer names. Carries are Python names that the end of the body sets anew. xs are unbound
    in front of the loop: one node of the tape, not one a step.
    """
    if write.fixed(op.over.size) == 0:
        _nothing(op, write, tuple(_settled(write, operand) for operand in operands))
        return
    loop = _Loop(op, write, write.block, Block(write.block.depth + 1), write.names.fresh("i"), write.results)
    before, slots = dict(write.terms), write.slots
    write.block = loop.inner
    loop.enter(operands)
    loop.open()
    loop.body()
    carried = loop.leave()
    write.block, write.terms, write.slots = loop.outer, before, slots
    loop.close(carried)


@dataclass
class _Stack:
    """A stack of the loop. `lagged`: one place longer, since it keeps the old value of a carry whose new value goes next to it.
    `ring`: of many samples it has two places, which take turns. `within`: the lagged stack that has the values of this one as well,
    one place on.
    """

    name: str
    value: Value
    result: Value
    place: int
    slot: str = ""
    lagged: bool = False
    ring: bool = False
    within: str = ""


@dataclass
class _Loop:
    op: Scan
    write: Writer
    outer: Block
    inner: Block
    step: str
    results: tuple[Value, ...]
    stacks: list[_Stack] = field(default_factory=list[_Stack])
    sums: list[str] = field(default_factory=list[str])
    deferred: dict[str, Line] = field(default_factory=dict[str, Line])
    updated: dict[str, Line] = field(default_factory=dict[str, Line])
    arrays: dict[str, str] = field(default_factory=dict[str, str])
    many: str = ""
    behind: dict[str, tuple[Line, ...]] = field(default_factory=dict[str, tuple[Line, ...]])
    pending: dict[str, tuple[Pending, str]] = field(default_factory=dict[str, tuple[Pending, str]])
    products: list[str] = field(default_factory=list[str])
    frames: dict[str, Term] = field(default_factory=dict[str, Term])

    def enter(self, operands: tuple[Term, ...]) -> None:
        """Gives the body's inputs their names: consts, carries, one frame of each x."""
        op, write = self.op, self.write
        consts, carry, xs = op.split(operands)
        inputs = op.split(op.body.inputs)
        for value, term in zip(inputs[0], consts, strict=True):
            write.bind(value, write.same(term, value.type))
        self.updated = _rings(op) if write.records else {**_updates(op), **_rings(op)}
        following = op.divide(op.body.outputs)[0]
        starts = [write.array(term) if not isinstance(term, Pending) else term for term in carry]
        for value, start, new in zip(inputs[1], starts, following, strict=True):
            own = ".clone()" if new.name in self.updated else ""
            name = write.declare(value)
            if isinstance(start, Pending):
                self.pending[value.name] = start, own
            else:
                self.outer.add(f"{name} = {start}{own}")
        for value, term in zip(inputs[2], xs, strict=True):
            self.frames[value.name] = term
            frames = write.names.fresh(f"{term}_frames")
            self.outer.add(f"{frames} = {term}.unbind({term.axes.index(op.over.name)})")
            write.assign(value, f"{frames}[{self.step}]")

    def open(self) -> None:
        """The empty stacks and sums, in front of the loop."""
        op, write = self.op, self.write
        _, stacked, summed = op.divide(op.body.outputs)
        _, stack_results, sum_results = op.divide(self.results)
        for value, result in zip(stacked, stack_results, strict=True):
            name = write.names.fresh(f"{identifier(value.name)}_stack")
            self.stacks.append(_Stack(name, value, result, write.axes(result.type).index(op.over.name)))
        if isinstance(op, Gathered):
            self.behind = dict(op.behind)
            self.many = write.names.fresh("many")
            self.outer.add(f"{self.many} = {write.helper('in_steps')}({self._count(summed)})")
        if write.records:
            for stack in self.stacks:
                self.outer.add(f"{stack.name} = []")
        else:
            self._allocate()
        for name, (pending, own) in self.pending.items():
            made = self._outside(_settled, pending)
            self.outer.add(f"{write.terms[name]} = {write.array(made)}{own}")
        for value, result in zip(summed, sum_results, strict=True):
            self.sums.append(write.names.fresh(f"{identifier(value.name)}_sum"))
            self.outer.add(f"{self.sums[-1]} = {_new(write, 'zeros', result)}")
        if self.behind:
            self._products_within()

    def _outside(self, make: Callable[..., T], *arguments: object) -> T:
        """Writes in front of the loop."""
        write = self.write
        before, slots, write.block, write.slots = write.block, write.slots, self.outer, {}
        made = make(write, *arguments)
        write.block, write.slots = before, slots
        return made

    def _products_within(self) -> None:
        """Many samples: the factors of each step, ready to be multiplied."""
        op, write, outer = self.op, self.write, self.outer
        made = {line.results[0].name: line for line in op.body.body}
        outer.add(f"if {self.many}:")
        with self._deeper(outer) as block:
            whole: dict[str, tuple[Term, str]] = {}
            for name, value in zip(self.sums, op.divide(op.body.outputs)[2], strict=True):
                if value.name not in self.behind:
                    continue
                line, axes = made[value.name], write.axes(value.type)
                assert isinstance(line.op, linear.Contract)
                over, (a, b) = line.op.over, line.operands
                left, right = (a, b) if orientation(a.type, b.type, over, axes) else (b, a)
                rows = [axis for axis in axes if left.type.has(axis)]
                columns = [axis for axis in axes if axis not in rows]
                lead = rows[:-1]
                (first, i), (second, j) = self._whole(left, made, whole), self._whole(right, made, whole)
                first = arranged(write, first, [op.over.name, *rows, *over])
                second = arranged(write, second, [op.over.name, *lead, *over, *columns])
                total, x, y = (write.names.fresh(f"{name}_{part}") for part in ("total", "left", "right"))
                block.add(
                    f"{total}, {x}, {y} = {write.helper('paired')}({name}, {first}, {second}, {write.size(op.over.size)})"
                )
                self.products.append(f"{total}.baddbmm_({x}[{i}], {y}[{j}])")
        outer.lines += block.lines

    def _whole(self, value: Value, made: dict[str, Line], known: dict[str, tuple[Term, str]]) -> tuple[Term, str]:
        """What has a value of each step, and the place of the present one in it."""
        if value.name in known:
            return known[value.name]
        over, write = self.op.over, self.write
        stack = next((stack for stack in self.stacks if stack.value.name == value.name), None)
        if value.name in self.frames:
            x = self.frames[value.name]
            found = Term.of(x, x.type, x.axes, write.block), self.step
        elif stack is not None:
            size = Size.of(2) if stack.ring else over.size
            type_ = value.type.with_axes((*value.type.axes, replace(over, size=size)))
            later = stack.lagged if self.op.reverse else stack.within
            place = f"{self.step} + 1" if later else self.step
            found = Term.of(stack.within or stack.name, type_, write.axes(type_), write.block), place
        else:
            line = made[value.name]
            term, place = self._whole(line.operands[0], made, known)
            source = Value(write.names.fresh(line.operands[0].name), term.type)
            (type_,) = line.op.rule(term.type)
            result = Value(write.names.fresh(value.name), type_)
            write.bind(source, term)
            write.line(Line((result,), line.op, (source,), line.span))
            found = write.term(result), place
        known[value.name] = found
        return found

    def _count(self, summed: Sequence[Value]) -> str:
        """How many numbers a step multiplies at most, of a factor of one of the sums."""
        made = {line.results[0].name: line for line in self.op.body.body}
        factors = [x.type for value in summed if value.name in self.behind for x in made[value.name].operands]
        counts = list(dict.fromkeys(self._product(type_) for type_ in factors))
        return counts[0] if len(counts) == 1 else f"max({', '.join(counts)})"

    def _product(self, type_: Type) -> str:
        sizes = [self.write.fixed(axis.size) for axis in type_.axes]
        known = prod(size for size in sizes if size is not None)
        open_ = [self.write.size(axis.size) for axis, size in zip(type_.axes, sizes, strict=True) if size is None]
        return " * ".join([str(known), *(f"({text})" if " " in text else text for text in sorted(open_))])

    def _allocate(self) -> None:
        op, write = self.op, self.write
        made = {result.name for line in op.body.body for result in line.results}
        following = dict(zip((v.name for v in op.split(op.body.inputs)[1]), op.divide(op.body.outputs)[0], strict=True))
        write.slots = {}
        self._lag(made, following)
        for stack in self.stacks:
            new = following.get(stack.value.name)
            if stack.within:
                continue
            places = f"{write.size(op.over.size)}"
            if stack.lagged:
                places = str(int(places) + 1) if places.isdecimal() else f"{places} + 1"
            turns = ""
            if stack.ring:
                turns = f" * ({places} if {self.many} else 1)"
                places = f"2 if {self.many} else {places}"
            self.outer.add(f"{stack.name} = {_new(write, 'empty', stack.result, op.over.name, places)}")
            slots = write.names.fresh(f"{stack.name}_slots")
            self.outer.add(f"{slots} = {stack.name}.unbind({stack.place}){turns}")
            stack.slot = f"{slots}[{self.step}]"
            if stack.lagged and new is not None:
                first = write.size(op.over.size) if op.reverse else "0"
                if stack.value.name in self.pending:
                    pending, _ = self.pending.pop(stack.value.name)
                    self._outside(_placed, pending, f"{slots}[{first}]")
                    self.outer.add(f"{write.term(stack.value)} = {slots}[{first}]")
                else:
                    self.outer.add(f"{slots}[{first}].copy_({write.term(stack.value)})")
                stack.slot = f"{slots}[{self.step}]" if op.reverse else f"{slots}[{self.step} + 1]"
                write.slots[new.name] = stack.slot
            elif stack.value.name in made and stack.value.name not in write.slots:
                write.slots[stack.value.name] = stack.slot

    def _lag(self, made: set[str], following: dict[str, Value]) -> None:
        """Which stacks keep a carry's old values next to its new ones, and which are found in those."""
        rings = self.op.rings if isinstance(self.op, Gathered) else ()
        lagged: dict[str, _Stack] = {}
        for stack in self.stacks:
            new = following.get(stack.value.name)
            if new is not None and new.name in made and new.name not in lagged:
                stack.lagged = True
                stack.ring = stack.value.name in rings
                lagged[new.name] = stack
        for stack in self.stacks:
            base = lagged.get(stack.value.name)
            if base is not None and not base.ring and base is not stack:
                stack.within = base.name

    def body(self) -> None:
        """The lines of the body, but those that only give the term of a sum: that is added where it belongs."""
        op, write = self.op, self.write
        if not write.records:
            made = {result.name: line for line in op.body.body for result in line.results}
            read = [operand.name for line in op.body.body for operand in line.operands]
            read += [value.name for value in op.body.outputs]
            for value in op.divide(op.body.outputs)[2]:
                line = made.get(value.name)
                if line is not None and read.count(value.name) == 1 and parts_of(line, write) is not None:
                    self.deferred[value.name] = line
            self._reuse()
        alone = self._lines_of_products()
        for line in op.body.body:
            if line.results[0].name not in self.deferred and line not in alone:
                write.line(self.updated.get(line.results[0].name, line))
        for name, array in self.arrays.items():
            if name in write.filled:
                self.outer.add(f"{array} = {_new(write, 'empty', self._value(name))}")

    def _lines_of_products(self) -> list[Line]:
        """The lines that only the sums read which may be made behind the loop."""
        outputs = [value for value in self.op.body.outputs if value.name not in self.behind]
        read = live(self.op.body.body, outputs)
        return [line for line in self.op.body.body if line not in read and line.results[0].name not in self.behind]

    def _reuse(self) -> None:
        """One array for each value that lives within a step: neither carried nor a view that is."""
        op, write = self.op, self.write
        leaving = {value.name for value in op.divide(op.body.outputs)[0]}
        for line in reversed(op.body.body):
            if line.results[0].name in leaving and isinstance(line.op, VIEWS):
                leaving.update(operand.name for operand in line.operands)
        for line in op.body.body:
            name = line.results[0].name
            if len(line.results) == 1 and name not in leaving and name not in write.slots and line.result.type.axes:
                self.arrays[name] = write.slots[name] = write.names.fresh(f"{identifier(name)}_array")
        self._overwrite()

    def _overwrite(self) -> None:
        """What a squashing function reads, and nothing else does, is made where its result goes: an array less to go through."""
        op, write = self.op, self.write
        made = {line.results[0].name: line for line in op.body.body}
        read = [operand.name for line in op.body.body for operand in line.operands]
        read += [value.name for value in op.body.outputs]
        for line in reversed(op.body.body):
            if not isinstance(line.op, _SQUASHING) or line.result.name not in write.slots:
                continue
            x = line.operands[0]
            if (
                x.name in self.arrays
                and x.name in made
                and read.count(x.name) == 1
                and x.type.names == line.result.type.names
            ):
                del self.arrays[x.name]
                write.slots[x.name] = write.slots[line.result.name]

    def _value(self, name: str) -> Value:
        return next(value for line in self.op.body.body for value in line.results if value.name == name)

    def leave(self) -> list[str]:
        """The end of the body. Stacks and sums take their values before the carries move on."""
        op, write, inner = self.op, self.write, self.inner
        carry, _, summed = op.divide(op.body.outputs)
        following = dict(zip((v.name for v in op.split(op.body.inputs)[1]), carry, strict=True))
        for stack in self.stacks:
            if stack.within:
                continue
            wanted = following[stack.value.name] if stack.lagged else stack.value
            if write.records:
                inner.add(f"{stack.name}.append({write.array(write.term(wanted))})")
            elif wanted.name not in write.filled or write.slots.get(wanted.name) != stack.slot:
                inner.add(f"{stack.slot}.copy_({write.array(write.term(wanted))})")
        for name, value in zip(self.sums, summed, strict=True):
            if value.name not in self.behind:
                self._add(name, value)
        if self.products:
            inner.add(f"if {self.many}:")
            inner.lines += [(inner.depth + 1, text, "") for text in self.products]
        carried = [str(write.term(value)) for value in op.split(op.body.inputs)[1]]
        new = [write.array(write.term(value)) for value in carry]
        moved = [(name, term) for name, term in zip(carried, new, strict=True) if name != term]
        if moved:
            inner.add(f"{', '.join(name for name, _ in moved)} = {', '.join(term for _, term in moved)}")
        return carried

    @contextmanager
    def _deeper(self, block: Block) -> Generator[Block]:
        """Writes into a block within another. Its names end with it, and views that it needs are made in it."""
        write, terms, before = self.write, self.write.terms, self.write.block
        write.block = Block(block.depth + 1)
        write.terms = {
            name: Term.of(term, term.type, term.axes, write.block, term.literal) if term.block is block else term
            for name, term in terms.items()
        }
        try:
            yield write.block
        finally:
            write.block, write.terms = before, terms

    def _add(self, name: str, value: Value) -> None:
        write, inner = self.write, self.inner
        if value.name in self.deferred:
            line = self.deferred[value.name]
            axes = write.axes(value.type)
            operands = [write.term(operand) for operand in line.operands]
            text = name
            for part in parts_of(line, write) or ():
                text += added(write, part, operands[: part.width], axes)
                operands = operands[part.width :]
            inner.add(text, margin(value.type, axes))
            return
        term = write.array(write.term(value))
        inner.add(f"{name} = {name} + {term}" if write.records else f"{name} += {term}")

    def close(self, carried: list[str]) -> None:
        """The loop itself, and its results under their names."""
        op, write, outer = self.op, self.write, self.outer
        length = write.size(op.over.size)
        outer.add(
            f"for {self.step} in {f'reversed(range({length}))' if op.reverse else f'range({length})'}:", op.over.name
        )
        outer.lines += self.inner.lines or [(self.inner.depth, "pass", "")]
        carry, _, summed = op.divide(self.results)
        for value, name in (*zip(carry, carried, strict=True), *zip(summed, self.sums, strict=True)):
            write.bind(value, Term.of(name, value.type, write.axes(value.type), outer))
        for stack in sorted(self.stacks, key=lambda stack: not stack.within):  # before what they are in is cut
            axes = write.axes(stack.result.type)
            note = margin(stack.result.type, axes)
            if stack.within:
                outer.add(f"{stack.name} = {self._narrow(stack)}", note)
            elif write.records:
                frames = f"{stack.name}[::-1]" if op.reverse else stack.name
                outer.add(f"{stack.name} = torch.stack({frames}, dim={stack.place})", note)
            elif stack.lagged and not stack.ring:
                outer.add(f"{stack.name} = {self._narrow(stack)}", note)
            write.bind(stack.result, Term.of(stack.name, stack.result.type, axes, outer))
        if self.behind:
            self._products_behind()

    def _narrow(self, stack: _Stack) -> str:
        """The stack without the place that a lagged one has more: of its old values the first, of the new ones the last."""
        length = self.write.size(self.op.over.size)
        start = self.op.reverse != bool(stack.within)
        return f"{stack.within or stack.name}.narrow({stack.place}, {int(start)}, {length})"

    def _products_behind(self) -> None:
        """Few samples: the sums of products, from the stacks."""
        op, write, outer = self.op, self.write, self.outer
        outer.add(f"if not {self.many}:")
        with self._deeper(outer) as block:
            for stack in self.stacks:
                if stack.ring:
                    axes = write.axes(stack.result.type)
                    block.add(f"{stack.name} = {self._narrow(stack)}", margin(stack.result.type, axes))
                    write.bind(stack.result, Term.of(stack.name, stack.result.type, axes, block))
            for name, value in zip(self.sums, op.divide(op.body.outputs)[2], strict=True):
                if value.name in self.behind:
                    lines = self.behind[value.name]
                    write.lines(lines)
                    block.add(f"{name} = {write.array(write.term(lines[-1].result))}")
        outer.lines += block.lines


# Operations that go through their first operand place by place, and may write where they read.
_SQUASHING = (arith.Tanh, arith.Sigmoid, arith.Exp, arith.Relu, TanhBackward, SigmoidBackward)


def _updates(op: Scan) -> dict[str, Line]:
    """The lines that give the next value of a carry as its old one and something, where nothing reads the old one later: by result."""
    carry, _, summed = op.divide(op.body.outputs)
    late = {value.name for value in summed}  # what only gives a term of a sum is written at the end of the step
    entering = op.split(op.body.inputs)[1]
    kept = {value.name for value in op.body.outputs}
    found: dict[str, Line] = {}
    for old, new in zip(entering, carry, strict=True):
        readers = [line for line in op.body.body if any(operand.name == old.name for operand in line.operands)]
        last = readers[-1] if readers else None
        if last is None or last.results != (new,) or old.name in kept or not isinstance(last.op, Terms):
            continue
        if any(isinstance(line.op, VIEWS) or line.results[0].name in late for line in readers):
            continue
        if [each.name for each in op.body.outputs].count(new.name) > 1:
            continue
        update = _update(last, last.op, old)
        if update is not None:
            found[new.name] = update
    return found


def _rings(op: Scan) -> dict[str, Line]:
    """The lines that deliver into a carry, and clear its places before, by result."""
    found: dict[str, Line] = {}
    for old, new in zip(op.split(op.body.inputs)[1], op.divide(op.body.outputs)[0], strict=True):
        lines = _written_into(op, old, new)
        if any(isinstance(line.op, Within) and isinstance(line.op.op, events.Deliver) for line in lines.values()):
            found |= lines
    return found


def _written_into(op: Scan, old: Value, new: Value) -> dict[str, Line]:
    """Lines that one after the other change places of a carry, from its old value to its next, where only a copy is taken of either."""
    given = [value.name for value in op.body.outputs]
    found: dict[str, Line] = {}
    value = old
    while value.name != new.name:
        readers = [line for line in op.body.body if any(operand.name == value.name for operand in line.operands)]
        if len(readers) != 1 or value.name in given:
            return {}
        (line,) = readers
        place = 0 if isinstance(line.op, indexing.Put) else 4 if isinstance(line.op, events.Deliver) else None
        if place is None or [operand.name for operand in line.operands].index(value.name) != place:
            return {}
        if [operand.name for operand in line.operands].count(value.name) > 1:
            return {}
        found[line.result.name] = replace(line, op=Within(line.op))
        value = line.result
    copied = all(
        isinstance(line.op, indexing.Gather)
        for line in op.body.body
        if any(operand.name == new.name for operand in line.operands)
    )
    return found if copied and given.count(new.name) == 1 else {}


def _update(line: Line, op: Terms, old: Value) -> Line | None:
    parts: list[Part] = []
    operands: list[Value] = []
    rest = list(line.operands)
    times = 0
    for part in op.parts:
        mine, rest = rest[: part.width], rest[part.width :]
        if part == Part("plain") and mine == [old] and old.type.names == line.result.type.names:
            times += 1
        elif old in mine:
            return None
        else:
            parts.append(part)
            operands += mine
    return replace(line, op=Update(tuple(parts)), operands=(old, *operands)) if times == 1 and parts else None


def parts_of(line: Line, write: Writer) -> tuple[Part, ...] | None:
    """The line as terms that can be added to an array in place."""
    match line.op:
        case Terms(parts):
            return parts
        case arith.Mul():
            return (Part("product"),)
        case linear.Contract(over) if is_matrix_product(line, write.layout):
            return (Part("matrix", 1.0, over),)
        case _:
            return None


def _new(write: Writer, how: str, value: Value, axis: str = "", places: str = "") -> str:
    """An array for the value, along `axis` with that many places."""
    sizes = [places if name == axis else write.size(value.type.axis(name).size) for name in write.axes(value.type)]
    shape = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
    if how == "empty":
        write.program.helper("lent")
        return f"lent({shape}, {dtype(value.type)})"
    return f"torch.{how}({shape}, dtype={dtype(value.type)}, device=DEVICE)"


def _nothing(op: Scan, write: Writer, operands: tuple[Term, ...]) -> None:
    """A loop of no step: the carry as it came, stacks without a frame, sums of nothing."""
    results = write.results
    _, carry, _ = op.split(operands)
    for value, term in zip(results, carry, strict=False):
        write.bind(value, term)
    for value in results[op.carry :]:
        write.assign(value, _new(write, "zeros", value))
