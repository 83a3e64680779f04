"""Delayed spikes lie still on their way, and mean what they meant while they were moved."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.contracts.program import all_lines
from cortexspec.ir.ops.shape import Pad
from cortexspec.passes.loop import loop_of
from cortexspec.passes.pipeline import DEFAULT
from cortexspec.testing.spiking import lif

WITHOUT = tuple(step for step in DEFAULT if step != "settle-rings")
# Connections by events with a delay each, some or all of them without; several at one port; one delay for a matrix, and for a part along
# an axis of its own; few connections, which stay.
CIRCUITS = {
    "each": "population a[210] : lif\n  connect wires: a -> a { rule = bernoulli(0.05); weight ~ uniform(-1 mV, 1 mV) trainable; DELAY }",
    "some": "population a[210] : lif\n  attribute a.lag = 0.4 ms*floor(uniform(0, 3))\n"
    "  connect wires: a -> a { rule = bernoulli(0.05); weight ~ uniform(-1 mV, 1 mV) trainable; delay = pre.lag }",
    "at once": "population a[210] : lif\n  attribute a.lag = 0 ms*index\n"
    "  connect wires: a -> a { rule = bernoulli(0.05); weight ~ uniform(-1 mV, 1 mV) trainable; delay = pre.lag }",
    "several": "param J = 0.7 mV  trainable\n  population a[210] : lif\n"
    "  connect wires: a -> a { rule = bernoulli(5%); weight = J; DELAY }\n"
    "  connect a -> a { rule = bernoulli(5%); weight ~ uniform(-1 mV, 1 mV) trainable; delay = 0.3 ms }\n"
    "  connect near: a -> a { rule = fixed_indegree(2); weight = -J; delay = 0.1 ms }\n"
    "  connect late: a -> a { rule = fixed_indegree(2); weight = J; delay = 30 ms }\n"
    "  connect now: a -> a { rule = fixed_indegree(2); weight = J }",
    "shared": "param J = 0.7 mV  trainable\n  population a[210] : lif\n  connect wires: a -> a { rule = bernoulli(5%); weight = J; DELAY }",
    "small": "population a[60] : lif\n  connect wires: a -> a { rule = bernoulli(0.9); weight ~ uniform(-1 mV, 1 mV) trainable; DELAY }",
    "one": "population a[6] : lif\n  connect wires: a -> a { weight ~ uniform(-1 mV, 2 mV) trainable; delay = 0.7 ms }",
    "none": "param lag = 0 ms\n  population a[6] : lif\n  connect wires: a -> a { weight ~ uniform(0 mV, 2 mV) trainable; delay = lag }",
    "parts": "part ring[3] : two\n  connect wires: ring.a -> ring.b { weight ~ uniform(0 mV, 3 mV) trainable; delay = 2.3 ms }",
    "few": "population a[5] : lif\n  connect wires: a -> a { rule = bernoulli(0.5); weight ~ uniform(-1 mV, 2 mV) trainable; DELAY }",
}
PART = "circuit two() { population a[2], b[3] : lif\n  start a.v = 15 mV*uniform(0, 1)\n  connect a -> b { weight = 2 mV } }"


def compiled(circuit, backend="interpreter", pipeline=DEFAULT, duration="12 ms"):
    wires = CIRCUITS[circuit].replace("DELAY", "delay ~ uniform(0.2 ms, 1.4 ms)")
    starts = "" if circuit == "parts" else "start a.v = 15 mV*uniform(0, 1)"
    text = f"{lif()}\n{PART}\ncircuit net {{\n  {wires}\n  {starts}\n}}"
    settings = {"dtype": "float64", "dt": "0.1 ms", "duration": duration, "solver": "exact", "seed": 4}
    return cs.compile(cs.parse(text), "net", backend=backend, pipeline=pipeline, **settings)


def potentials(circuit):
    return ["ring.a.v", "ring.b.v", "ring.b.fired"] if circuit == "parts" else ["a.v", "a.fired"]


def moved(simulation):
    """How many rings are moved in each step."""
    *_, loaded = simulation._loaded.values()
    lines = [line for function in loaded.module.functions.values() for line in function.body if line.op.name == "scan"]
    return sum(isinstance(line.op, Pad) for loop in map(loop_of, lines) for line in loop.lines)


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_the_same_spikes_and_the_same_ring_at_the_end(circuit, backend):
    record = [*potentials(circuit), "wires.delay.ring[time = end]"]
    still, plain = (compiled(circuit, backend, steps) for steps in (DEFAULT, WITHOUT))
    found, wanted = (simulation.simulate(record=record, trials=2) for simulation in (still, plain))
    assert moved(plain) > 0
    assert moved(still) == (1 if circuit == "few" else 0)
    assert float(wanted[potentials(circuit)[-1]].sum()) > 20
    for name in wanted:
        np.testing.assert_allclose(found[name].transpose(*wanted[name].dims), wanted[name], rtol=0, atol=1e-11)
    assert (float(np.abs(wanted["wires.delay.ring"]).max()) > 0) == (circuit not in ("none", "at once"))


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_the_same_gradients(circuit, backend):
    loss = "mean(ring.b.v^2)/(1 mV^2)" if circuit == "parts" else "mean(a.v^2)/(1 mV^2)"
    found, wanted = (
        compiled(circuit, backend, steps, "8 ms").value_and_grad(loss, trials=2) for steps in (DEFAULT, WITHOUT)
    )
    assert found[0] == pytest.approx(wanted[0], rel=1e-12)
    for name, gradient in wanted[1].items():
        assert np.abs(gradient).max() > 0
        np.testing.assert_allclose(found[1][name], gradient, rtol=1e-9, atol=1e-12 * np.abs(gradient).max())


@pytest.mark.parametrize("backend", ["interpreter", "jax"])
@pytest.mark.parametrize("circuit", ["each", "one"])
def test_a_run_goes_on_where_it_stopped(circuit, backend):
    """A measure that is gathered piece by piece begins with the ring and the number of the step of the piece before."""
    measure = {"rate": "mean(rate(a.spike))"}
    pieces = compiled(circuit, backend, duration="30 ms")
    found = pieces.measure(measure, warm_up="7.3 ms", trials=2)["rate"]
    fired = compiled(circuit, backend, WITHOUT, "37.3 ms").simulate(record=["a.fired"], trials=2)["a.fired"].values
    np.testing.assert_allclose(found, (fired[:, -1] - fired[:, 72]).mean() / 30, rtol=1e-12)


@pytest.mark.parametrize("steps", [0, 1, 3, 7])
def test_a_delay_shorter_than_the_ring(steps):
    """What is over is not on its way."""
    record = ["a.v", "wires.delay.ring[time = end]"]
    runs: list[dict[str, np.ndarray]] = []
    for pipeline in (DEFAULT, WITHOUT):
        simulation = compiled("one", pipeline=pipeline)
        simulation.set_buffers({"wires.delay.steps": np.array(steps)})
        runs += [simulation.simulate(record=record, duration=duration, trials=9) for duration in ("10.2 ms", "9.9 ms")]
    for found, wanted in zip(runs[:2], runs[2:], strict=True):
        for name in wanted:
            np.testing.assert_allclose(found[name].transpose(*wanted[name].dims), wanted[name], rtol=0, atol=1e-12)


@pytest.mark.parametrize("circuit", ["each", "one", "some"])
def test_one_step(circuit):
    """No delay is over before the run is."""
    record = ["a.v", "wires.delay.ring[time = end]"]
    found, wanted = (
        compiled(circuit, pipeline=p, duration="0.1 ms").simulate(record=record) for p in (DEFAULT, WITHOUT)
    )
    for name in wanted:
        np.testing.assert_allclose(found[name].transpose(*wanted[name].dims), wanted[name], rtol=0, atol=1e-12)


def test_a_ring_that_is_recorded_is_moved():
    simulation = compiled("one")
    run = simulation.simulate(record=["wires.delay.ring"])
    wanted = compiled("one", pipeline=WITHOUT).simulate(record=["wires.delay.ring"])
    assert moved(simulation) == 1
    np.testing.assert_allclose(
        run["wires.delay.ring"].transpose(*wanted["wires.delay.ring"].dims),
        wanted["wires.delay.ring"],
        rtol=0,
        atol=1e-12,
    )


def test_one_row_is_put():
    simulation = compiled("one")
    simulation.simulate(record=["a.v"])
    *_, loaded = simulation._loaded.values()
    names = [line.op.name for function in loaded.module.functions.values() for line in all_lines(function)]
    assert names.count("indexing.put") == 1
