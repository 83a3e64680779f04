"""In a loop, write each value that is linear in others as diagonal*y + offset + matrix @ x + ..., with coefficients that are computed
once, in front of the loop.

What a step computes from the states and from a few nonlinear functions of them is mostly linear: it passes through weights, sums over
connections and populations, rate constants, the step of the solver. The coefficient of x in such a value is the very same lines run on
1 where they are elementwise in x, or on an identity matrix where they contract, join, slice or rename its axes; the offset is the lines
run on nothing. All that is invariant, so `hoist` moves it out, and gradients reach the parameters through it by the chain rule.
The sample axis is left out: coefficients are one for all samples.

It is done where it saves operations: a value used twice is computed once, and what costs the same stays as it was written. A matrix
may take `growth` times the arithmetic of the lines that it stands for (zeros between blocks are multiplied too), and never has more than
`limit` rows or columns. So the operations of a step are the same for one region and for fifty, and large populations stay as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.types import Type
from cortexspec.passes.linearity import Form, Linearity, Mixed, Replay, Seed, plain_axes
from cortexspec.passes.loop import Loop, loop_of, renamed, renamed_outputs
from cortexspec.passes.prices import CALL, VIEW, Prices

FORBIDDEN = 1e9


@dataclass(frozen=True, slots=True)
class Bounds:
    """A matrix has at most `limit` rows or columns, and costs at most `growth` times the arithmetic that it replaces however large
    the circuit gets: so a population of a hundred neurons has the program of one of a million.

    `dense`: a matrix may also take axes in that it could run along, where that costs at most so many times the arithmetic: one
    plain product is faster than a batch of small ones."""

    limit: int = 512
    growth: float = 20.0
    dense: float = 4.0


def extract_linear_part(function: Function, sizes: Mapping[str, int], bounds: Bounds = Bounds()) -> Function:
    """`sizes` (of the module) bind size symbols, for what pays; the result is right for any sizes."""
    return replace(function, body=_extracted(function.body, Names.of(function), Prices(sizes), bounds))


def _extracted(lines: tuple[Line, ...], names: Names, prices: Prices, bounds: Bounds) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            loop = replace(loop, lines=_extracted(loop.lines, names, prices, bounds))
            line = _rewritten(loop, names, _Plan(Linearity(loop), prices, bounds)).line()
        done.append(line)
    return tuple(done)


def _rewritten(loop: Loop, names: Names, plan: _Plan) -> Loop:
    if not plan.flattened:
        return loop
    linearity = plan.linearity
    build = Builder(names)
    replay = Replay(linearity, frozenset(plan.kept), build)
    same: dict[str, Value] = {}
    for line in loop.lines:
        name = line.results[0].name
        if name in plan.flattened:
            value = _written(line.result, plan.flattened[name], replay, same)
            if value.name != name:
                same[name] = value
        elif name in plan.kept or name not in linearity.lines:
            build.lines.append(renamed(line, same))
    return renamed_outputs(replace(loop, lines=tuple(build.lines)), same)


def _written(value: Value, form: Form, replay: Replay, same: Mapping[str, Value]) -> Value:
    """Diagonals, offset, then matrices: a product can add itself to what is there."""
    build = replay.build
    terms = [_term(value, source, mixed, replay, same) for source, mixed in form.items() if source and not mixed]
    if "" in form:
        terms.append(replay.run(value, Seed()))
    terms += [_term(value, source, mixed, replay, same) for source, mixed in form.items() if mixed]
    build.span = replay.linearity.lines[value.name].span
    total: Value | None = None
    for term in terms:
        if term is not None:
            total = term if total is None else write.add(build, total, term)
    if total is None:
        return write.zeros(build, value.type)
    return replay.named(_full(build, total, value.type), value)


def _term(value: Value, source: str, mixed: Mixed, replay: Replay, same: Mapping[str, Value]) -> Value | None:
    """Coefficient times source; None for zero."""
    before = len(replay.build.lines)
    coefficient = replay.run(value, Seed(source, mixed))
    if coefficient is None:
        return None
    if len(replay.build.lines) > before:
        coefficient = replay.named(coefficient, f"{replay.labels.get(value.name, value.name)}_per_{source}")
    x = same.get(source) or Value(source, replay.linearity.types[source])
    if not mixed:
        return write.mul(replay.build, coefficient, x)
    columns = {axis.name: replay.column(axis).name for axis in plain_axes(x.type) if axis.name in mixed}
    return replay.build.one(Contract(tuple(columns.values())), coefficient, write.rename(replay.build, x, columns))


def _full(build: Builder, value: Value, type_: Type) -> Value:
    return write.expand(build, value, [axis for axis in type_.axes if not value.type.has(axis.name)])


class _Work:
    """The arithmetic of each linear line, for one way of counting places."""

    def __init__(self, linearity: Linearity, prices: Prices):
        self.linearity, self.prices = linearity, prices
        self.lines = {name: prices.work(line) for name, line in linearity.lines.items()}

    def growth(self, name: str, source: str, mixed: Mixed, between: Iterable[str], known: Mapping[str, Form]) -> float:
        """That of a matrix over the mixed axes, against that of the lines between the source and the value."""
        types = self.linearity.types
        columns = (axis for axis in types[source].axes if axis.name in mixed)
        replaced = sum(self.lines[each] for each in between if source in known[each])
        return self.prices.places(types[name].axes) * self.prices.places(columns) / replaced


class _Plan:
    """Which linear values are kept, and of those which are flattened: written from the sources in their form."""

    def __init__(self, linearity: Linearity, prices: Prices, bounds: Bounds):
        self.linearity, self.prices, self.bounds = linearity, prices, bounds
        self.calls = {name: prices.calls(line) for name, line in linearity.lines.items()}
        self.here, self.at_large = _Work(linearity, prices), _Work(linearity, Prices())
        sinks = self._affordable({value.name for value in linearity.sinks})
        everything = set(linearity.lines)
        candidates = self._candidates(sinks)
        plans = [(everything, self._cost(everything)[0])]  # as it is written
        plans += [self._improved(start, candidates) for start in (sinks, sinks | set(candidates))]
        # Rounded: sums of tenths in another order are a tie, and of those the first stands.
        self.kept, _ = min((self._as_written(*plan) for plan in plans), key=lambda plan: round(plan[1], 6))
        self.flattened = self._cost(self.kept)[1]

    def _affordable(self, kept: set[str]) -> set[str]:
        """The kept values, and the results of lines whose flattening would take too much arithmetic."""
        while True:
            known: dict[str, Form] = {}
            more: set[str] = set()
            for name in kept:
                form = self.linearity.form(self.linearity.lines[name].result, kept, known)
                cone = self._cone(name, kept) | {name}
                for source, mixed in form.items():
                    if mixed and not self._fits(name, source, mixed, cone, known):
                        more |= {each for each in cone if source in known[each] and self._touches(each)}
            if more <= kept:
                return kept
            kept = kept | more

    def _touches(self, name: str) -> bool:
        return any(named for _, named in self.linearity.reads[name])

    def _improved(self, kept: set[str], candidates: Sequence[str]) -> tuple[set[str], float]:
        """Keeps or drops one candidate at a time for as long as it saves."""
        cost = self._cost(kept)[0]
        better = True
        while better:
            better = False
            for name in candidates:
                price = self._cost(kept ^ {name})[0]
                if price < cost:
                    kept, cost, better = kept ^ {name}, price, True
        return kept, cost

    def _as_written(self, kept: set[str], cost: float) -> tuple[set[str], float]:
        """With the kept values as they were written that cost no more so."""
        for name in sorted(kept):
            written = kept | self._cone(name, kept)
            price = self._cost(written)[0]
            if price <= cost:
                kept, cost = written, price
        return kept, cost

    def _candidates(self, kept: set[str]) -> list[str]:
        """Values used more than once that no single line only moves, and that hold a matrix."""
        uses = Counter(operand for reads in self.linearity.reads.values() for operand, _ in reads)
        known: dict[str, Form] = {}
        lines = self.linearity.lines
        return [
            name
            for name, line in lines.items()
            if name not in kept
            and uses[name] > 1
            and self.calls[name] > VIEW
            and any(self.linearity.form(line.result, kept, known).values())
        ]

    def _cone(self, name: str, kept: set[str]) -> set[str]:
        """The linear values that this one is made of, as far as the kept ones."""
        found: set[str] = set()
        pending = [name]
        while pending:
            for operand, _ in self.linearity.reads[pending.pop()]:
                if self.linearity.inlined(operand, kept) and operand not in found:
                    found.add(operand)
                    pending.append(operand)
        return found

    def _cost(self, kept: set[str]) -> tuple[float, dict[str, Form]]:
        """The price of everything linear, and the forms of what is flattened."""
        linearity, total = self.linearity, 0.0
        flattened: dict[str, Form] = {}
        known: dict[str, Form] = {}
        needed = [value.name for value in linearity.sinks]
        seen = set(needed)
        while needed:
            name = needed.pop()
            read = {operand for operand, _ in linearity.reads[name]}
            if any(linearity.inlined(operand, kept) for operand in read):
                linearity.form(linearity.lines[name].result, kept, known)
                price, flattened[name] = self._flat(name, kept, known)
                read = set(flattened[name])
            else:
                price = self.calls[name]
            total += price
            new = {each for each in read if each in linearity.lines} - seen
            needed += new
            seen |= new
        return total, flattened

    def _flat(self, name: str, kept: set[str], known: Mapping[str, Form]) -> tuple[float, Form]:
        """What the flattened value costs, and its form."""
        form, total = known[name], -CALL
        cone = self._cone(name, kept) | {name}
        chosen: dict[str, Mixed] = {}
        for source, mixed in form.items():
            chosen[source] = mixed
            total += 2 * CALL if source else CALL  # to multiply, and to add
            if mixed:
                total += VIEW if self._fits(name, source, mixed, cone, known) else FORBIDDEN
                every = Mixed(axis.name for axis in plain_axes(self.linearity.types[source]))
                if self.here.growth(name, source, every, cone, known) <= self.bounds.dense:
                    chosen[source] = every
        return total, chosen

    def _fits(self, name: str, source: str, mixed: Mixed, lines: Iterable[str], known: Mapping[str, Form]) -> bool:
        """Whether a matrix over the mixed axes is small, and never much more work than the lines that it replaces."""
        places = [self.prices.places(self.linearity.types[each].axes) for each in (name, source)]
        if max(places) > self.bounds.limit:
            return False
        return self.at_large.growth(name, source, mixed, lines, known) <= self.bounds.growth
