"""Give every local value a name that a reader can follow: `v`, `v_next`, `v_end` for what a loop carries, and low numbers elsewhere.

Passes leave names like `mul_27_1_2`; the names of declarations, of inputs and of outputs are the author's and stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from cortexspec.ir.builder import Names
from cortexspec.ir.module import Function, Line, Module, Value
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.loop import Carry, Given, Loop, loop_of, renamed, renamed_values

_NUMBER = re.compile(r"_\d+$")


def tidy_names(module: Module) -> Module:
    """All functions; the meaning of a name does not matter to any of them, only that it is one value's."""
    declared = (*module.params, *module.buffers, *module.states, *module.inputs)
    public = {entry.value.name for entry in declared}
    functions = {name: _Tidy(function, public).function() for name, function in module.functions.items()}
    return module.with_functions(**functions)


class _Tidy:
    def __init__(self, function: Function, declared: Iterable[str]):
        inputs = {value.name for value in function.inputs}
        names = inputs | set(declared)
        self.whole, self.public = function, names | {name.rpartition(".")[2] for name in names}
        self.names = Names(inputs)

    def function(self) -> Function:
        seen: dict[str, Value] = {}
        body = self.lines(self.whole.body, seen)
        return replace(self.whole, body=body, outputs=renamed_values(self.whole.outputs, seen))

    def loop(self, loop: Loop, outer: dict[str, Value]) -> Loop:
        seen: dict[str, Value] = {}
        carried = [self.called(carry.inside, _label(carry), seen) for carry in loop.carries]
        consts = tuple(
            replace(fed, inside=self.called(fed.inside, self.stem(fed.outside.name), seen)) for fed in loop.consts
        )
        xs = tuple(replace(fed, inside=self.called(fed.inside, self.stem(fed.inside.name), seen)) for fed in loop.xs)
        made = {result.name for line in loop.lines for result in line.results}
        for carry in loop.carries:
            if carry.next.name in made and carry.next.name not in seen:
                self.called(carry.next, f"{_label(carry)}_next", seen)
        lines = self.lines(loop.lines, seen)
        carries = tuple(
            replace(
                carry,
                inside=inside,
                next=seen.get(carry.next.name, carry.next),
                result=self.called(carry.result, f"{_label(carry)}_end", outer),
            )
            for carry, inside in zip(loop.carries, carried, strict=True)
        )
        stacks, sums = (tuple(self.given(each, seen, outer) for each in group) for group in (loop.stacks, loop.sums))
        return replace(loop, lines=lines, consts=consts, carries=carries, xs=xs, stacks=stacks, sums=sums)

    def lines(self, lines: Iterable[Line], seen: dict[str, Value]) -> tuple[Line, ...]:
        """Some results may have their names already."""
        done: list[Line] = []
        for line in lines:
            line = renamed(line, seen)
            if isinstance(line.op, Scan):
                done.append(self.loop(loop_of(line), seen).line())
                continue
            results = (
                seen.get(value.name) or self.called(value, self.stem(value.name), seen) for value in line.results
            )
            done.append(replace(line, results=tuple(results)))
        return tuple(done)

    def given(self, given: Given, seen: dict[str, Value], outer: dict[str, Value]) -> Given:
        label = given.label.partition(":")[2] or given.label
        result = self.called(given.result, self.stem(label), outer)
        return replace(given, inside=seen.get(given.inside.name, given.inside), result=result)

    def called(self, value: Value, stem: str, seen: dict[str, Value]) -> Value:
        seen[value.name] = Value(self.names.fresh(stem), value.type)
        return seen[value.name]

    def stem(self, name: str) -> str:
        """The name without the numbers that passes gave it, as far as it is not an author's."""
        while name not in self.public and _NUMBER.search(name):
            name = _NUMBER.sub("", name)
        return name


def _label(carry: Carry) -> str:
    return carry.label.removeprefix("carry:")
