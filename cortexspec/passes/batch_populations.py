"""Populations of one neuron type become one array: their states are joined end to end along a fresh axis, and so are the
lines that do the same to each of them.

    v_ss, v_ii in the carry                             v = concat(v_ss, v_ii) in the carry
    r_ss = sigmoid(v_ss*R_ss); r_ii = sigmoid(v_ii*R_ii)    r = sigmoid(v*R); r_ss, r_ii = slices of r where they are read
    u_ss = ...; u_ii = ... (lines that differ)          u = concat(u_ss, u_ii): extract-linear-part takes it on from there

Equations of one neuron type are alike, so the number of operations a step does not grow with the populations, apart from
what arrives at them. Parameters are joined as well, in lines that `hoist` moves in front of the loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from heapq import heapify, heappop, heappush
from math import prod

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, State, Value
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Expand, Slice
from cortexspec.passes.families import Key, Packs, find_family, replaced
from cortexspec.passes.joiner import Joiner
from cortexspec.passes.loop import Carry, Fed, Given, Loop, loop_of, renamed


def batch_populations(function: Function, states: Sequence[State]) -> Function:
    """`states` (of the module) say which carries are of one kind."""
    names = Names.of(function)
    return replace(function, body=_batched(function.body, {state.value.name: state for state in states}, names))


def has_single_neurons(function: Function, states: Sequence[State], sizes: Mapping[str, int]) -> bool:
    """Whether populations of one neuron each would become one array, and have more than one instance as far as `sizes` say."""
    by_name, names = {state.value.name: state for state in states}, Names.of(function)
    loops = (loop_of(line) for line in function.body if isinstance(line.op, Scan))
    families = (family for loop in loops if (family := find_family(loop, by_name, names)) is not None)
    return any(
        all(axis.size.fixed == 1 for axis in family.axes)
        and any(_places(carry.inside, sizes) != 1 for pack in family.packs for carry in pack)
        for family in families
    )


def _places(value: Value, sizes: Mapping[str, int]) -> int | None:
    """How many elements lie along the axes, samples left out; None where that is not known."""
    found = [axis.size.bind(sizes).fixed for axis in value.type.axes if axis.role != "sample"]
    return None if None in found else prod(size for size in found if size is not None)


def _batched(lines: tuple[Line, ...], states: Mapping[str, State], names: Names) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if not isinstance(line.op, Scan):
            done.append(line)
            continue
        loop = loop_of(line)
        loop = replace(loop, lines=_batched(loop.lines, states, names))
        before, after = Builder(names), Builder(names)
        before.span = after.span = line.span
        while (family := find_family(loop, states, names)) is not None:
            loop = _Writing(Packs(loop, family), before, after).loop()
        done += [*before.lines, loop.line(), *after.lines]
    return tuple(done)


class _Writing:
    """Writes a loop again with packs for lines that are alike, and slices where single members are read."""

    def __init__(self, packs: Packs, before: Builder, after: Builder):
        self.packs, self.family, self.old = packs, packs.family, packs.loop
        self.before, self.after = before, after
        self.build = Builder(before.names)
        self.joiner = Joiner(self.build, packs.made, self.family.axes, self.family.axis)
        self.whole: dict[Key, Value] = {}
        self.single: dict[str, Value] = {}
        self.streamed: list[Fed] = []

    def loop(self) -> Loop:
        carries = [self.enter(pack) for pack in self.family.packs]
        gone = {name for key in self.packs.carried for name in key}
        rest = [carry for carry in self.old.carries if carry.inside.name not in gone]
        nexts = [tuple(carry.next for carry in pack) for pack in self.family.packs]
        singles = [carry.next for carry in rest] + [given.inside for given in (*self.old.stacks, *self.old.sums)]
        for node in self.order(nexts, singles):
            self.write(node)
        stacked = self.stacks()
        carries = [
            replace(carry, next=self.spread(self.column(pack))) for carry, pack in zip(carries, nexts, strict=True)
        ]
        loop = replace(
            self.old,
            carries=(*carries, *(replace(carry, next=self.one(carry.next)) for carry in rest)),
            stacks=stacked,
            sums=tuple(replace(given, inside=self.one(given.inside)) for given in self.old.sums),
        )
        fed = {each.inside.name for each in loop.xs}
        read = {operand.name for line in self.build.lines for operand in line.operands}
        read |= {value.name for value in loop.outputs}
        xs = tuple(
            each for each in (*loop.xs, *self.streamed) if each.inside.name in read or each.inside.name not in fed
        )
        return replace(loop, xs=xs, lines=tuple(self.build.lines))

    # The order of the new lines

    def order(self, nexts: Sequence[Sequence[Value]], singles: Sequence[Value]) -> list[Key]:
        """What the new body computes, each after what it reads: packs, and single lines as packs of one.

        Members of a pack that wait for each other, directly or through other packs, cannot be one line: such packs are
        taken apart, one at a time.
        """
        while True:
            reads = self.reads([value.name for pack in nexts for value in pack] + [value.name for value in singles])
            done, stuck = self.in_order(reads)
            if not stuck:
                return done
            self.packs.ban(self.circular(stuck, reads))

    def reads(self, names: Sequence[str]) -> dict[Key, set[Key]]:
        found: dict[Key, set[Key]] = {}
        queue = [self.node(name) for name in names]
        while queue:
            node = queue.pop()
            if node is None or node in found:
                continue
            lines = [self.packs.made[name] for name in node]
            nodes = {self.node(operand.name) for line in lines for operand in line.operands}
            found[node] = {each for each in nodes if each is not None}
            queue += found[node]
        return found

    def node(self, name: str) -> Key | None:
        """Nothing for what enters the body."""
        if name not in self.packs.made:
            return None
        return self.packs.of.get(name) or (self.packs.made[name].results[0].name,)

    def in_order(self, reads: Mapping[Key, set[Key]]) -> tuple[list[Key], list[Key]]:
        """The nodes in the order of the old lines as far as what they read allows, and those in a circle."""
        place = {result.name: i for i, line in enumerate(self.old.lines) for result in line.results}
        waits = {node: len(needed) for node, needed in reads.items()}
        readers: dict[Key, list[Key]] = {}
        for node, needed in reads.items():
            for each in needed:
                readers.setdefault(each, []).append(node)
        ready = [(max(place[name] for name in node), node) for node, count in waits.items() if not count]
        heapify(ready)
        done: list[Key] = []
        while ready:
            node = heappop(ready)[1]
            done.append(node)
            for reader in readers.get(node, ()):
                waits[reader] -= 1
                if not waits[reader]:
                    heappush(ready, (max(place[name] for name in reader), reader))
        return done, [node for node, count in waits.items() if count]

    def circular(self, stuck: Sequence[Key], reads: Mapping[Key, set[Key]]) -> Key:
        """A pack in a circle: every stuck node reads a stuck one, so following them leads into it."""
        path = [stuck[0]]
        while (node := next(each for each in sorted(reads[path[-1]]) if each in set(stuck))) not in path:
            path.append(node)
        return next(key for key in path[path.index(node) :] if len(key) > 1)

    # The new lines

    def write(self, node: Key) -> None:
        line = self.packs.made[node[0]]
        self.build.span = line.span
        if len(node) == 1:
            self.build.lines.append(renamed(line, {value.name: self.one(value) for value in line.operands}))
            return
        operands = [self.column(column) for column in self.packs.columns(node)]
        self.whole[node] = self.build.one(line.op, *operands, hint=self.stem(node))

    def column(self, values: Sequence[Value]) -> Value:
        """The members of a pack as one array."""
        if self.joiner.shared(values):
            return self.one(values[0])
        key = tuple(value.name for value in values)
        if key in self.packs.streamed and key not in self.whole:
            self.whole[key] = self.stream(values)
        if key not in self.whole:
            unchanging = all(value.name in self.packs.fixed for value in values)
            join = self.joiner.join if unchanging else self.joiner.concat
            self.whole[key] = join([self.one(value) for value in values], self.stem(key))
        return self.whole[key]

    def one(self, value: Value) -> Value:
        """A value by itself: a slice where it is a member of a pack."""
        key = self.packs.of.get(value.name)
        if key not in self.whole:
            return value
        if value.name not in self.single:
            self.single[value.name] = self.build.one(self.cut(key.index(value.name)), self.whole[key], hint=value.name)
        return self.single[value.name]

    def cut(self, place: int) -> Slice:
        start, axis = self.family.starts[place], self.family.axes[place]
        return Slice(self.family.axis.name, start, start + axis.size, axis)

    def outside(self, values: Sequence[Value], hint: str) -> Value:
        """The values joined in front of the loop."""
        return Joiner(self.before, {}, self.family.axes, self.family.axis).concat(values, hint)

    def spread(self, value: Value) -> Value:
        """A state that is one value for all populations still has a place for each."""
        return value if value.type.has(self.family.axis.name) else self.build.one(Expand((self.family.axis,)), value)

    def stem(self, names: Sequence[str]) -> str:
        """The name of the first without the path of its population: `V.ss.r` is `r`."""
        return names[0].removeprefix(self.family.paths[0] + ".")

    # The border of the loop

    def enter(self, pack: Sequence[Carry]) -> Carry:
        names, label = self.build.names, self.stem([carry.label.removeprefix("carry:") for carry in pack])
        start = self.outside([carry.start for carry in pack], f"{label}_start")
        inside, result = (Value(names.fresh(label), start.type) for _ in range(2))
        self.whole[tuple(carry.inside.name for carry in pack)] = inside
        self.leave([carry.result for carry in pack], result)
        return Carry(start, inside, inside, result, f"carry:{label}")

    def leave(self, results: Sequence[Value], whole: Value) -> None:
        for place, result in enumerate(results):
            self.after.lines.append(Line((result,), self.cut(place), (whole,), self.after.span))

    def stacks(self) -> tuple[Given, ...]:
        """A pack all of whose members are stacked is stacked whole."""
        given = {each.inside.name: each for each in self.old.stacks}
        kept: list[Given] = []
        taken: set[str] = set()
        for each in self.old.stacks:
            key = self.packs.of.get(each.inside.name)
            if key in self.whole and all(name in given for name in key) and len(given) == len(self.old.stacks):
                if each.inside.name not in taken:
                    taken |= set(key)
                    kept.append(self.stack([given[name] for name in key], self.whole[key]))
            else:
                kept.append(replace(each, inside=self.one(each.inside)))
        return tuple(kept)

    def stack(self, members: Sequence[Given], whole: Value) -> Given:
        label = self.stem([each.label.removeprefix("stack:") for each in members])
        result = Value(self.build.names.fresh(label), replaced(self.family, members[0].result.type))
        self.leave([each.result for each in members], result)
        return Given(whole, result, f"stack:{label}")

    def stream(self, values: Sequence[Value]) -> Value:
        """Members that enter step by step are joined outside, over all steps."""
        fed = {each.inside.name: each.outside for each in self.old.xs}
        stem = self.stem([value.name for value in values])
        outside = self.outside([fed[value.name] for value in values], stem)
        inside = Value(self.build.names.fresh(stem), replaced(self.family, values[0].type))
        self.streamed.append(Fed(outside, inside))
        return inside
