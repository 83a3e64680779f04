"""Which carries of a loop are populations of one kind, and which lines of its body do the same to each of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate

from cortexspec.ir.builder import Names
from cortexspec.ir.module import Line, State, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops.arith import Elementwise
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.reduce import Reduction
from cortexspec.ir.ops.shape import Expand, Rename
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.passes.loop import Carry, Loop, made_by, unchanging

Key = tuple[str, ...]  # the names of a pack's members, in the order of the populations


@dataclass(frozen=True, slots=True)
class Family:
    """Populations of one neuron type. `packs` has, a variable, the carries in the order of `axes`, their neuron axes."""

    axis: Axis
    axes: tuple[Axis, ...]
    paths: tuple[str, ...]
    packs: tuple[tuple[Carry, ...], ...]

    @property
    def starts(self) -> tuple[Size, ...]:
        """Where each population begins along the joined axis."""
        return tuple(accumulate((axis.size for axis in self.axes[:-1]), initial=Size.of(0)))

    def places(self, type_: Type) -> tuple[int, ...]:
        """Which populations' axes the type has."""
        return tuple(place for place, axis in enumerate(self.axes) if type_.has(axis.name))

    def shape(self, type_: Type) -> tuple[object, ...]:
        """What members of a pack have in common: all but the populations' own axes."""
        return (*type_.without(axis.name for axis in self.axes), type_.dtype, type_.unit)


def find_family(loop: Loop, states: Mapping[str, State], names: Names) -> Family | None:
    """The first group of at least two populations with the same neuron type, variables and other axes.

    `states` by name; a carry says in its label, `carry:NAME`, which one it is.
    """
    variables: dict[tuple[str, str], dict[str, Carry]] = {}
    for carry in loop.carries:
        state = states.get(carry.label.removeprefix("carry:"))
        if state is not None and state.neuron:
            variables.setdefault((state.neuron, state.population), {})[state.variable] = carry
    alike: dict[tuple[object, ...], list[tuple[str, Axis, dict[str, Carry]]]] = {}
    for (neuron, path), carries in variables.items():
        axis = _neuron_axis(path, carries.values())
        if axis is not None:
            types = ((variable, carry.inside.type, axis) for variable, carry in sorted(carries.items()))
            shapes = tuple((variable, *type_.without([own.name]), type_.unit) for variable, type_, own in types)
            alike.setdefault((neuron, axis.role, shapes), []).append((path, axis, carries))
    for (neuron, *_), members in alike.items():
        axes = tuple(axis for _, axis, _ in members)
        if len({axis.name for axis in axes}) == len(members) > 1:
            joined = Axis(names.fresh_axis(str(neuron)), sum((axis.size for axis in axes), Size.of(0)), axes[0].role)
            packs = tuple(tuple(carries[name] for _, _, carries in members) for name in members[0][2])
            return Family(joined, axes, tuple(path for path, _, _ in members), packs)
    return None


def _neuron_axis(path: str, carries: Iterable[Carry]) -> Axis | None:
    """The axis that is called like the population and that every state of it has."""
    for name in (path, path.rpartition(".")[2]):
        if all(carry.inside.type.has(name) for carry in carries):
            return next(iter(carries)).inside.type.axis(name)
    return None


# Operations that do to each place of a joined axis what they did before, as long as they do not name it.
_ALONG = (Elementwise, Reduction, Contract, Rename, Expand)


def _names_an_axis(op: Op, axes: frozenset[str]) -> bool:
    match op:
        case Reduction(over=over) | Contract(over=over):
            return not axes.isdisjoint(over)
        case Rename(mapping=mapping):
            return any(not axes.isdisjoint(pair) for pair in mapping)
        case Expand(axes=added):
            return any(axis.name in axes for axis in added)
        case _:
            return False


