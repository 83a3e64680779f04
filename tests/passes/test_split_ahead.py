"""A function in two parts gives what the whole gives, and its second part is the same for every network."""

import numpy as np

import cortexspec as cs
from cortexspec.interpreter import run
from cortexspec.ir.printer import print_function
from cortexspec.passes.split_ahead import split_ahead
from cortexspec.runtime.compile import Wanted

TEXT = """
neuron unit {
  param b = 0
  input u
  state x ~ bernoulli(0.5)
  let η = normal(0, 1)
  x <- bernoulli(sigmoid(u + b*η))
  output x
}

circuit net {
  param g = 2
  population a[8] : unit
  connect loop: a -> a { rule = bernoulli(0.4); weight ~ lognormal(0, 1) }
  connect back: a -> a { rule = fixed_total(5); weight = -g }
}
"""


def functions(seed: int, zeros: tuple[str, ...] = ()):
    sim = cs.compile(cs.parse(TEXT), dt=1, seed=seed, dtype="float64")
    loaded = sim.load(Wanted(record=("a.x",), zeros=zeros), 5, trials=3)
    whole = loaded.module.function("rollout")
    known = {entry.value.name for entry in (*loaded.module.params, *loaded.module.buffers)}
    parts = split_ahead(whole, known)
    assert parts is not None
    return sim, loaded.module, whole, parts


def test_both_parts_are_the_whole() -> None:
    sim, module, whole, (ahead, rest) = functions(1)
    values = {**sim.raw_parameters(), **sim.buffers(), "seed": np.array(1), "trial": np.arange(3)}
    sizes = {**sim.sizes, "trial": 3, "time": 5}
    expected = run(whole, values, sizes, module.layout)["a.x"]
    made = run(ahead, values, sim.sizes, module.layout)
    assert expected.any() and (run(rest, {**values, **made}, sizes, module.layout)["a.x"] == expected).all()


def test_the_rest_reads_no_edges_and_is_the_same_for_every_network() -> None:
    texts: set[str] = set()
    for seed in (1, 2):
        sim, _, _, (ahead, rest) = functions(seed)
        assert sim.sizes["loop.edges"] > 0 and {"loop.pre", "loop.weight"} <= {value.name for value in ahead.inputs}
        assert not any(axis.role == "edge" for value in rest.inputs for axis in value.type.axes)
        texts.add(print_function(rest))
    assert len(texts) == 1


def test_noise_of_size_zero_is_not_drawn() -> None:
    _, _, whole, _ = functions(1)
    _, _, quiet, _ = functions(1, zeros=("a.b",))
    assert "random.normal" in print_function(whole) and "random.normal" not in print_function(quiet)


def test_nothing_is_split_off_where_nothing_is_known() -> None:
    _, _, whole, _ = functions(1)
    assert split_ahead(whole, ()) is None
