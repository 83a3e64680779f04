"""Rings of trains that make jumps: the same values, gradients and end states as rings that move, in segments and around them."""

from functools import cache

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.passes.pipeline import DEFAULT
from cortexspec.runtime.compile import Wanted
from cortexspec.testing.spiking import lif

SPEC = (
    lif("fast_sigmoid(0.4 mV^-1)")
    + """
circuit net {
  param J = 0.5 mV trainable; param K = 0.3 mV trainable
  population a[210] : lif
  population b[230] : lif
  start a.v = 15 mV*uniform(0, 1)
  start b.v = 15 mV*uniform(0, 1)
  connect each: a -> b { rule = bernoulli(0.1); weight ~ uniform(-1 mV, 1 mV) trainable; delay ~ uniform(0.2 ms, 0.9 ms) }
  connect shared: b -> a { rule = bernoulli(0.1); weight = J; delay ~ uniform(0.1 ms, 0.6 ms) }
  connect one: b -> b { rule = bernoulli(0.1); weight = K; delay = 0.7 ms }
  connect near: a -> a { rule = bernoulli(0.1); weight = K; delay = 0.1 ms }
}
"""
)
LOSS = "mean(a.v^2)/(1 mV^2) + mean(b.v)/(1 mV)"
MOVING = tuple(step for step in DEFAULT if step != "settle-rings")
SEGMENTS = ("checkpoint", {"segment": 9})
PIPELINES = {
    "plain": DEFAULT,
    "alone": ("settle-rings",),
    "segments inside": (SEGMENTS, *DEFAULT),
    "around": (*DEFAULT, SEGMENTS),
}


def compiled(backend, pipeline):
    settings = {"dtype": "float64", "dt": "0.1 ms", "duration": "3.1 ms", "solver": "exact", "seed": 4}
    return cs.compile(cs.parse(SPEC), "net", backend=backend, pipeline=pipeline, **settings)


def found(backend, pipeline):
    simulation = compiled(backend, pipeline)
    ends = [f"{name}.delay.ring[time = end]" for name in ("each", "shared", "one", "near")]
    run = simulation.simulate(record=["a.spike", "b.v", "a.v"], trials=2)
    loaded, given = loaded_arrays(simulation)
    arrays: dict[str, np.ndarray] = {}
    for name in ends:
        (state,) = (one.value for one in loaded.module.states if f"{one.value.name}[time = end]" == name)
        axes = loaded.module.layout.sort(state.type.names)
        arrays[name] = given[name].transpose([axes.index(axis) for axis in sorted(axes)])
    return run, arrays, simulation.value_and_grad(LOSS, trials=2)


def loaded_arrays(simulation):
    """The program that gives all states at the end, and what it gives."""
    given = simulation._given({}, 2)
    steps = simulation._frames(given, None)
    loaded = simulation.load(Wanted((), tuple(simulation.states)), steps, streams=given.streams, trials=2)
    arrays = simulation._call(loaded, "rollout", given, None, None, 0)
    return loaded, {name: np.asarray(array) for name, array in arrays.items()}


@cache
def moving():
    return found("interpreter", MOVING)


def assert_same(here, wanted):
    (run, ends, (value, gradients)), (run_, ends_, (value_, gradients_)) = here, wanted
    np.testing.assert_array_equal(run["a.spike"], run_["a.spike"])
    for name in ("a.v", "b.v"):
        np.testing.assert_allclose(run[name], run_[name], rtol=0, atol=1e-11)
    for name, array in ends_.items():
        assert np.abs(array).max() > 0
        np.testing.assert_allclose(ends[name], array, rtol=0, atol=1e-12 * np.abs(array).max())
    np.testing.assert_allclose(value, value_, rtol=1e-12)
    assert gradients.keys() == gradients_.keys()
    for name, array in gradients_.items():
        np.testing.assert_allclose(gradients[name], array, rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_rings_in_place_mean_what_moving_ones_mean(pipeline):
    assert_same(found("interpreter", PIPELINES[pipeline]), moving())


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_engines_agree(backend):
    assert_same(found(backend, None), moving())
    simulation = compiled(backend, None)
    simulation.simulate(record=["a.v"])
    assert ("index_copy" if backend == "torch" else "dynamic_update_index_in_dim") in simulation.program


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_engines_agree_where_rings_move(backend):
    assert_same(found(backend, MOVING), moving())
