"""`python -m benchmarks.delays`: what the pass `settle-rings` gives, a run without it over the same run with it, in CPU time.

Leaky integrate-and-fire neurons with one delay for all connections (circuit `delayed` of specs/lif.cortex), and the cortical microcircuit
at a tenth of its scale, where each connection has its own, float32. Both programs must give the same spikes before they are timed. The bar
is what a pass is worth having for. Exits with 1 where it is missed. See docs/decisions/0065.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import FRAMEWORKS, Bar, Row, command, compare, interleave, pinned, tell

PACKAGES = ("jax", "torch", "numpy")
PASS = "settle-rings"
WITH, WITHOUT = f"with {PASS}", "without"
BAR = Bar(1.2)
DT = 0.1  # ms
LIF = Path(__file__).parent / "specs" / "lif.cortex"
MICROCIRCUIT = Path(__file__).parents[1] / "specs" / "gallery" / "potjans_diesmann.cortex"
SPIKES = ("L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")


@dataclass(frozen=True)
class Case:
    name: str
    spec: Path
    circuit: str
    arguments: dict[str, Any]
    record: tuple[str, ...]
    steps: dict[str, int]  # by framework: so many that starting a run does not show


def _lif(neurons: int, jax: int, torch: int) -> Case:
    sizes = {"N_E": neurons * 4 // 5, "N_I": neurons // 5, "K_E": 400, "K_I": 100, "J": "0.14 mV", "d": "1.5 ms"}
    name = f"{neurons:,} neurons, 500 connections each, one delay"
    return Case(name, LIF, "delayed", sizes, ("cells.fired[time = end]",), {"jax": jax, "torch": torch})


CASES = (
    _lif(1000, 5000, 500),
    _lif(4000, 2000, 300),
    _lif(40_000, 300, 100),
    Case(
        "microcircuit, a tenth, a delay a connection",
        MICROCIRCUIT,
        "microcircuit",
        {"scale": 0.1},
        tuple(f"{name}.spike" for name in SPIKES),
        {"jax": 1000, "torch": 300},
    ),
)


def program(case: Case, framework: str, settled: bool) -> Callable[[], Any]:
    import cortexspec as cs
    from cortexspec.passes.pipeline import DEFAULT
    from cortexspec.runtime.registry import load_backend

    steps = tuple(load_backend(framework).pipeline) or DEFAULT
    simulation = cs.compile(
        cs.load(case.spec),
        case.circuit,
        case.arguments,
        backend=framework,
        dt=f"{DT} ms",
        duration=f"{case.steps[framework] * DT} ms",
        solver="exact",
        seed=1,
        pipeline=steps if settled else tuple(step for step in steps if step != PASS),
    )
    return lambda: simulation.simulate(record=case.record)


def require_same_spikes(case: Case, programs: dict[str, Callable[[], Any]]) -> None:
    import numpy as np

    runs = [programs[name]() for name in (WITH, WITHOUT)]
    names = [name.partition("[")[0] for name in case.record]
    if not all(np.array_equal(runs[0][name].values, runs[1][name].values) for name in names):
        raise SystemExit(f"{case.name}: other spikes {WITHOUT} the pass")
    if not any(runs[0][name].values.any() for name in names):
        raise SystemExit(f"{case.name}: no spikes")


def timed(case: Case, framework: str, rounds: int) -> Row:
    programs = {WITH: program(case, framework, True), WITHOUT: program(case, framework, False)}
    require_same_spikes(case, programs)
    timings = interleave(programs, rounds)
    row = compare(timings, case.name, framework, WITH, WITHOUT, BAR)
    steps = case.steps[framework]
    told = ", ".join(f"{name} {timings.median(name) / steps * 1e6:.0f} µs" for name in programs)
    print(f"{case.name}, {framework}, {steps} steps: a step {told}", file=sys.stderr, flush=True)
    return row


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = (parser := command("delays", __doc__, "--framework", "--case")).parse_args(arguments)
    if any(number not in range(len(CASES)) for number in chosen.case or ()):
        parser.error(f"there are the cases 0 to {len(CASES) - 1}")
    context = pinned(chosen, PACKAGES)
    frameworks = chosen.framework or FRAMEWORKS
    cases = [CASES[number] for number in chosen.case or range(len(CASES))]
    rows = [timed(case, framework, chosen.rounds) for case in cases for framework in frameworks]
    return tell(
        chosen, "Delayed spikes that lie still: a run without the pass over one with it, float32", rows, context
    )


if __name__ == "__main__":
    sys.exit(main())
