"""`python -m benchmarks.rnn`: a training step of a relu network, ours against torch and `lax.scan` by hand, torch's RNN kernel among them.

Prints rival / ours in CPU time, float32, with and without the communicability penalty, and exits with 1 where a bar is missed.
In each framework the fastest program by hand is the rival. At N = 312 the penalty, forward and backward, is also timed alone,
and the whole step beside plain torch's. `benchmarks.rnn_workload` says what is computed, `benchmarks.rivals` how others do it.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks.measure import (
    FRAMEWORKS,
    Bar,
    Framework,
    Row,
    command,
    compare,
    interleave,
    pinned,
    tell,
)

if TYPE_CHECKING:
    from benchmarks.rivals.program import Training
    from benchmarks.rnn_workload import Case, Problem

PACKAGES = ("torch", "jax", "scipy")
OURS = "{} ours"
ON_EACH = Bar(0.85)
PENALTY = Bar(2.5)
WHOLE_STEP = Bar(1.25)
LARGEST = 312


def entrants(case: "Case", problem: "Problem", frameworks: Sequence[Framework]) -> "dict[str, Training]":
    """Every program for a case, by framework and name."""
    from benchmarks import ours_rnn

    programs: dict[str, Training] = {}
    for framework in frameworks:
        programs[OURS.format(framework)] = ours_rnn.program(case, problem, framework)
        programs |= {f"{framework} {name}": made for name, made in _by_hand(framework).programs(case, problem).items()}
    return programs


def penalties(case: "Case", problem: "Problem", frameworks: Sequence[Framework]) -> "dict[str, Training]":
    """The penalty alone."""
    from benchmarks import ours_rnn

    programs: dict[str, Training] = {}
    for framework in frameworks:
        programs[OURS.format(framework)] = ours_rnn.penalty_program(case, problem, framework)
        programs[f"{framework} expm"] = _by_hand(framework).penalty_program(problem)
    return programs


def _by_hand(framework: Framework):
    from importlib import import_module

    return import_module(f"benchmarks.rivals.rnn_{framework}")


def require_right(programs: "Mapping[str, Training]", expected: float, what: str) -> None:
    """A fast wrong program is no rival: the loss must be that of the plain equations in float64, the gradients those of all others."""
    import numpy as np

    found = {name: program.value_and_gradients() for name, program in programs.items()}
    gradients = [gradients for _, gradients in found.values()]
    middle = [np.median([each[i] for each in gradients], axis=0) for i in range(len(gradients[0]))]
    for name, (value, own) in found.items():
        apart = [float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(own, middle, strict=True)]
        if not max(abs(value / expected - 1), *apart) < 1e-4:
            raise SystemExit(
                f"{name} at {what}: the loss is {value:.6f}, not {expected:.6f}; gradients differ by {apart}"
            )


def rows_of(case: "Case", rounds: int, frameworks: Sequence[Framework], every: bool) -> list[Row]:
    """A training step, and at the largest size the penalty alone."""
    from benchmarks.rnn_workload import draw, loss, penalty

    problem, exact = draw(case, "float32"), draw(case, "float64")
    programs = entrants(case, problem, frameworks)
    require_right(programs, loss(exact, case.penalty), str(case))
    timings = interleave({name: program.step for name, program in programs.items()}, rounds)
    rows: list[Row] = []
    for framework in frameworks:
        ours = OURS.format(framework)
        rivals = [name for name in programs if name.startswith(framework) and name != ours]
        best = timings.fastest(rivals)
        rows.append(compare(timings, str(case), "training step", ours, best, ON_EACH))
        rows += [compare(timings, str(case), "training step", ours, name) for name in rivals if every and name != best]
    largest = case.penalty and case.n == LARGEST
    if largest and "torch" in frameworks:
        plain = timings.fastest([name for name in programs if name.startswith("torch loop")])
        rows.append(compare(timings, str(case), "step, custom adjoint", OURS.format("torch"), plain, WHOLE_STEP))
    if largest:
        alone = penalties(case, problem, frameworks)
        require_right(alone, penalty(exact.W, exact.D), f"{case} alone")
        timings = interleave({name: program.step for name, program in alone.items()}, rounds)
        for framework in frameworks:
            bar = PENALTY if framework == "torch" else ON_EACH
            rows.append(compare(timings, str(case), "penalty alone", OURS.format(framework), f"{framework} expm", bar))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command("rnn", __doc__.split("\n")[0], "--framework", "--every", "--case")
    parser.add_argument("--channels", type=int, choices=(3, 8), default=3, help="inputs: 3, or 8 with 4 classes")
    chosen = parser.parse_args(arguments)
    context = pinned(chosen, PACKAGES)
    from dataclasses import replace

    from benchmarks.rnn_workload import CASES

    rows: list[Row] = []
    for number in chosen.case or range(len(CASES)):
        case = replace(CASES[number], channels=chosen.channels, classes=2 if chosen.channels == 3 else 4)
        rows += rows_of(case, chosen.rounds, tuple(chosen.framework or FRAMEWORKS), chosen.every)
        print(f"{case}: timed", file=sys.stderr)
    return tell(chosen, f"Relu network, batch 128, 41 steps, {chosen.channels} inputs, float32", rows, context)


if __name__ == "__main__":
    sys.exit(main())
