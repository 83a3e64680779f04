"""In a loop, write each value that is linear in others as offset + matrix @ x + diagonal*y + ..., with coefficients that are computed
once, in front of the loop.

What a step computes from the states and from a few nonlinear functions of them is mostly linear: it passes through weights, sums over
connections and populations, rate constants, the step of the solver. The coefficient of x in such a value is the very same lines run on
1 where they are elementwise in x, or on an identity matrix where they contract, join, slice or rename its axes; the offset is the lines
run on nothing. All that is invariant, so `hoist` moves it out, and gradients reach the parameters through it by the chain rule.
The sample axis is left out: coefficients are one for all samples.

It is done where it pays by `Prices`: a value used twice is computed once, what costs the same stays as it was written, and axes of more
than `limit` elements are never made dense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Function, Line, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.linear import Contract
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.types import Type
from cortexspec.passes.linearity import Form, Linearity, Mixed, Replay, Seed, plain_axes, touched
from cortexspec.passes.loop import Loop, loop_of, renamed, renamed_outputs
from cortexspec.passes.prices import Prices


def extract_linear_part(function: Function, sizes: Mapping[str, int], limit: int = 512) -> Function:
    """`sizes` (of the module) bind size symbols for the prices; the result is right for any sizes."""
    names, prices = Names.of(function), Prices(sizes)
    return replace(function, body=_extracted(function.body, names, prices, limit))


def _extracted(lines: tuple[Line, ...], names: Names, prices: Prices, limit: int) -> tuple[Line, ...]:
    done: list[Line] = []
    for line in lines:
        if isinstance(line.op, Scan):
            loop = loop_of(line)
            loop = replace(loop, lines=_extracted(loop.lines, names, prices, limit))
            line = _rewritten(loop, names, prices, limit).line()
        done.append(line)
    return tuple(done)


def _rewritten(loop: Loop, names: Names, prices: Prices, limit: int) -> Loop:
    linearity = Linearity(loop, _too_large(loop, prices, limit))
    plan = _Plan(linearity, prices, limit)
    if not plan.flattened:
        return loop
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


def _too_large(loop: Loop, prices: Prices, limit: int) -> frozenset[str]:
    """Results of lines that would have to be a matrix over too many places."""
    return frozenset(
        line.results[0].name
        for line in loop.lines
        if any(touched(line.op, place) for place in range(len(line.operands)))
        and any(prices.elements(plain_axes(value.type)) > limit for value in (*line.operands, *line.results[:1]))
    )


def _written(value: Value, form: Form, replay: Replay, same: Mapping[str, Value]) -> Value:
    """Offset, then matrices, then diagonals: the order in which a product can start from what is there."""
    build = replay.build
    terms = [replay.run(value, Seed())]
    for source, mixed in sorted(form.items(), key=lambda item: not item[1]):
        coefficient = replay.run(value, Seed(source, mixed))
        if coefficient is None:
            continue
        x = Value(source, replay.linearity.types[source])
        x = same.get(source, x)
        if mixed:
            columns = {axis.name: replay.column(axis).name for axis in plain_axes(x.type) if axis.name in mixed}
            terms.append(build.one(Contract(tuple(columns.values())), coefficient, write.rename(build, x, columns)))
        else:
            terms.append(write.mul(build, coefficient, x))
    build.span = replay.linearity.lines[value.name].span
    total: Value | None = None
    for term in terms:
        if term is not None:
            total = term if total is None else write.add(build, total, term)
    if total is None:
        return write.zeros(build, value.type)
    return _named(build, _full(build, total, value.type), value)


def _full(build: Builder, value: Value, type_: Type) -> Value:
    return write.expand(build, value, [axis for axis in type_.axes if not value.type.has(axis.name)])


def _named(build: Builder, value: Value, wanted: Value) -> Value:
    """The last line's result under the name that the value had."""
    last = build.lines[-1]
    if last.results != (value,):
        return value
    build.lines[-1] = replace(last, results=(wanted,))
    return wanted


