"""`pre.A` and `post.A` in a weight: each along its own side of the connection, also where both sides are one population."""

import numpy as np

import cortexspec as cs

RING = """neuron unit {
  param τ = 20 ms
  input I
  state r = 0
  τ*r' = -r + relu(tanh(I))
  output r
}

circuit ring_attractor(n: int = 16) {
  input cue[n] = 0
  param J = 1.2, σ = 30 deg
  population ring[n] : unit
  attribute ring.angle = 2*π*index/n
  attribute ring.gain = 1 + index/n
  connect cue -> ring { rule = one_to_one }
  connect rec: ring -> ring {
    weight = 10*post.gain*(J*exp(-(1 - cos(post.angle - pre.angle))/σ^2) - 0.3)/n
  }
  output bump = ring.r
}
"""


def test_a_ring_with_weights_by_the_distance_of_its_units() -> None:
    sim = cs.compile(cs.parse(RING), dt="1 ms", duration="300 ms", dtype="float64")
    cue = np.exp(-((np.arange(16) - 5.0) ** 2) / 4)
    frames = np.zeros((1, 300, 16))
    frames[:, :100] = cue
    found = sim.simulate({"cue": frames}, record=["ring.r"])["ring.r"].values[0]
    angle = 2 * np.pi * np.arange(16) / 16
    near = np.exp(-(1 - np.cos(angle[:, None] - angle)) / np.deg2rad(30) ** 2)
    weight = 10 * (1 + np.arange(16) / 16)[:, None] * (1.2 * near - 0.3) / 16
    r = np.zeros(16)
    for step in range(300):
        r = r + (-r + np.maximum(np.tanh(frames[0, step] + weight @ r), 0)) / 20
        np.testing.assert_allclose(found[step], r, rtol=1e-11, atol=1e-14)
    assert r.max() > 0.1, "the bump stays when the cue has gone"


def test_an_input_with_an_axis_has_its_default() -> None:
    run = cs.compile(cs.parse(RING.replace("cue[n] = 0", "cue[n] = 0.5")), dt="1 ms", duration="2 ms").simulate()
    assert run["bump"].shape == (1, 2, 16) and float(run["bump"][0, 0, 0]) > 0
