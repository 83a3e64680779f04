"""`python -m benchmarks.elm`: a layer of ELM neurons, forward and training step, ours against torch and `lax.scan` by hand.

Prints rival / ours in CPU time, float32, the memory of JAX's training steps, and how it grows where T doubles and gradients are
checkpointed; exits with 1 where a bar is missed. In each framework the fastest program by hand is the rival.
`benchmarks.elm_workload` says what is computed, `benchmarks.rivals` how others do it.
"""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks.measure import (
    FRAMEWORKS,
    Bar,
    Framework,
    Row,
    Run,
    Timings,
    command,
    compare,
    interleave,
    pinned,
    tell,
)

if TYPE_CHECKING:
    from benchmarks.elm_workload import Problem, Program

PACKAGES = ("torch", "jax")
OURS = "{} ours"
FORWARD = Bar(0.85)
OVER_GRADIENT = Bar(2)
OVER_CHECKPOINT = Bar(1)
HEATS, NEAR = 3, 1.2
"""Programs by hand run a few rounds first; those this near to the fastest of their kind are timed beside ours."""
MOST_GROWTH = 1.5
SEGMENTS = {100: 10, 200: 10}
"""Steps of a segment: divisors of the number of steps, near its root, since what is left over takes memory of its own."""


def entrants(problem: "Problem", framework: Framework, compiled: bool) -> "dict[str, Program]":
    from benchmarks import ours_elm

    if framework == "torch":
        from benchmarks.rivals import elm_torch

        by_hand = elm_torch.programs(problem, compiled)
    else:
        from benchmarks.rivals import elm_jax

        by_hand = elm_jax.programs(problem)
    ours = {OURS.format(framework): ours_elm.program(problem, framework)}
    return ours | {f"{framework} {name}": one for name, one in by_hand.items()}


def require_right(programs: "Mapping[str, Program]", expected: float) -> None:
    """A fast wrong program is no rival: the loss must be that of the plain equations, the gradients those of all others."""
    import numpy as np

    found = {name: program.value_and_gradients() for name, program in programs.items()}
    first = next(iter(found.values()))[1]
    middle = {name: np.median([each[name] for _, each in found.values()], axis=0) for name in first}
    for program, (value, own) in found.items():
        apart = {name: float(np.abs(own[name] - one).max() / np.abs(one).max()) for name, one in middle.items()}
        if not max(abs(value / expected - 1), *apart.values()) < 1e-4:
            raise SystemExit(f"{program}: the loss is {value:.6f}, not {expected:.6f}; gradients differ by {apart}")


def finalists(runs: Mapping[str, Run], kinds: Sequence[Sequence[str]]) -> list[str]:
    timings = interleave(runs, HEATS)
    best = [timings.median(timings.fastest(kind)) for kind in kinds]
    return [name for kind, one in zip(kinds, best, strict=True) for name in kind if timings.median(name) <= NEAR * one]


def rows_of(problem: "Problem", framework: Framework, rounds: int, compiled: bool, every: bool) -> list[Row]:
    """The forward run and the training step of one framework."""
    from benchmarks.elm_workload import loss

    programs = entrants(problem, framework, compiled)
    require_right(programs, loss(problem))
    for name, program in programs.items():
        if program.bytes is not None:
            print(f"{name}: {program.bytes / 1e6:.0f} MB", file=sys.stderr)
    ours, rivals = OURS.format(framework), [name for name in programs if name != OURS.format(framework)]
    rows: list[Row] = []
    kinds = [[name for name in rivals if ("checkpointed" in name) == again] for again in (False, True)]

    def timed(runs: Mapping[str, Run], kinds: Sequence[Sequence[str]]) -> tuple[Timings, list[str]]:
        entered = {name: runs[name] for kind in kinds for name in kind}
        left = list(entered) if every else finalists(entered, kinds)
        return interleave({name: runs[name] for name in (ours, *left)}, rounds), left

    timings, left = timed({name: program.forward for name, program in programs.items()}, kinds[:1])
    best = timings.fastest(left)
    rows.append(compare(timings, framework, "forward", ours, best, FORWARD))
    rows += [compare(timings, framework, "forward", ours, name) for name in left if every and name != best]
    steps = {name: program.step for name, program in programs.items()}
    timings, left = timed(steps, [kind for kind in kinds if kind])
    bars = (OVER_GRADIENT, OVER_CHECKPOINT) if framework == "jax" else (None, None)
    best = ""
    for kind, bar in zip(kinds, bars, strict=True):
        if kind:
            best = timings.fastest([name for name in left if name in kind])
            rows.append(compare(timings, framework, "training step", ours, best, bar))
    rows += [compare(timings, framework, "training step", ours, name) for name in left if every and name != best]
    return rows


def growth() -> float:
    """How many times the memory of JAX's checkpointed training step is taken where T doubles."""
    from benchmarks import ours_elm

    sizes: list[int] = []
    for steps, segment in SEGMENTS.items():
        found = ours_elm.program(ours_elm.drawn(steps, "float32"), "jax", segment).bytes
        assert found is not None
        sizes.append(found)
        print(f"jax ours, T = {steps}, a state in {segment} steps kept: {found / 1e6:.1f} MB", file=sys.stderr)
    return sizes[1] / sizes[0]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = command("elm", __doc__.split("\n")[0], "--framework", "--every")
    parser.add_argument("--no-compile", action="store_true", help="without `torch.compile`, which takes minutes")
    chosen = parser.parse_args(arguments)
    context = pinned(chosen, PACKAGES)
    from benchmarks import ours_elm
    from benchmarks.elm_workload import STEPS

    problem = ours_elm.drawn(STEPS, "float32")
    frameworks: Sequence[Framework] = chosen.framework or FRAMEWORKS
    rows: list[Row] = []
    for framework in frameworks:
        rows += rows_of(problem, framework, chosen.rounds, not chosen.no_compile, chosen.every)
        print(f"{framework}: timed", file=sys.stderr)
    grown, beside = 0.0, list[str]()
    if "jax" in frameworks:
        grown = growth()
        beside = [f"memory of the checkpointed step where T doubles: {grown:.2f} times, at most {MOST_GROWTH}"]
    title = "ELM layer, N = 128, T = 100, batch 32, float32"
    return max(tell(chosen, title, rows, context | {"growth": grown}, beside), int(grown > MOST_GROWTH))


if __name__ == "__main__":
    sys.exit(main())
