"""A ring of delayed spikes is written into where autograd follows nothing, and made anew where it does."""

import numpy as np
import pytest
import torch

import cortexspec as cs
from cortexspec.testing.spiking import lif

NET = """
circuit net {
  population a[210] : lif
  start a.v = 15 mV*uniform(0, 1)
  connect wires: a -> a { rule = bernoulli(5%); weight ~ uniform(-1 mV, 2 mV) trainable; delay ~ uniform(0.2 ms, 1.4 ms) }
}
"""


def compiled(gradient: str = "auto") -> cs.Simulation:
    text = f"{lif()}\n{NET}"
    return cs.compile(
        cs.parse(text), "net", backend="torch", dtype="float64", dt="0.1 ms", duration="6 ms", solver="exact", seed=4,
        gradient=gradient,
    )  # fmt: skip


def test_a_run_leaves_what_it_began_with_as_it_was() -> None:
    simulation = compiled()
    first, second = (simulation.simulate(record=["a.v"])["a.v"].values for _ in range(2))
    *_, loaded = simulation._loaded.values()
    assert "deliver_within(" in loaded.simulator.program and "put_within(" in loaded.simulator.program
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("gradient", ["native", "ir"])
def test_gradients_go_through_a_ring_that_a_run_without_them_writes_into(gradient: str) -> None:
    simulation = compiled(gradient)
    value, found = simulation.value_and_grad("mean(a.v[time = end])/(1 mV)")
    run = simulation.simulate(record=["a.v"])["a.v"].values
    assert value == pytest.approx(run[0, -1].mean(), rel=1e-12)
    other = cs.compile(
        cs.parse(f"{lif()}\n{NET}"), "net", dtype="float64", dt="0.1 ms", duration="6 ms", solver="exact", seed=4
    )
    _, wanted = other.value_and_grad("mean(a.v[time = end])/(1 mV)")
    np.testing.assert_allclose(found["wires.weight"], wanted["wires.weight"], rtol=1e-10, atol=1e-12)
    assert np.abs(found["wires.weight"]).max() > 0


def test_what_autograd_follows_is_not_written_into() -> None:
    from cortexspec_torch.emit.helpers import put_within

    x, row, index = torch.zeros(3, 2), torch.ones(1, 2, requires_grad=True), torch.tensor([1])
    made = put_within(x, 0, index, row)
    assert x.sum() == 0 and made.sum() == 2 and made.requires_grad
    with torch.no_grad():
        assert put_within(x, 0, index, row) is x and x.sum() == 2
