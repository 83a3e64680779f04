"""The hand-written rivals compute the workload: end, loss and gradients of the plain equations, in float64."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.workload import POPULATIONS, Case, draw_parameters, draw_start, loss, simulate

pytest.importorskip("torch.nn")
pytest.importorskip("torchdiffeq")
jax = pytest.importorskip("jax.numpy") and pytest.importorskip("jax")
pytest.importorskip("diffrax")

from benchmarks.rivals import cmc_jax, cmc_torch  # noqa: E402

NAMES = ("kappa", "gamma", "W", "a")
CASES = (Case(6, 1), Case(7, 3))


def programs(case, parameters, start):
    return {
        "torchdiffeq": cmc_torch.torchdiffeq_program(parameters, start),
        "diffrax": cmc_jax.diffrax_program(parameters, start),
        **{f"torch {n}": p for n, p in cmc_torch.hand_fused_programs(case, parameters, start).items()},
        **{f"jax {n}": p for n, p in cmc_jax.hand_fused_programs(parameters, start).items()},
    }


def central_difference(parameters, start, name):
    """Gradient of the loss of the plain equations by one parameter array."""
    value = getattr(parameters, name)
    gradient = np.zeros_like(value)
    for index in np.ndindex(*value.shape):
        step = 1e-5 * max(abs(value[index]), 0.1)
        ends = []
        for sign in (+1, -1):
            moved = value.copy()
            moved[index] += sign * step
            ends.append(loss(simulate(replace(parameters, **{name: moved}), *start)[0]))
        gradient[index] = (ends[0] - ends[1]) / (2 * step)
    return gradient


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_version_computes_the_same(case):
    parameters, start = draw_parameters(case, "float64"), draw_start(case, "float64")
    v, _ = simulate(parameters, *start)
    end = v[:, :, POPULATIONS.index("sp")]
    reference = {name: central_difference(parameters, start, name) for name in NAMES}
    with jax.enable_x64(True):
        versions = programs(case, parameters, start)
        found = {name: (np.asarray(p.forward()), *p.value_and_gradients()) for name, p in versions.items()}
    exact = found["torchdiffeq"][2]
    for name, (forward, value, gradients) in found.items():
        np.testing.assert_allclose(forward, end, rtol=0, atol=1e-13 * np.abs(end).max(), err_msg=name)
        assert value == pytest.approx(loss(v), rel=1e-12), name
        for which, gradient, same in zip(NAMES, gradients, exact, strict=True):
            scale = max(np.abs(same).max(), 1e-300)
            assert np.abs(gradient - same).max() <= 1e-12 * scale, (name, which)
            assert np.abs(gradient - reference[which]).max() <= 1e-7 * np.abs(reference["gamma"]).max(), (name, which)


def test_regions_and_parameters_matter():
    case = Case(3, 3)
    parameters, start = draw_parameters(case, "float64"), draw_start(case, "float64")
    base = loss(simulate(parameters, *start)[0])
    for name in NAMES:
        moved = replace(parameters, **{name: 1.5 * getattr(parameters, name)})
        assert abs(loss(simulate(moved, *start)[0]) - base) > 1e-6
