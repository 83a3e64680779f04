"""Wiring among more pairs than are looked at one by one: the laws are those of the rules, and nothing is kept but the edges."""

from __future__ import annotations

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.analysis.elaborate import elaborate
from cortexspec.ir.ops import arith
from cortexspec.language.parse import parse_spec
from cortexspec.runtime import pairs
from cortexspec.runtime.compile import lowered
from cortexspec.runtime.pairs import MOST_PAIRS
from cortexspec.runtime.wiring import drawn_edges

TEXT = """
neuron unit {{
  input u = 0
  state x = 0
  x <- 0.5*u
  output x
}}

circuit net(n: int = {n}, m: int = {m}, K: int = 10) {{
  population a[n], b[m] : unit
  group both = [a, b]
  attribute a.φ : rad = 2*π*index/n
  attribute b.φ : rad = 2*π*index/m
  connect wires: {source} -> {target} {{ rule = {rule} }}
}}
"""
N, M = 300, 200


@pytest.fixture(autouse=True)
def few_pairs_are_many(monkeypatch, request):
    if "hundred_million" not in request.node.name:
        monkeypatch.setattr("cortexspec.runtime.wiring.MOST_PAIRS", 100)
        monkeypatch.setattr("cortexspec.runtime.many_pairs._BLOCK", 32)
        monkeypatch.setattr("cortexspec.runtime.many_pairs._AT_ONCE", 700)


def edges(rule, source="a", target="b", n=N, m=M, seed=3):
    text = TEXT.format(rule=rule, source=source, target=target, n=n, m=m)
    buffers = cs.compile(cs.parse(text), "net", dt=1, dtype="float64", seed=seed).buffers()
    return np.asarray(buffers["wires.pre"], np.int64), np.asarray(buffers["wires.post"], np.int64)


def refused(rule, **options):
    with pytest.raises(cs.SpecError) as caught:
        edges(rule, **options)
    (diagnostic,) = caught.value.diagnostics
    return diagnostic.code


RULES = [
    "bernoulli(0.1)",
    "bernoulli(K/n*(1 + cos(post.φ - pre.φ)))",
    "bernoulli(0.2, autapses = false, where = post.φ > pre.φ)",
    "fixed_total(3000)",
    "fixed_indegree(30)",
    "fixed_outdegree(40, autapses = false)",
    "fixed_indegree(120)",
    "fixed_total(6000, multapses = true)",
    "fixed_indegree(40, multapses = true)",
    "fixed_outdegree(40, multapses = true, autapses = false)",
]


@pytest.mark.parametrize("rule", RULES)
def test_the_order_is_source_then_target_and_the_rule_is_kept(rule):
    source = target = "both" if "autapses" in rule else ""
    pre, post = edges(rule, source or "a", target or "b")
    sources, targets = (N + M, N + M) if source else (N, M)
    code = pre * targets + post
    assert np.all(np.diff(code) >= (0 if "multapses" in rule else 1))
    assert pre.min() >= 0 and pre.max() < sources and post.min() >= 0 and post.max() < targets
    if "autapses" in rule:
        assert not np.any(pre == post)
    number = int("".join(filter(str.isdigit, rule.partition("(")[2].partition(",")[0])) or 0)
    if rule.startswith("fixed_total"):
        assert len(pre) == number
    if rule.startswith("fixed_indegree"):
        assert np.array_equal(np.bincount(post, minlength=targets), np.full(targets, number))
    if rule.startswith("fixed_outdegree"):
        assert np.array_equal(np.bincount(pre, minlength=sources), np.full(sources, number))


def frequency(rule, draws, n=12, m=10):
    """[source, target]: how many of so many draws have the connection."""
    spec, _ = parse_spec(TEXT.format(rule=rule, source="a", target="b", n=n, m=m))
    model, _ = elaborate(spec, "net")
    module = lowered(model)
    found = np.zeros((n, m))
    for seed in range(draws):
        drawn = drawn_edges(model, module, module.sizes, seed).arrays
        np.add.at(found, (drawn["wires.pre"], drawn["wires.post"]), 1)
    return found


def assert_law(found, wanted, draws):
    """The chi-squared statistic of all pairs, within 4.5 of its own standard deviations."""
    spread = draws * wanted * (1 - wanted)
    sure = spread < 1e-9
    np.testing.assert_allclose(found[sure], (draws * wanted)[sure])
    z = ((found - draws * wanted)[~sure]) ** 2 / spread[~sure]
    assert abs(z.sum() - z.size) < 4.5 * np.sqrt(2 * z.size)


@pytest.mark.parametrize(
    ("rule", "law"),
    [
        ("bernoulli(0.3)", lambda t, s: 0.3 + 0 * t * s),
        ("bernoulli(0.5*(1 + cos(post.φ - pre.φ)))", lambda t, s: 0.5 * (1 + np.cos(t - s))),
        ("bernoulli(exp(2*cos(post.φ - pre.φ) - 2))", lambda t, s: np.exp(2 * np.cos(t - s) - 2)),
        ("bernoulli(pre.φ/7)", lambda t, s: s / 7 + 0 * t),
        ("bernoulli(where(post.φ > 3, 1, 0.2), where = pre.φ < 3)", lambda t, s: np.where(t > 3, 1, 0.2) * (s < 3)),
        ("fixed_total(40)", lambda t, s: 1 / 3 + 0 * t * s),
        ("fixed_indegree(3)", lambda t, s: 1 / 4 + 0 * t * s),
        ("fixed_indegree(2, where = pre.φ < 3)", lambda t, s: 1 / 3 * (s < 3) + 0 * t),
        ("fixed_outdegree(7)", lambda t, s: 7 / 10 + 0 * t * s),
    ],
)
def test_how_often_each_pair_is_connected(rule, law, monkeypatch):
    monkeypatch.setattr("cortexspec.runtime.many_pairs._BLOCK", 4)
    draws = 100
    source, target = 2 * np.pi * np.arange(12) / 12, 2 * np.pi * np.arange(10) / 10
    wanted = law(target[np.newaxis, :], source[:, np.newaxis])
    assert_law(frequency(rule, draws), wanted, draws)


