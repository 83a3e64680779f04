"""`python -m benchmarks.binary`: networks of binary neurons, ours against NumPy, torch and a `lax.scan` written by hand.

Prints rival / ours in CPU time, float32, and exits with 1 where a bar is missed. Of the programs by hand the fastest one is the
rival of our fastest engine; each draws from its library's generator, ours draws the counter-based bits that are the same on every
engine. torch and the interpreter stand beside it, in shorter runs, against programs by hand that draw those same bits.
`benchmarks.binary_workload` says what is computed, `benchmarks.rivals` how the others compute it.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.measure import (
    Bar,
    Row,
    command,
    compare,
    interleave,
    pinned,
    tell,
)

if TYPE_CHECKING:
    from benchmarks.binary_workload import Case, Network, Program

BEST = "jax"
PACKAGES = ("jax", "torch", "numpy", "scipy")
OURS = "ours, {}"
ON_EACH = Bar(0.85)
OVER_DENSE = Bar(2)
COUNTED = Bar(2)
FEW_STEPS = 10


def by_hand(case: "Case", network: "Network") -> "dict[str, Program]":
    """Every program of every library, with its own generator."""
    from benchmarks.rivals import binary_jax, binary_numpy, binary_torch

    libraries = {"numpy": binary_numpy, "torch": binary_torch, "jax": binary_jax}
    return {
        f"{library} {name}": program
        for library, written in libraries.items()
        for name, program in written.programs(case, network).items()
    }


def require_right(programs: "Mapping[str, Program]", case: "Case", network: "Network") -> None:
    """A fast wrong program is no rival: the neurons' activities at the end, or the flux, must be those of the plain equations."""
    import numpy as np

    from benchmarks.binary_workload import simulate

    if case.histogram:
        flux = {name: float(program.flux()) for name, program in programs.items() if program.flux is not None}
        middle = float(np.median(list(flux.values())))
        wrong = {name: value for name, value in flux.items() if not abs(value - middle) < 0.01 * middle}
        if wrong or len(flux) < len(programs):
            raise SystemExit(f"{case}: the flux is {middle:.4f} bit, but {wrong}")
        return
    expected = np.mean([simulate(case, network, seed).mean(axis=1) for seed in range(4)], axis=0)
    variance = np.maximum(expected * (1 - expected), 0.01) * (1 + 1 / 4) / case.replicas
    for name, program in programs.items():
        assert program.states is not None
        error = np.sqrt(np.mean((program.states().mean(axis=1) - expected) ** 2 / variance))
        if not error < 1.3:
            raise SystemExit(f"{name} at {case}: activities differ by {error:.2f} standard errors")


def require_same(programs: "Mapping[str, Program]", case: "Case") -> None:
    """Programs of the same bits have the same states, but for a replica in which rounding took one draw over its threshold."""
    import numpy as np

    found = {name: program.states() for name, program in programs.items() if program.states is not None}
    first = next(iter(found.values()))
    for name, states in found.items():
        share = float(np.mean((states == first).all(axis=0)))
        if share < 0.9:
            raise SystemExit(f"{name} at {case}: only {share:.0%} of the replicas have the same states")


def against_libraries(case: "Case", rounds: int, every: bool) -> list[Row]:
    """Our fastest engine against the fastest program by hand."""
    from benchmarks import ours_binary

    simulation = ours_binary.compiled(case, BEST)
    network, ours = ours_binary.network(case, simulation), OURS.format(BEST)
    programs = {ours: ours_binary.program(case, simulation), **by_hand(case, network)}
    require_right(programs, case, network)
    timings = interleave({name: program.run for name, program in programs.items()}, rounds)
    rivals = [name for name in programs if name != ours]
    best = timings.fastest(rivals)
    rows = [compare(timings, str(case), "best by hand", ours, best, ON_EACH)]
    if case.histogram:
        rows.append(compare(timings, str(case), "the same, counting", ours, best, COUNTED))
    if case.density < 1:
        dense = timings.fastest([name for name in rivals if "dense" in name])
        rows.append(compare(timings, str(case), "best dense by hand", ours, dense, OVER_DENSE))
    for library in ("numpy", "torch", "jax"):
        own = timings.fastest([name for name in rivals if name.startswith(library)])
        if own != best:
            rows.append(compare(timings, str(case), f"best of {library}", ours, own))
    told = {row.rival for row in rows}
    return rows + [compare(timings, str(case), "", ours, name) for name in rivals if every and name not in told]


def beside(case: "Case", rounds: int) -> list[Row]:
    """torch and the interpreter in a shorter run, against NumPy and torch by hand with the same bits."""
    from benchmarks import ours_binary
    from benchmarks.rivals import binary_numpy, binary_torch

    short = replace(case, steps=FEW_STEPS, histogram=False)
    ours: dict[str, Any] = {}
    for backend in ("torch", "interpreter"):
        simulation = ours_binary.compiled(short, backend)
        network = ours_binary.network(short, simulation)
        ours[OURS.format(backend)] = ours_binary.program(short, simulation)
    rivals = {"numpy": binary_numpy.with_our_bits(short, network), "torch": binary_torch.with_our_bits(short, network)}
    programs = {**ours, **{f"{name} with the same bits": program for name, program in rivals.items()}}
    require_same(programs, short)
    timings = interleave({name: program.run for name, program in programs.items()}, rounds)
    best = timings.fastest([name for name in programs if name not in ours])
    return [compare(timings, str(replace(case, histogram=False)), f"{FEW_STEPS} steps", name, best) for name in ours]


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = command("binary", __doc__.split("\n")[0], "--every", "--case").parse_args(arguments)
    context = pinned(chosen, PACKAGES)
    from benchmarks.binary_workload import CASES

    rows: list[Row] = []
    for number in chosen.case or range(len(CASES)):
        rows += against_libraries(CASES[number], chosen.rounds, chosen.every)
        rows += beside(CASES[number], chosen.rounds)
        print(f"{CASES[number]}: timed", file=sys.stderr)
    return tell(chosen, "Binary networks, neurons x replicas, float32", rows, context)


if __name__ == "__main__":
    sys.exit(main())
