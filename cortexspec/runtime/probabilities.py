"""Probabilities that are settled before a run, by parameters and drawn values alone, are judged before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.interpreter import run
from cortexspec.ir.module import Function, Line, Module, Value
from cortexspec.ir.op import Array
from cortexspec.ir.ops.random import Bernoulli, Draw
from cortexspec.ir.ops.scan import Scan


def check_probabilities(
    module: Module, sizes: Mapping[str, int], given: Mapping[str, Array], sources: Mapping[str, str]
) -> None:
    """`given` are raw parameters and buffers. Raises: SpecError CS512 for each draw whose p is none, however the run goes."""
    found: list[Diagnostic] = []
    for name in ("init", "update", "derivative"):
        function = module.functions.get(name)
        for line, p in _settled(function, given) if function is not None else ():
            inputs = {value.name: given[value.name] for value in p.inputs}
            worst = _outside(run(p, inputs, sizes, module.layout)["p"])
            if worst is not None:
                site = line.op.site.partition("#")[0] if isinstance(line.op, Bernoulli) else ""
                message = f"`{site}` is drawn with probability {worst:g}, which is not in [0, 1]"
                found.append(Diagnostic("CS512", message, line.span))
    if found:
        raise SpecError(found, dict(sources))


def _settled(function: Function, given: Mapping[str, Array]) -> Iterator[tuple[Line, Function]]:
    """Each Bernoulli draw whose probability reads nothing but what is given, with the function that computes it."""
    made = {result.name: line for line in function.body for result in line.results}
    for line in function.body:
        if not isinstance(line.op, Bernoulli):
            continue
        p = line.operands[0]
        needed = _needed(p, made, given)
        if needed is not None:
            lines = tuple(one for one in function.body if one in needed)
            read = {value for one in lines for value in one.operands} | {p}
            inputs = tuple(value for value in function.inputs if value in read)
            yield line, Function("probability", inputs, lines, (p,), ("p",))


def _needed(value: Value, made: Mapping[str, Line], given: Mapping[str, Array]) -> list[Line] | None:
    """The lines that a value depends on; None where it moves, or is drawn in the run."""
    found: list[Line] = []
    queue = [value]
    while queue:
        one = queue.pop()
        line = made.get(one.name)
        if line is None:
            if one.name not in given:
                return None
        elif isinstance(line.op, (Draw, Scan)):
            return None
        elif line not in found:
            found.append(line)
            queue += line.operands
    return found


def _outside(p: Array) -> float | None:
    """The first that is no probability."""
    wrong = ~((p >= 0) & (p <= 1))
    return float(np.asarray(p)[wrong].flat[0]) if wrong.any() else None