class _Plan:
    """Which linear values are kept, and of those which are flattened: written from the sources in their form."""

    def __init__(self, linearity: Linearity, prices: Prices, limit: int):
        self.linearity, self.prices, self.limit = linearity, prices, limit
        self.uses = self._uses()
        self._lines: dict[str, float] = {}
        self._terms: dict[tuple[str, str, Mixed], tuple[float, Mixed]] = {}
        sinks = {value.name for value in linearity.sinks}
        candidates = self._candidates(sinks)
        everything = set(linearity.lines)
        plans = [(everything, self._cost(everything)[0])]  # as it is written
        plans += [self._improved(start, candidates) for start in (sinks, sinks | set(candidates))]
        kept, cost = min(plans, key=lambda plan: plan[1])
        for name in sorted(kept):
            as_written = kept | self._cone(name, kept)
            price = self._cost(as_written)[0]
            if price <= cost:
                kept, cost = as_written, price
        self.kept = kept
        self.flattened = self._cost(kept)[1]

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

    def _uses(self) -> dict[str, int]:
        count: dict[str, int] = {}
        for line in self.linearity.loop.lines:
            for operand in line.operands:
                count[operand.name] = count.get(operand.name, 0) + 1
        return count

    def _candidates(self, kept: set[str]) -> list[str]:
        """Values used more than once that no single line only moves, and that hold a matrix."""
        known: dict[str, Form] = {}
        lines = self.linearity.lines
        return [
            name
            for name, line in lines.items()
            if name not in kept
            and self.uses.get(name, 0) > 1
            and self.prices.line(line) > self.prices.view
            and any(self.linearity.form(line.result, kept - {name}, known).values())
        ]

    def _cone(self, name: str, kept: set[str]) -> set[str]:
        """The linear values that this one is made of, as far as the kept ones."""
        found: set[str] = set()
        pending = [name]
        while pending:
            for operand in self.linearity.lines[pending.pop()].operands:
                if self.linearity.inlined(operand.name, kept) and operand.name not in found:
                    found.add(operand.name)
                    pending.append(operand.name)
        return found

    def _cost(self, kept: set[str]) -> tuple[float, dict[str, Form]]:
        """The price of everything linear, and the forms of what is flattened."""
        linearity, total = self.linearity, 0.0
        flattened: dict[str, Form] = {}
        known: dict[str, Form] = {}
        needed = [value.name for value in linearity.sinks]
        seen = set(needed)
        while needed:
            line = linearity.lines[needed.pop()]
            name, changing = line.result.name, {operand for operand, _ in linearity.reads[line.result.name]}
            if any(linearity.inlined(operand, kept) for operand in changing):
                price, flattened[name] = self._flat(line.result, linearity.form(line.result, kept, known))
                read = flattened[name].keys()
            else:
                price, read = self._as_written(line), changing
            total += price
            new = {name for name in read if name in linearity.lines} - seen
            needed += new
            seen |= new
        return total, flattened

    def _as_written(self, line: Line) -> float:
        if line.result.name not in self._lines:
            self._lines[line.result.name] = self.prices.line(line)
        return self._lines[line.result.name]

    def _flat(self, value: Value, form: Form) -> tuple[float, Form]:
        """What the flattened value costs, and its form, with further axes mixed where one dense product is cheaper than a batch."""
        total = 0.0
        chosen: dict[str, Mixed] = {}
        for source, mixed in form.items():
            key = (value.name, source, mixed)
            if key not in self._terms:
                self._terms[key] = self._term(value.type, self.linearity.types[source], mixed)
            price, chosen[source] = self._terms[key]
            total += price
        return total, chosen

    def _term(self, result: Type, source: Type, mixed: Mixed) -> tuple[float, Mixed]:
        prices = self.prices
        if not mixed:
            return 2 * prices.elementwise(result), mixed
        small = max(prices.elements(plain_axes(each)) for each in (source, result)) <= self.limit
        choices = [Mixed(axis.name for axis in plain_axes(source)), mixed] if small else [mixed]
        cheapest = min(choices, key=lambda each: self._product(result, source, each))
        return prices.view + self._product(result, source, cheapest) + prices.elementwise(result), cheapest

    def _product(self, result: Type, source: Type, mixed: Mixed) -> float:
        columns = [replace(axis, name=f"{axis.name}'") for axis in plain_axes(source) if axis.name in mixed]
        matrix = Type((*plain_axes(result), *columns))
        vector = Type((*source.without(mixed), *columns))
        return self.prices.contraction(matrix, vector, [axis.name for axis in columns])
