"""A loop over a few binary neurons carries their word, and reads what depends on it alone from tables made in front of it.

Few neurons have few joint states: 2^n words. What a step computes from the states and from what no step changes (drives, probabilities,
their checks, what a measure reads) is computed once for every word, and read by the word. Of a step is left what differs
between trials of one word: the draw, which gives the next word.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.arith import Cast, Eq, Where
from cortexspec.ir.ops.constant import Const
from cortexspec.ir.ops.indexing import Gather
from cortexspec.ir.ops.random import Bernoulli, Draw, Word
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.ops.shape import Expand
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.passes.algebra import number
from cortexspec.passes.into_loops import words_in
from cortexspec.passes.loop import Carry, Fed, Loop, loop_of, made_by, readers
from cortexspec.passes.remove_dead import live_lines, live_loop

MOST = 10
"""Neurons up to which a table of all words is small beside a run: 1024 columns."""
SHORT = 4
"""Words a step from which a loop is too short, even where it has one sample."""


def carry_words(function: Function, sizes: Mapping[str, int], binary: Collection[str]) -> Function:
    """The function with a word in the place of each carried group of neurons that is drawn from what the group decides.

    `binary` are the inputs that are known to be 0 or 1. Where the loop leaves no number at a neuron, the group has none from there on:
    the word 2^n. A run that leaves the finite numbers is refused wherever it does.
    """
    build = Builder(Names.of(function))
    made: dict[str, Line] = {}
    for line in function.body:
        if isinstance(line.op, Scan):
            _rewrite(loop_of(line), build, sizes, partial(_is_binary, made=made, known=binary))
        else:
            build.lines.append(line)
        made = made_by(build.lines)
    lines = live_lines(build.lines, {value.name for value in function.outputs})
    return replace(function, body=lines) if len(build.lines) > len(function.body) else function


def binary_states(function: Function) -> frozenset[str]:
    """The outputs of a function that are 0 or 1 whatever it is given."""
    made = made_by(function.body)
    named = zip(function.output_names, function.outputs, strict=True)
    return frozenset(name for name, value in named if _is_binary(value, made, ()))


def _is_binary(value: Value, made: Mapping[str, Line], known: Collection[str]) -> bool:
    line = made.get(value.name)
    if line is None:
        return value.name in known
    match line.op:
        case Cast():
            return line.operands[0].type.dtype == "bool"
        case Const(value=constant):
            return constant in (0, 1)
        case Expand():
            return _is_binary(line.operands[0], made, known)
        case _:
            return False


@dataclass(frozen=True, slots=True)
class _Drawn:
    """How a carry is made: by a draw, as long as `checks` hold; `lines` lead from the draw to the carry, the draw among them."""

    draw: Line
    checks: tuple[Value, ...]
    lines: tuple[Line, ...]


def _drawn(carry: Carry, loop: Loop) -> _Drawn | None:
    """None where the carry may be something else than 0, 1 and no number, or a line on the way is read by others."""
    made, read = made_by(loop.lines), readers(loop.lines, loop.outputs)
    value, checks, lines = carry.next, list[Value](), list[Line]()
    while True:
        line = made.get(value.name)
        if line is None or (lines and read[value.name] > 1):
            return None
        lines.append(line)
        match line.op:
            case Bernoulli():
                return _Drawn(line, tuple(checks), tuple(lines))
            case Cast():
                (value,) = line.operands
            case Where():
                check, value, other = line.operands
                constant = number(other, made)
                if constant is not None and constant.value != constant.value:
                    checks.append(check)
                elif other != carry.inside or not _is_number_check(made.get(check.name), carry.inside):
                    return None
            case _:
                return None


def _is_number_check(line: Line | None, value: Value) -> bool:
    return line is not None and isinstance(line.op, Eq) and line.operands == (value, value)


@dataclass(frozen=True, slots=True)
class _Group:
    """A carried group [own, samples], its word [samples] and the axis of all words, the one without a number among them."""

    own: Axis
    words: Axis
    neurons: int
    samples: tuple[Axis, ...]

    def tabled(self, type_: Type) -> Type:
        """The type of a value for every word."""
        return type_.with_axes((*type_.without(axis.name for axis in self.samples), self.words))


def _rewrite(loop: Loop, build: Builder, sizes: Mapping[str, int], binary: Callable[[Value], bool]) -> None:
    """Writes the loop, with words for the first carry that can be one."""
    for carry in loop.carries:
        group, drawn = _group(carry, loop, build, sizes), _drawn(carry, loop)
        if group is None or drawn is None or not binary(carry.start) or not _alone(drawn, group):
            continue
        split = _split(loop, carry, group, drawn)
        if {drawn.draw.operands[0].name, *(check.name for check in drawn.checks)} <= split.before:
            _write(split, build)
            return
    build.lines.append(loop.line())


def _group(carry: Carry, loop: Loop, build: Builder, sizes: Mapping[str, int]) -> _Group | None:
    own = [axis for axis in carry.inside.type.axes if axis.role != "sample"]
    if len(own) != 1 or carry.inside.type.dtype != "float" or not own[0].size.symbols <= sizes.keys():
        return None
    neurons = own[0].size.evaluate(sizes)
    steps = loop.op.over.size
    short = steps.symbols <= sizes.keys() and steps.evaluate(sizes) * SHORT < 2**neurons
    if not 1 <= neurons <= MOST or short:
        return None
    # Words are samples: columns of states, which the engine computes as it computes those of the loop.
    words = build.axis("word", 2**neurons + 1, "sample")
    return _Group(own[0], words, neurons, carry.inside.type.without([own[0].name]))


def _alone(drawn: _Drawn, group: _Group) -> bool:
    """Whether each neuron has one draw, with keys that differ between samples and steps alone."""
    op = drawn.draw.op
    assert isinstance(op, Bernoulli)
    keys = drawn.draw.operands[1:]
    return op.axes == (group.own,) and {axis for key in keys for axis in key.type.axes} == set(group.samples)


@dataclass(frozen=True, slots=True)
class _Split:
    """A loop and what in it is the same for all samples of a word: unchanging, decided by the states before the draw, or after it."""

    loop: Loop
    carry: Carry
    group: _Group
    drawn: _Drawn
    fixed: frozenset[str]
    before: frozenset[str]
    after: frozenset[str]


def _split(loop: Loop, carry: Carry, group: _Group, drawn: _Drawn) -> _Split:
    sampled = {
        value.name
        for value in (*loop.op.body.inputs, *(value for line in loop.lines for value in line.results))
        if any(axis.role == "sample" for axis in value.type.axes)
    }
    fixed = _undrawn(loop) - sampled
    left_out = {line.result.name for line in drawn.lines}
    before = _decided(carry.inside, loop, group, fixed, left_out)
    after = _decided(carry.next, loop, group, fixed, left_out | before)
    return _Split(loop, carry, group, drawn, frozenset(fixed), frozenset(before), frozenset(after))


def _undrawn(loop: Loop) -> set[str]:
    """What is the same in every turn and costs nothing to compute once more: no draws, no loops."""
    found = {fed.inside.name for fed in loop.consts}
    for line in loop.lines:
        if not isinstance(line.op, Draw | Scan) and all(operand.name in found for operand in line.operands):
            found.update(result.name for result in line.results)
    return found


def _decided(source: Value, loop: Loop, group: _Group, fixed: Collection[str], left_out: Collection[str]) -> set[str]:
    """What the states `source` decide, with what is fixed; they are among it."""
    found = {source.name}
    for line in loop.lines:
        names = {operand.name for operand in line.operands}
        if names & found and names <= found | {*fixed} and not {value.name for value in line.results} & {*left_out}:
            if _does_the_same(line, group, fixed):
                found.add(line.result.name)
    return found


def _does_the_same(line: Line, group: _Group, fixed: Collection[str]) -> bool:
    """Whether a line does the same to each sample."""
    samples = {axis.name for axis in group.samples}
    if len(line.results) != 1 or isinstance(line.op, Scan | Draw) or samples & words_in(line.op.attributes()):
        return False
    types = [value.type if value.name in fixed else group.tabled(value.type) for value in line.operands]
    try:
        return line.op.rule(*types) == (group.tabled(line.result.type),)
    except RuleError:
        return False


def _write(split: _Split, build: Builder) -> None:
    """The tables, the loop with the word as a carry, and the states at its end."""
    loop, carry, group = split.loop, split.carry, split.group
    states = _states(group, build)
    before, after = (
        _tables(split, source, decided, states, build)
        for source, decided in ((carry.inside, split.before), (carry.next, split.after))
    )
    sound = _sound(split, before, build)
    start = _spelt(carry.start, group, build)
    word, spelt, ended = (
        Value(build.names.fresh(f"{carry.inside.name}.word"), Type(group.samples, "int")) for _ in range(3)
    )
    consts = {
        table.name: Fed(table, Value(build.names.fresh(table.name), table.type))
        for table in (*before.values(), *after.values(), *(() if sound is None else (sound,)))
    }
    read = Gather(group.words.name)

    def read_by(word: Value, tables: Mapping[str, Value]) -> list[Line]:
        values = {value.name: value for line in loop.lines for value in line.results} | {
            carry.inside.name: carry.inside
        }
        return [Line((values[name],), read, (consts[table.name].inside, word)) for name, table in tables.items()]

    gone = {*before, *after, *(line.result.name for line in split.drawn.lines)}
    lines = read_by(word, before)
    for line in loop.lines:
        if line is split.drawn.draw:
            lines += _next_word(line, spelt, group, None if sound is None else (consts[sound.name].inside, word), build)
            lines += read_by(spelt, after)
        elif not {value.name for value in line.results} & gone:
            lines.append(line)
    new = Carry(start, word, spelt, ended, carry.label)
    carries = tuple(new if one is carry else one for one in loop.carries)
    fed = (*loop.consts, *consts.values())
    whole = replace(loop, lines=tuple(lines), carries=carries, consts=fed)
    given = (*whole.carries, *whole.stacks, *whole.sums)
    build.lines.append(live_loop(whole, {one.result.name for one in given}).line())
    build.lines.append(Line((carry.result,), read, (states, ended)))


def _states(group: _Group, build: Builder) -> Value:
    """The states of each word [own, word]: bit i is neuron i, and no number for the word after the last."""
    word = write.cast(build, write.iota(build, group.words), "float")
    place = write.table(build, [2.0**-i for i in range(group.neurons)], [group.own])
    shifted = write.floor(build, write.mul(build, word, place))
    bit = write.sub(build, shifted, write.scale(build, write.floor(build, write.scale(build, shifted, 0.5)), 2.0))
    known = write.lt(build, word, write.const(build, 2.0**group.neurons))
    return write.where(build, known, bit, write.const(build, float("nan")))


def _spelt(states: Value, group: _Group, build: Builder) -> Value:
    """The word of states that are 0 or 1."""
    value = write.table(build, [2.0**i for i in range(group.neurons)], [group.own])
    return write.cast(build, write.contract(build, states, value, [group.own.name]), "int")


def _tables(split: _Split, source: Value, decided: Collection[str], states: Value, build: Builder) -> dict[str, Value]:
    """What the states decide, for each word, by the name that it has in the loop."""
    by = {fed.inside.name: fed.outside for fed in split.loop.consts} | {source.name: states}
    for line in split.loop.lines:
        for name in (value.name for value in line.results):
            if name != source.name and name in {*decided, *split.fixed}:
                by[name] = build.one(line.op, *(by[operand.name] for operand in line.operands), hint=name)
    return {name: by[name] for name in decided}


def _sound(split: _Split, tables: Mapping[str, Value], build: Builder) -> Value | None:
    """Whether what is drawn from a word is one [word]: the checks hold for each of its neurons."""
    group = split.group
    if not split.drawn.checks:
        return None
    found = write.lt(build, write.iota(build, group.words), write.integer(build, 2**group.neurons))
    for check in split.drawn.checks:
        table = tables[check.name]
        own = [group.own.name] if table.type.has(group.own.name) else []
        found = write.and_(build, found, write.all_(build, table, own))
    return found


def _next_word(
    draw: Line, spelt: Value, group: _Group, sound: tuple[Value, Value] | None, build: Builder
) -> list[Line]:
    """The word that is drawn, or that of no number where the one before is not sound."""
    op = draw.op
    assert isinstance(op, Bernoulli)
    word = Word(op.site, op.axes, op.per_trial, op.per_step)
    if sound is None:
        return [Line((spelt,), word, draw.operands, draw.span)]
    inner = Builder(build.names)
    drawn = inner.one(word, *draw.operands, hint=spelt.name)
    good = write.gather(inner, *sound, group.words.name)
    chosen = write.where(inner, good, drawn, write.integer(inner, 2**group.neurons))
    lines = inner.lines
    assert lines[-1].results == (chosen,)
    return [*lines[:-1], replace(lines[-1], results=(spelt,))]


__all__ = ["binary_states", "carry_words"]
