"""`python -m benchmarks.cmc`: the CMC neural ODE, ours against torchdiffeq, diffrax and loops fused by hand.

Prints rival / ours in CPU time for the forward run and the training step at three sizes, and exits with 1 where a bar
is missed. `benchmarks.workload` says what is computed, `benchmarks.rivals` how the others compute it. Of the
hand-written formulations of a framework the fastest one at each size and task is the rival.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from benchmarks.measure import (
    FRAMEWORKS,
    Bar,
    Framework,
    Row,
    Timings,
    command,
    compare,
    interleave,
    pinned,
    tell,
)

if TYPE_CHECKING:
    from benchmarks.rivals.program import Program
    from benchmarks.workload import Case

Kind: TypeAlias = Literal["ours", "hand-fused", "torchdiffeq", "diffrax"]
Task: TypeAlias = Literal["forward", "training step"]

TASKS: tuple[Task, ...] = ("forward", "training step")
LIBRARY: Mapping[Framework, Kind] = {"torch": "torchdiffeq", "jax": "diffrax"}
PACKAGES = ("torch", "jax", "torchdiffeq", "diffrax")

BARS: Mapping[tuple[Framework, Kind, str], Bar] = {
    ("jax", "hand-fused", "(128, 1)"): Bar(0.9),
    ("jax", "hand-fused", "(1024, 5)"): Bar(0.9),
    ("jax", "hand-fused", "(4096, 5)"): Bar(0.9),
    ("torch", "hand-fused", "(128, 1)"): Bar(0.7),
    ("torch", "hand-fused", "(1024, 5)"): Bar(0.85),
    ("torch", "hand-fused", "(4096, 5)"): Bar(0.85),
    ("torch", "torchdiffeq", "(128, 1)"): Bar(3),
    ("torch", "torchdiffeq", "(1024, 5)"): Bar(3),
    ("jax", "diffrax", "(1024, 5)"): Bar(3),
}
"""On the training step, by framework, rival and (batch, regions)."""


@dataclass(frozen=True)
class Entrant:
    """Who computes: a framework, a kind of program, and a formulation where there are several."""

    framework: Framework
    kind: Kind
    formulation: str = ""

    def __str__(self) -> str:
        return f"{self.framework} {self.kind}" + (f", {self.formulation}" if self.formulation else "")


def entrants(case: "Case", frameworks: Sequence[Framework]) -> "dict[Entrant, Program]":
    """Every program for a case, each on the same parameters and start, all checked to compute the same."""
    from benchmarks import ours
    from benchmarks.workload import draw_parameters, draw_start

    parameters, start = draw_parameters(case, "float32"), draw_start(case, "float32")
    programs: dict[Entrant, Program] = {}
    if "torch" in frameworks:
        from benchmarks.rivals import cmc_torch

        programs[Entrant("torch", "ours")] = ours.torch_program(case, parameters, start)
        programs[Entrant("torch", "torchdiffeq")] = cmc_torch.torchdiffeq_program(parameters, start)
        for name, program in cmc_torch.hand_fused_programs(case, parameters, start).items():
            programs[Entrant("torch", "hand-fused", name)] = program
    if "jax" in frameworks:
        from benchmarks.rivals import cmc_jax

        programs[Entrant("jax", "ours")] = ours.jax_program(case, parameters, start)
        programs[Entrant("jax", "diffrax")] = cmc_jax.diffrax_program(parameters, start)
        for name, program in cmc_jax.hand_fused_programs(parameters, start).items():
            programs[Entrant("jax", "hand-fused", name)] = program
    for entrant, program in programs.items():
        require_right(entrant, program, case)
    return programs


def require_right(entrant: Entrant, program: "Program", case: "Case") -> None:
    """A fast wrong program is no rival: loss and trajectory end must be those of the plain equations in float64."""
    import numpy as np

    from benchmarks.workload import POPULATIONS, draw_parameters, draw_start, loss, simulate

    v, _ = simulate(draw_parameters(case, "float64"), *(x.astype("float64") for x in draw_start(case, "float32")))
    expected = v[:, :, POPULATIONS.index("sp")]
    end = np.max(np.abs(np.asarray(program.forward()) - expected)) / np.max(np.abs(expected))
    value = abs(program.value_and_gradients()[0] / loss(v) - 1)
    if not max(end, value) < 1e-4:
        raise SystemExit(f"{entrant} at {case}: the end differs by {end:.1e}, the loss by {value:.1e}, relatively")


def rows_of(timings: Mapping[Entrant, tuple[float, ...]], case: "Case", task: Task, every: bool) -> list[Row]:
    """Ours against each rival of its framework; of the formulations by hand the fastest, or every one."""
    times = Timings({str(entrant): seconds for entrant, seconds in timings.items()})
    rows: list[Row] = []
    for framework in FRAMEWORKS:
        ours, library = Entrant(framework, "ours"), Entrant(framework, LIBRARY[framework])
        if ours not in timings:
            continue
        by_hand = [str(e) for e in timings if e.framework == framework and e.kind == "hand-fused"]
        best = times.fastest(by_hand)
        for rival, kind in ((best, "hand-fused"), (str(library), library.kind)):
            bar = BARS.get((framework, kind, str(case))) if task == "training step" else None
            rows.append(compare(times, str(case), task, str(ours), rival, bar))
        if every:
            rows += [compare(times, str(case), task, str(ours), other) for other in by_hand if other != best]
    return rows


def run(rounds: int, frameworks: Sequence[Framework], every: bool) -> list[Row]:
    """Build, check and time everything, one case after the other."""
    from benchmarks.workload import CASES

    rows: list[Row] = []
    for case in CASES:
        programs = entrants(case, frameworks)
        for task in TASKS:
            runs = {str(e): p.forward if task == "forward" else p.step for e, p in programs.items()}
            timings = interleave(runs, rounds)
            rows += rows_of({e: timings.seconds[str(e)] for e in programs}, case, task, every)
            print(f"{case} {task}: timed", file=sys.stderr)
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = command("cmc", __doc__.split("\n")[0], "--framework", "--every").parse_args(arguments)
    context = pinned(chosen, PACKAGES)
    rows = run(chosen.rounds, tuple(chosen.framework or FRAMEWORKS), chosen.every)
    return tell(chosen, "CMC neural ODE, 20 Euler steps, (batch, regions), float32", rows, context)


if __name__ == "__main__":
    sys.exit(main())
