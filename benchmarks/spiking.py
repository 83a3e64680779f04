"""`python -m benchmarks.spiking`: leaky integrate-and-fire networks, ours against torch and JAX by hand, Brian2 and NEST.

Prints rival / ours in CPU time, float32, and exits with 1 where a bar is missed. The rival of our fastest engine is the fastest program
by hand of each library. Brian2 (C++ standalone) and NEST are timed in an environment of their own, by the steps alone, after the
others and not interleaved with them; without that environment a line says so. It is made by

    python -m venv .venv-rivals
    .venv-rivals/bin/pip install brian2 "numpy<2.4" setuptools nest-simulator

With `--pure` ours take the form that they have without a C++ compiler, which has a lower bar. Our slower engine is timed over a tenth of
the steps. `benchmarks.spiking_workload` says what is computed, `benchmarks.rivals` how the others compute it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.measure import (
    Bar,
    Row,
    Timings,
    command,
    compare,
    interleave,
    pinned,
    tell,
)

if TYPE_CHECKING:
    from benchmarks.spiking_workload import Case, Network, Program

ENGINES = ("jax", "torch")
PACKAGES = ("jax", "torch", "numpy")
OURS = "ours, {}"
COMPILED, PLAIN = Bar(2), Bar(0.9)  # at K = 1000, with a compiled kernel and without
PART = 10  # of the steps, for the engine that is not our fastest
OWN = Path(__file__).parents[1] / ".venv-rivals" / "bin" / "python"
SIMULATORS = {"Brian2": "spiking_brian2.py", "NEST": "spiking_nest.py"}


def by_hand(case: "Case", network: "Network") -> "dict[str, Program]":
    from benchmarks.rivals import spiking_jax, spiking_torch

    libraries = {"torch": spiking_torch, "jax": spiking_jax}
    return {
        f"{library} {name}": program
        for library, written in libraries.items()
        for name, program in written.programs(case, network).items()
    }


def require_rate(rates: Mapping[str, float], wanted: float, case: "Case") -> None:
    """A fast wrong program is no rival: the rate must be that of the plain equations, which single precision leaves as a mean only."""
    from benchmarks.spiking_workload import RATE_WITHIN

    wrong = {name: rate for name, rate in rates.items() if not abs(rate / wanted - 1) < RATE_WITHIN}
    if wrong:
        raise SystemExit(f"{case}: the rate is {wanted:.2f} Hz, but {wrong}")


def timed(case: "Case", rounds: int, own: Path) -> list[Row]:
    from benchmarks import ours_spiking
    from benchmarks.spiking_workload import rate_of, simulate
    from cortexspec.contracts import native

    simulations = {OURS.format(engine): ours_spiking.compiled(case, engine) for engine in ENGINES}
    network = ours_spiking.network(case, next(iter(simulations.values())))
    ours = {name: ours_spiking.program(case, simulation) for name, simulation in simulations.items()}
    rivals = by_hand(case, network)
    programs = {**ours, **rivals}
    wanted = rate_of(simulate(case, network), case)
    require_rate({name: program.rate() for name, program in programs.items()}, wanted, case)
    parts = {
        name: ours_spiking.program(replace(case, steps=case.steps // PART), simulation)
        for name, simulation in simulations.items()
    }
    best = interleave({name: program.run for name, program in parts.items()}, 1).fastest(ours)
    short = {name: program for name, program in parts.items() if name != best}
    timings = interleave({name: program.run for name, program in {**programs, **short}.items()}, rounds)
    timings = Timings(
        {
            name: tuple(PART * one for one in seconds) if name in short else seconds
            for name, seconds in timings.seconds.items()
        }
    )
    bar = (COMPILED if native.compiler() is not None else PLAIN) if case.degree >= 1000 else None
    rows: list[Row] = []
    for library in ("jax", "torch"):
        own_best = timings.fastest([name for name in rivals if name.startswith(library)])
        rows.append(compare(timings, str(case), f"best of {library}", best, own_best, bar))
    for name in ours:
        if name != best:
            rows.append(compare(timings, str(case), "the other engine", best, name))
    for simulator, seconds in _simulators(case, network, wanted, rounds, own).items():
        both = Timings({best: timings.seconds[best], simulator: seconds})
        rows.append(compare(both, str(case), "steps alone", best, simulator))
    told = ", ".join(f"{row.rival} {row.ratio.median:.2f}" for row in rows)
    print(f"{case}, {wanted:.1f} Hz: {best} {timings.median(best) * 1e3:.0f} ms; {told}", file=sys.stderr)
    return rows


def _simulators(
    case: "Case", network: "Network", wanted: float, rounds: int, own: Path
) -> dict[str, tuple[float, ...]]:
    """CPU seconds of the simulators that the environment has."""
    import numpy as np

    found: dict[str, tuple[float, ...]] = {}
    if not own.exists():
        print(f"Brian2 and NEST are not timed: there is no {own}; --help says how it is made", file=sys.stderr)
        return found
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.npz"
        shape = {"rows": network.rows, "target": network.target, "weight": network.weight, "start": network.start}
        np.savez(path, **shape, drive=network.drive, steps=case.steps)
        for name, script in SIMULATORS.items():
            command = [str(own), str(Path(__file__).parent / "rivals" / script), str(path), str(Path(folder) / name)]
            (Path(folder) / name).mkdir()
            told = subprocess.run(command, input="\n" * rounds, capture_output=True, text=True)
            lines: list[dict[str, Any]] = [json.loads(line) for line in told.stdout.splitlines() if line[:1] == "{"]
            if told.returncode or len(lines) <= rounds:
                print(f"{name} is not timed: {(told.stderr.strip().splitlines() or ['?'])[-1]}", file=sys.stderr)
                continue
            require_rate({name: lines[0]["rate"]}, wanted, case)
            found[name] = tuple(line["seconds"] for line in lines[1:])
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command("spiking", __doc__, "--case")
    parser.add_argument("--steps", type=int, help="of 0.1 ms; 10000 by default, and the rate is checked over these")
    parser.add_argument("--own", type=Path, default=OWN, help="the Python that has Brian2 and NEST")
    parser.add_argument("--pure", action="store_true", help="as without a C++ compiler")
    chosen = parser.parse_args(arguments)
    context = pinned(chosen, PACKAGES)
    if chosen.pure:
        os.environ["CORTEXSPEC_NATIVE"] = "0"
    from benchmarks.spiking_workload import CASES

    rows: list[Row] = []
    for number in chosen.case or range(len(CASES)):
        case = CASES[number] if chosen.steps is None else replace(CASES[number], steps=chosen.steps)
        rows += timed(case, chosen.rounds, chosen.own)
    title = "Leaky integrate-and-fire, 4000 neurons, float32"
    return tell(chosen, f"{title}, without a compiled kernel" if chosen.pure else title, rows, context)


if __name__ == "__main__":
    sys.exit(main())
