"""What a pipeline did: operations a step, and in front of the loops, before and after each pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from cortexspec.contracts.backend import PassStep
from cortexspec.ir.module import Function, Module
from cortexspec.ir.ops.scan import Scan
from cortexspec.passes.pipeline import named_step, run_pipeline


@dataclass(frozen=True, slots=True)
class Count:
    """Lines that run once, and lines that run once a step of some loop."""

    once: int
    in_loops: int

    def __str__(self) -> str:
        return f"{self.once} + {self.in_loops} a step" if self.in_loops else str(self.once)


@dataclass(frozen=True, slots=True)
class Row:
    """The module after a step, and its counts by function. The first row, before any pass, has no step."""

    step: str
    module: Module
    counts: Mapping[str, Count]


def describe(module: Module, steps: Sequence[PassStep]) -> tuple[Row, ...]:
    """Runs the pipeline and keeps every stage. Raises as `run_pipeline` does."""
    rows = [Row("", module, counts(module))]
    for step in steps:
        module = run_pipeline(module, (step,))
        rows.append(Row(named_step(step)[0], module, counts(module)))
    return tuple(rows)


def table(rows: Sequence[Row], function: str) -> str:
    """One line a pass that changed the function: its name and the operations after it."""
    lines = [f"{'as lowered':<24} {rows[0].counts[function]}"]
    for before, after in pairwise(rows):
        if before.module.functions[function] != after.module.functions[function]:
            lines.append(f"{after.step:<24} {after.counts[function]}")
    return "\n".join(lines)


def counts(module: Module) -> dict[str, Count]:
    return {name: _count(function) for name, function in module.functions.items()}


def _count(function: Function) -> Count:
    bodies = [line.op.body for line in function.body if isinstance(line.op, Scan)]
    inner = [_count(body) for body in bodies]
    return Count(len(function.body) - len(bodies), sum(count.once + count.in_loops for count in inner))


def operations(function: Function) -> Counter[str]:
    """How often each operation stands in the function, loop bodies left out."""
    return Counter(line.op.name for line in function.body)
