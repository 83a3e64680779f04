"""Interval arithmetic over pairs: no value lies outside its block's bounds."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.runtime import wiring

TEXT = """
neuron unit {{
  input u = 0
  state x = 0
  x <- u
  output x
}}

circuit net {{
  population a[60], b[44] : unit
  attribute a.φ : rad = 2*π*index/60
  attribute a.y = 3*sin(index) - 1
  attribute b.φ : rad = 2*π*index/44
  attribute b.y = 0.5*index - 9
  connect wires: a -> b {{ rule = bernoulli({expression}) }}
}}
"""
EXPRESSIONS = [
    "cos(post.φ - pre.φ)",
    "sin(3*post.φ + pre.φ) - pre.y*post.y",
    "exp(-(post.y - pre.y)^2/8)",
    "abs(post.y*pre.y)/(1 + (post.y - pre.y)^2)",
    "1/(post.y - pre.y)",
    "sqrt(abs(post.y - pre.y)) + log(1 + pre.y^2 + post.y^2)",
    "where(post.y > pre.y, tanh(post.y - pre.y), 2)",
    "where(not (post.y > pre.y) or post.φ < 2 rad, min(post.y, pre.y), max(post.y, -pre.y))",
    "(post.y - pre.y)^3 + (post.y + pre.y)^-2",
    "where(post.y == pre.y and post.φ > 1 rad, 1, 0)*floor(post.y - pre.y)",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_values_lie_within_the_bounds_of_their_block(expression, monkeypatch):
    kept = []

    def bernoulli(among, p):
        kept.append((among, p))
        return np.zeros(0, np.int32), np.zeros(0, np.int32)

    monkeypatch.setattr(wiring, "MOST_PAIRS", 10)
    monkeypatch.setattr(wiring.many_pairs, "bernoulli", bernoulli)
    cs.compile(cs.parse(TEXT.format(expression=expression)), "net", dt=1, seed=1)
    ((_, p),) = kept
    rows, columns = np.array([0, 7, 8, 30, 44]), np.array([0, 1, 25, 60])
    post, pre = np.repeat(np.arange(44), 60), np.tile(np.arange(60), 44)
    values = p.at(post, pre).reshape(44, 60)
    low, high = p.bounds(rows, columns)
    for i in range(len(rows) - 1):
        for j in range(len(columns) - 1):
            block = values[rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
            room = 1e-12 * (1 + np.abs(block[np.isfinite(block)]).max(initial=0))
            assert low[i, j] <= np.nanmin(block) + room and np.nanmax(block) <= high[i, j] + room
    assert np.all(low[:, 1:2] <= high[:, 1:2])
