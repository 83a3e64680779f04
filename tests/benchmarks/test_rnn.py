"""The programs of the RNN benchmark at small sizes compute the workload: loss and gradients of the plain equations."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch.nn")
pytest.importorskip("jax.numpy")

import jax

from benchmarks import rnn
from benchmarks.rnn_workload import CASES, NAMES, Case, draw, loss, penalty

SMALL = Case(7, True, channels=3, classes=3, batch=5, steps=6)


def along(problem, gradients, with_penalty):
    """The change of the loss along a direction in all arrays: by the gradients, and by central differences."""
    rng, h = np.random.default_rng(2), 1e-6
    ways = {name: rng.normal(size=getattr(problem, name).shape) for name in NAMES}
    ends = [
        loss(
            replace(problem, **{name: getattr(problem, name) + s * h * way for name, way in ways.items()}), with_penalty
        )
        for s in (1, -1)
    ]
    return sum(float(np.sum(g * ways[name])) for name, g in zip(NAMES, gradients, strict=True)), np.diff(ends[::-1])[
        0
    ] / (2 * h)


@pytest.mark.parametrize(("with_penalty", "frameworks", "count"), [(False, rnn.FRAMEWORKS, 9), (True, ("torch",), 4)])
def test_every_program_computes_the_workload(with_penalty, frameworks, count):
    case = replace(SMALL, penalty=with_penalty)
    problem = draw(case, "float64")
    with jax.enable_x64(True):
        programs = rnn.entrants(case, problem, frameworks)
        assert len(programs) == count
        found = {name: program.value_and_gradients() for name, program in programs.items()}
        first = found["torch ours"][1]
        for name, (value, gradients) in found.items():
            assert value == pytest.approx(loss(problem, with_penalty), rel=1e-12), name
            for which, one, same in zip(NAMES, gradients, first, strict=True):
                np.testing.assert_allclose(
                    one, same, rtol=0, atol=1e-12 * np.abs(same).max(), err_msg=f"{name} {which}"
                )
        slope, difference = along(problem, first, with_penalty)
        assert slope == pytest.approx(difference, rel=1e-7)
        for name, program in programs.items():
            if name.startswith("torch"):  # XLA would compile each program once more
                program.step()


def test_the_penalty_alone():
    problem = draw(SMALL, "float64")
    with jax.enable_x64(True):
        programs = rnn.penalties(SMALL, problem, rnn.FRAMEWORKS)
        rnn.require_right(programs, penalty(problem.W, problem.D), "penalty")
        with pytest.raises(SystemExit):
            rnn.require_right(programs, 1.01 * penalty(problem.W, problem.D), "another one")


def test_the_cases_are_those_of_the_bars():
    assert [str(case) for case in CASES] == ["N = 100", "N = 100, penalty", "N = 312", "N = 312, penalty"]
    assert max(case.n for case in CASES) == rnn.LARGEST
