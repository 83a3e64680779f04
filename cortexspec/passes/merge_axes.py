"""In a loop, axes that always travel together become one: a state over [V, neuron] is a vector, its matrix over
[V, neuron, V', neuron'] has two axes, and a backend sees one plain matrix product.

Merging and splitting happen at the border of the loop. Inside, what only a recording reads sees the axes split again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Layout, Line, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Elementwise
from cortexspec.ir.ops.constant import Nullary
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.reduce import Reduction
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Expand, Merge, Rename
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.loop import Fed, Loop, loop_of, renamed, renamed_outputs, unchanging

Group = tuple[str, ...]
NO_LAYOUT = Layout()


def merge_axes(function: Function, layout: Layout = NO_LAYOUT) -> Function:
    """Merged axes run in the order of the layout, the last fastest."""
    return replace(function, body=_merged(function.body, layout, Names.of(function)))


def _merged(lines: tuple[Line, ...], layout: Layout, names: Names) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if not isinstance(line.op, Scan):
            done.append(line)
            continue
        loop = loop_of(line)
        loop = replace(loop, lines=_merged(loop.lines, layout, names))
        before, after = Builder(names), Builder(names)
        before.span = after.span = line.span
        core = _Core(loop)
        groups = core.groups(layout)
        if groups:
            loop = _Writing(core, groups, before, after).loop()
        done += [*before.lines, loop.line(), *after.lines]
    return tuple(done)


class _Core:
    """The lines that the next carries depend on. What only recordings and sums read is left to them."""

    def __init__(self, loop: Loop):
        self.loop = loop
        self.fixed = unchanging(loop)
        needed = {carry.next.name for carry in loop.carries}
        for line in reversed(loop.lines):
            if any(result.name in needed for result in line.results):
                needed.update(operand.name for operand in line.operands)
        self.lines = [
            line for line in loop.lines if line.results[0].name in needed and line.results[0].name not in self.fixed
        ]
        self.values = [carry.inside for carry in loop.carries]
        self.values += [fed.inside for fed in loop.xs if fed.inside.name in needed]
        self.values += [result for line in self.lines for result in line.results]

    def groups(self, layout: Layout) -> tuple[Group, ...]:
        """Axes that occur in the same values, where every line takes them all or none of them, and some product runs over them."""
        found = self._together(layout)
        while True:
            wrong = {group for line in self.lines for group in _refused(line, found)}
            if not wrong:
                break
            found = [group for group in found if group not in wrong]
        summed = {name for line in self.lines if isinstance(line.op, Contract) for name in line.op.over}
        return tuple(found) if any(summed.issuperset(group) for group in found) else ()

    def _together(self, layout: Layout) -> list[Group]:
        where: dict[str, frozenset[str]] = {}
        for value in self.values:
            for axis in value.type.axes:
                if axis.role == "plain":
                    where[axis.name] = where.get(axis.name, frozenset()) | {value.name}
        alike: dict[frozenset[str], list[str]] = {}
        for name, values in where.items():
            alike.setdefault(values, []).append(name)
        groups = [layout.sort(tuple(names)) for names in alike.values() if len(names) > 1]
        return _in_one_order(groups, self.lines)


def _in_one_order(groups: Sequence[Group], lines: Iterable[Line]) -> list[Group]:
    """A group that another is renamed to has the order of that one."""
    ordered = {frozenset(group): group for group in groups}
    for line in lines:
        if isinstance(line.op, Rename):
            mapping = dict(line.op.mapping)
            for group in list(ordered.values()):
                image = tuple(mapping.get(name, "") for name in group)
                if frozenset(image) in ordered:
                    ordered[frozenset(image)] = image
    return list(ordered.values())


def _refused(line: Line, groups: Sequence[Group]) -> list[Group]:
    """Groups that the line takes apart."""
    present = {name for value in (*line.operands, *line.results) for name in value.type.names}
    named = _named(line.op)
    if named is None:
        return [group for group in groups if not present.isdisjoint(group)]
    if isinstance(line.op, Rename):
        mapping = dict(line.op.mapping)
        images = {group: tuple(mapping.get(name, name) for name in group) for group in groups if named & set(group)}
        wrong = [group for group, image in images.items() if image not in groups]
        new = set(mapping.values())
        return wrong + [group for group in groups if new & set(group) and group not in images.values()]
    return [group for group in groups if 0 < len(named.intersection(group)) < len(group)]


def _named(op: Op) -> frozenset[str] | None:
    """The axes that the operation names; None where it may do anything with its axes."""
    match op:
        case Elementwise():
            return frozenset()
        case Reduction(over=over) | Contract(over=over):
            return frozenset(over)
        case Rename(mapping=mapping):
            return frozenset(old for old, _ in mapping)
        case Expand(axes=axes):
            return frozenset(axis.name for axis in axes)
        case _:
            return None


class _Writing:
    """Writes the loop again with merged axes."""

    def __init__(self, core: _Core, groups: Sequence[Group], before: Builder, after: Builder):
        self.core, self.groups, self.before, self.after = core, groups, before, after
        self.build = Builder(before.names)
        self.sizes = {axis.name: axis for value in core.values for axis in value.type.axes}
        self.axes = {group: self.axis(group) for group in groups}
        self.merged: dict[str, Value] = {}
        self.split: dict[str, Value] = {}

    def axis(self, group: Group) -> Axis:
        size = reduce(lambda total, name: total * self.sizes[name].size, group, Size.of(1))
        stem = "_".join(name.partition("~")[0] for name in group)
        return Axis(self.before.names.fresh_axis(stem), size)

    def loop(self) -> Loop:
        old, core = self.core.loop, {line.results[0].name for line in self.core.lines}
        carries = [
            replace(carry, start=self.together(self.before, carry.start), inside=self.inside(carry.inside))
            for carry in old.carries
        ]
        xs = [replace(fed, inside=fed.inside) for fed in old.xs]
        streamed = self.streamed()
        for line in old.lines:
            self.build.span = line.span
            if line.results[0].name in core:
                self.write(line)
            else:
                apart = {value.name: self.apart(value) for value in line.operands if value.name in self.merged}
                self.build.lines.append(renamed(line, apart))
        self.build.span = old.span
        ends = [self.value(carry.next) for carry in old.carries]
        given = {each.inside.name: self.apart(each.inside) for each in (*old.stacks, *old.sums)}
        results = [Value(self.build.names.fresh(c.result.name), end.type) for c, end in zip(carries, ends, strict=True)]
        for carry, result in zip(old.carries, results, strict=True):
            self.leave(carry.result, result)
        loop = replace(
            renamed_outputs(replace(old, carries=()), given),
            carries=tuple(
                replace(carry, next=end, result=result if result.type != carry.result.type else carry.result)
                for carry, end, result in zip(carries, ends, results, strict=True)
            ),
            xs=(*xs, *streamed),
        )
        return replace(loop, lines=tuple(self.build.lines))

    def write(self, line: Line) -> None:
        if isinstance(line.op, Nullary) or not any(self.has(value.type) for value in (*line.operands, *line.results)):
            # An operand may be a product over merged axes, which has another name now.
            self.build.lines.append(renamed(line, self.merged))
            return
        operands = [self.value(operand) for operand in line.operands]
        result = self.build.one(self.op(line.op), *operands, hint=line.result.name)
        self.merged[line.result.name] = result

    def op(self, op: Op) -> Op:
        match op:
            case Contract(over=over):
                return Contract(self.names(over))
            case Reduction(over=over):
                entry: Any = op
                return replace(entry, over=self.names(over))
            case Expand(axes=axes):
                have = {axis.name: axis for axis in (*axes, *self.axes.values())}
                return Expand(tuple(have[name] for name in self.names(tuple(axis.name for axis in axes))))
            case Rename(mapping=mapping):
                return Rename(self.mapping(dict(mapping)))
            case _:
                return op

    def names(self, names: Sequence[str]) -> tuple[str, ...]:
        """The names with each group as its merged axis."""
        inside = {name: self.axes[group].name for group in self.groups for name in group}
        return tuple(dict.fromkeys(inside.get(name, name) for name in names))

    def mapping(self, mapping: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
        pairs: dict[str, str] = {}
        for group in self.groups:
            image = tuple(mapping.get(name, name) for name in group)
            if image != group and group[0] in mapping:
                pairs[self.axes[group].name] = self.axes[image].name
        rest = {old: new for old, new in mapping.items() if not any(old in group for group in self.groups)}
        return tuple({**pairs, **rest}.items())

    def has(self, type_: Type) -> bool:
        return any(type_.has(name) for group in self.groups for name in group)

    # Values on both sides

    def value(self, value: Value) -> Value:
        """The value as core lines read it."""
        if value.name not in self.merged:
            self.merged[value.name] = self.together(self.build, value)
        return self.merged[value.name]

    def together(self, build: Builder, value: Value) -> Value:
        """Merged; what lies along a part of a group is spread along the rest first."""
        stem = value.name
        for group in self.groups:
            if any(value.type.has(name) for name in group):
                missing = [self.sizes[name] for name in group if not value.type.has(name)]
                value = build.one(Merge(group, self.axes[group]), write.expand(build, value, missing), hint=stem)
        return value

    def apart(self, value: Value) -> Value:
        """The value with its own axes again."""
        if value.name not in self.merged or value.name in self.core.fixed:
            return value
        if value.name not in self.split:
            self.split[value.name] = self.separate(self.build, self.merged[value.name])
        return self.split[value.name]

    def separate(self, build: Builder, value: Value) -> Value:
        for group, axis in self.axes.items():
            if value.type.has(axis.name):
                value = write.split(build, value, axis.name, [self.sizes[name] for name in group])
        return value

    def inside(self, value: Value) -> Value:
        inside = Value(self.build.names.fresh(value.name), self.type(value.type))
        self.merged[value.name] = inside if inside.type != value.type else value
        return self.merged[value.name]

    def type(self, type_: Type) -> Type:
        have = {axis.name: axis for axis in (*type_.axes, *self.axes.values())}
        return type_.with_axes(have[name] for name in self.names(tuple(axis.name for axis in type_.axes)))

    def leave(self, wanted: Value, merged: Value) -> None:
        """The result of the loop under its old name, with its old axes."""
        if wanted.type != merged.type:
            value = self.separate(self.after, merged)
            self.after.lines[-1] = replace(self.after.lines[-1], results=(wanted,))
            assert value.type == wanted.type

    def streamed(self) -> list[Fed]:
        """Streamed values that core lines read come in merged as well."""
        read = {operand.name for line in self.core.lines for operand in line.operands}
        added: list[Fed] = []
        for fed in self.core.loop.xs:
            if fed.inside.name in read and self.has(fed.inside.type):
                outside = self.together(self.before, fed.outside)
                inside = Value(self.build.names.fresh(fed.inside.name), self.type(fed.inside.type))
                self.merged[fed.inside.name] = inside
                added.append(Fed(outside, inside))
        return added