class Packs:
    """The packs of a loop body: tuples of values, one a population, made by lines that are alike.

    Two lines are alike if they apply one op to operands that are members of one pack, or values that do not change in the
    loop: value numbering, modulo the population. At least one operand is a member of a pack; another one may differ in how
    it is made, and is then joined in the loop unless it is one value for all.
    """

    def __init__(self, loop: Loop, family: Family):
        self.loop, self.family = loop, family
        self.made = made_by(loop.lines)
        self.fixed = unchanging(loop)
        self.carried = tuple(tuple(carry.inside.name for carry in pack) for pack in family.packs)
        self.streamed = self._streamed()
        self.banned: set[str] = set()
        self.of: dict[str, Key] = {}  # a member's pack
        self.find()

    def find(self) -> None:
        """Until every pack is complete; members of one that is not are taken by themselves from then on."""
        while broken := self._number():
            self.banned |= broken

    def ban(self, key: Key) -> None:
        self.banned |= set(key)
        self.find()

    def columns(self, key: Key) -> list[tuple[Value, ...]]:
        """The operands of a pack's lines, place by place."""
        return list(zip(*(self.made[name].operands for name in key), strict=True))

    def _streamed(self) -> tuple[Key, ...]:
        """Packs of xs: the k-th of each population's, where they are alike."""
        alike: dict[tuple[object, ...], dict[int, list[str]]] = {}
        for fed in self.loop.xs:
            places = self.family.places(fed.inside.type)
            if len(places) == 1:
                alike.setdefault(self.family.shape(fed.inside.type), {}).setdefault(places[0], []).append(
                    fed.inside.name
                )
        count = len(self.family.axes)
        return tuple(
            key
            for rows in alike.values()
            if len(rows) == count
            for key in zip(*(rows[place] for place in range(count)), strict=False)
        )

    def _number(self) -> set[str]:
        """One round: fills `of`, or gives the members of the first packs that lack a population."""
        numbers: dict[str, int] = {}
        members: list[dict[int, str]] = []
        lacking: set[int] = set()
        for key in (*self.carried, *self.streamed):
            numbers.update((name, len(members)) for name in key)
            members.append(dict(enumerate(key)))
        known: dict[tuple[object, ...], int] = {}
        count: dict[tuple[object, ...], int] = {}
        reads: dict[int, set[int]] = {}
        for line in self.loop.lines:
            found = self._signature(line, numbers)
            if found is None:
                continue
            place, signature = found
            count[place, *signature] = count.get((place, *signature), 0) + 1
            number = known.setdefault((count[place, *signature], *signature), len(members))
            if number == len(members):
                members.append({})
            members[number][place] = line.result.name
            numbers[line.result.name] = number
            reads[number] = {numbers[operand.name] for operand in line.operands if operand.name in numbers}
        lacking = {number for number, row in enumerate(members) if len(row) < len(self.family.axes)}
        first = {number for number in lacking if lacking.isdisjoint(reads[number])}
        if not first:
            rows = [tuple(row[place] for place in range(len(self.family.axes))) for row in members]
            self.of = {name: key for key in rows for name in key}
        return {name for number in first for name in members[number].values()}

    def _signature(self, line: Line, numbers: Mapping[str, int]) -> tuple[int, tuple[object, ...]] | None:
        op, axes = line.op, frozenset(axis.name for axis in self.family.axes)
        if not isinstance(op, _ALONG) or _names_an_axis(op, axes):
            return None
        result = line.result
        places = self.family.places(result.type)
        if len(places) != 1 or result.name in self.banned or result.name in self.fixed:
            return None
        reads: list[object] = []
        for operand in line.operands:
            if not set(self.family.places(operand.type)) <= set(places):
                return None
            if operand.name in numbers:
                reads.append(numbers[operand.name])
            elif operand.name in self.fixed:
                reads.append("fixed")
            else:
                reads.append("joined")
        if not any(isinstance(read, int) for read in reads):
            return None
        # Lines of one neuron's text have one span, which tells its terms from alike ones of what arrives.
        return places[0], (op, *reads, self.family.shape(result.type), line.span)


def replaced(family: Family, type_: Type) -> Type:
    """The type of the joined array."""
    own = [axis.name for axis in family.axes]
    return replace(type_, axes=(*type_.without(own), family.axis))