def test_a_profile_over_attributes_has_its_harmonics():
    """The first two circular moments of the difference in preference, von Mises I_1/I_0 and I_2/I_0 with a concentration of 2."""
    pre, post = edges("bernoulli(0.02*exp(2*cos(post.φ - pre.φ)))", n=2000, m=2000)
    difference = 2 * np.pi * (post - pre) / 2000
    for harmonic, wanted in ((1, 0.6977746), (2, 0.3022254)):
        assert abs(np.mean(np.cos(harmonic * difference)) - wanted) < 4.5 / np.sqrt(len(pre))


def test_degrees_of_independent_pairs_are_binomial():
    pre, post = edges("bernoulli(0.05)", n=2000, m=1000)
    for side, places, others in ((pre, 2000, 1000), (post, 1000, 2000)):
        degrees = np.bincount(side, minlength=places)
        assert abs(degrees.mean() - 0.05 * others) < 4.5 * np.sqrt(0.05 * 0.95 * others / places)
        assert abs(degrees.var() / (0.05 * 0.95 * others) - 1) < 4.5 * np.sqrt(2 / places)


def test_a_seed_and_a_site_decide():
    first = edges("bernoulli(0.1*(1 + cos(post.φ - pre.φ)))")
    for one, other in zip(first, edges("bernoulli(0.1*(1 + cos(post.φ - pre.φ)))"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not np.array_equal(first[0], edges("bernoulli(0.1*(1 + cos(post.φ - pre.φ)))", seed=4)[0])


def test_draws_with_repetition_are_those_among_few_pairs(monkeypatch):
    rule = "fixed_indegree(40, multapses = true, chance = [0.3, 0.7])"
    found = edges(rule, source="both")
    monkeypatch.setattr("cortexspec.runtime.wiring.MOST_PAIRS", MOST_PAIRS)
    for one, other in zip(found, edges(rule, source="both"), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "rule",
    [
        "bernoulli(1.2)",
        "bernoulli(-0.1)",
        "bernoulli(0.6*(1 + cos(post.φ - pre.φ)))",
        "bernoulli(0.2 + 0.3*cos(post.φ - pre.φ))",
        "bernoulli(0.1*exp(2*cos(post.φ - pre.φ) + 1))",
        "bernoulli(where(post.φ > 6.1, 1.1, 0))",
    ],
)
def test_a_probability_outside_its_interval_is_found(rule):
    assert refused(rule) == "CS512"


def test_what_has_no_bounds_is_looked_at_pair_by_pair(monkeypatch):
    """As an operation of a plugin would be."""
    monkeypatch.delitem(pairs._INTERVALS, arith.Cos)
    pre, post = edges("bernoulli(0.5*(1 + cos(post.φ - pre.φ)))")
    assert abs(len(pre) / (N * M) - 0.5) < 4.5 * 0.5 / np.sqrt(N * M)
    assert np.all(np.diff(pre * M + post) > 0)
    assert refused("bernoulli(0.6*(1 + cos(post.φ - pre.φ)))") == "CS512"
    monkeypatch.setattr("cortexspec.runtime.many_pairs._MOST_UNBOUNDED", 1000)
    assert refused("bernoulli(0.4*(1 + cos(post.φ - pre.φ)))") == "CS700"


def test_probabilities_that_touch_their_ends():
    pre, _ = edges("bernoulli(0.5*(1 + cos(post.φ - pre.φ)))")
    assert abs(len(pre) / (N * M) - 0.5) < 4.5 * 0.5 / np.sqrt(N * M)
    pre, _ = edges("bernoulli(where(post.φ > π, 1, 0))")
    assert len(pre) == N * np.count_nonzero(2 * np.pi * np.arange(M) / M > np.pi)


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("fixed_indegree(301)", "CS511"),
        ("fixed_indegree(20, where = pre.φ < 0.1)", "CS511"),
        ("fixed_total(60001)", "CS511"),
        ("fixed_total(59000)", "CS700"),
        ("from_matrix(where(post.φ > pre.φ, 1, 0))", "CS700"),
    ],
)
def test_what_is_refused(rule, code):
    assert refused(rule) == code


def test_a_hundred_million_pairs():
    """Above the number of pairs that are looked at, without any patch: one source in a hundred thousand for 1000 targets."""
    pre, post = edges("fixed_indegree(20)", n=100_000, m=1000)
    assert np.array_equal(np.bincount(post, minlength=1000), np.full(1000, 20))
    pre, post = edges("bernoulli(20/n*(1 + 0.5*cos(post.φ - pre.φ)))", n=100_000, m=1000)
    assert abs(len(pre) - 20_000) < 5 * np.sqrt(20_000)
