"""`python -m benchmarks.compile_time`: does compiling cost more for larger circuits?

From text to an executable program, without drawing the wiring and without the first step: populations of 1e5 against
1e2 neurons may take at most 1.2 times as long and must give the same number of IR operations; 50 regions against 1 the
same number of operations a step. Exits with 1 where one of these is missed.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import (
    Bar,
    Verdict,
    command,
    compare,
    exit_code,
    interleave,
    pinned,
    tell,
)

if TYPE_CHECKING:
    from cortexspec.ir.module import Function, Module

BACKENDS = ("torch", "jax")
SPECS = Path(__file__).parent / "specs"
SMALL, LARGE = 100, 100_000
FEW, MANY = 1, 50
BAR = Bar(1.2, "at most")


# ---------------------------------------------------------------- counting


def operations(functions: "Iterable[Function]") -> int:
    """Lines of the functions, those of loop bodies included, however often they run."""
    from cortexspec.contracts.program import all_lines

    return sum(1 for function in functions for _ in all_lines(function))


def operations_of_module(module: "Module") -> int:
    return operations(module.functions.values())


def operations_a_step(module: "Module") -> int:
    """Lines of the body of the rollout's loop that are lines of the program too: to rename an axis is none."""
    from cortexspec.contracts.program import all_lines
    from cortexspec.ir.ops.scan import Scan
    from cortexspec.ir.ops.shape import Rename

    bodies = [line.op.body for line in module.function("rollout").body if isinstance(line.op, Scan)]
    return sum(1 for body in bodies for line in all_lines(body) if not isinstance(line.op, Rename))


@dataclass(frozen=True)
class Count:
    """How many operations two sizes of one circuit have; they must be the same."""

    what: str
    backend: str
    small: int
    large: int

    @property
    def verdict(self) -> Verdict:
        return "met" if self.small == self.large else "missed"

    def __str__(self) -> str:
        return f"{self.what}, {self.backend}: {self.small} and {self.large}: {self.verdict}"


# ---------------------------------------------------------------- compiling


def sheet(size: int, backend: str) -> "Module":
    """Text to executable: the optimised module of the program."""
    text = (SPECS / "sheet.cortex").read_text(encoding="utf-8")
    return _executable(text, "sheet", {"n": size}, backend, dt="1 ms", duration="100 ms")


def columns(regions: int, backend: str) -> "Module":
    text = (SPECS / "cmc_ode.cortex").read_text(encoding="utf-8")
    return _executable(text, "cmc_ode", {"regions": regions}, backend, dt="3.65 ms", duration="73 ms")


def _executable(text: str, circuit: str, arguments: dict[str, int], backend: str, **simulate: str) -> "Module":
    import cortexspec as cs

    sim = cs.compile(cs.parse(text), circuit, arguments=arguments, backend=backend, solver="euler", **simulate)
    return sim.module.bound.module


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = command("compile_time", __doc__.split("\n")[0]).parse_args(arguments)
    context = pinned(chosen, BACKENDS)

    small, large = f"{SMALL} neurons", f"{LARGE} neurons"
    rows, counts = [], []
    for backend in BACKENDS:
        runs = {small: lambda b=backend: sheet(SMALL, b), large: lambda b=backend: sheet(LARGE, b)}
        timings = interleave(runs, chosen.rounds, at_least=0.0)
        rows.append(compare(timings, backend, "text to executable", small, large, BAR))
        sizes = [operations_of_module(sheet(size, backend)) for size in (SMALL, LARGE)]
        counts.append(Count(f"operations of {SMALL} and {LARGE} neurons", backend, *sizes))
        steps = [operations_a_step(columns(regions, backend)) for regions in (FEW, MANY)]
        counts.append(Count(f"operations a step of {FEW} and {MANY} regions", backend, *steps))

    told = [vars(count) | {"verdict": count.verdict} for count in counts]
    failed = exit_code(count.verdict for count in counts)
    return max(tell(chosen, "Time to compile", rows, context, counts, counts=told), failed)


if __name__ == "__main__":
    sys.exit(main())
