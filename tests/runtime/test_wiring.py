"""Drawn wiring: what each rule promises, and that a draw depends on nothing but its own site."""

import numpy as np
import pytest

import cortexspec as cs
from cortexspec.runtime.wiring import drawn_edges

TEXT = """
neuron unit {{
  input u = 0
  state x ~ normal(0, 1)
  x <- 0.5*u
  output x
}}

circuit net {{
  population a[6], b[9] : unit
  group both = [a, b]
  attribute a.place = index
  attribute b.place = 10 + index
  let list[{count}] ~ uniform(1, 2)
  connect wires: {source} -> {target} {{ rule = {rule}; {weight} }}
}}
"""


def compiled(rule, source="a", target="b", weight="", count=1, **options):
    text = TEXT.format(rule=rule, source=source, target=target, weight=weight, count=count)
    return cs.compile(cs.parse(text), "net", dt=1, dtype="float64", **{"seed": 3, **options})


def edges(*arguments, **options):
    """(pre, post) of each edge."""
    buffers = compiled(*arguments, **options).buffers()
    return buffers["wires.pre"], buffers["wires.post"]


@pytest.mark.parametrize(
    "rule",
    [
        "bernoulli(0.5)",
        "fixed_total(30)",
        "fixed_indegree(3)",
        "fixed_outdegree(4)",
        "fixed_total(80, multapses = true)",
        "fixed_indegree(20, multapses = true)",
    ],
)
def test_the_order_of_edges_is_source_then_target(rule):
    pre, post = edges(rule)
    assert np.all(np.diff(pre * 9 + post) >= (0 if "multapses" in rule else 1))
    assert pre.min() >= 0 and pre.max() < 6 and post.max() < 9


def test_degrees():
    pre, post = edges("fixed_indegree(3)")
    assert np.array_equal(np.bincount(post, minlength=9), np.full(9, 3))
    pre, post = edges("fixed_outdegree(4)")
    assert np.array_equal(np.bincount(pre, minlength=6), np.full(6, 4))
    pre, post = edges("fixed_indegree(20, multapses = true)")
    assert np.array_equal(np.bincount(post, minlength=9), np.full(9, 20))
    assert len(edges("fixed_total(31)")[0]) == 31
    assert len(edges("fixed_total(54)")[0]) == 54, "every pair"
    assert len(edges("fixed_total(200, multapses = true)")[0]) == 200


def test_a_probability_may_depend_on_both_sides():
    pre, post = edges("bernoulli(where(post.place < 14, 1, where(pre.place > 2, 0.5, 0)))")
    assert np.array_equal(np.unique(post[pre <= 2]), np.arange(4))
    assert np.array_equal(np.bincount(post, minlength=9)[:4], np.full(4, 6))
    assert 0 < np.count_nonzero(post >= 4) < 15


def test_bernoulli_is_a_share_of_the_pairs():
    found = [len(edges("bernoulli(0.25)", source="both", target="both", seed=seed)[0]) for seed in range(40)]
    assert abs(np.mean(found) - 225 / 4) < 3 * np.sqrt(225 * 3 / 16 / 40)


@pytest.mark.parametrize("rule", ["all_to_all", "bernoulli(1)", "fixed_total(15*14)", "fixed_indegree(14)"])
def test_no_autapses_in_a_group(rule):
    option = "autapses = false"
    rule = f"{rule[:-1]}, {option})" if "(" in rule else f"{rule}({option})"
    sim = compiled(rule, source="both", target="both", weight="weight = shuffled(list)", count=210)
    pre, post = (sim.buffers()[f"wires.{side}"] for side in ("pre", "post"))
    assert len(pre) == 210 and not np.any(pre == post)


def test_a_member_and_its_group_share_neurons():
    pre, post = edges("fixed_total(6*14, autapses = false)", source="both", target="a")
    assert len(pre) == 84 and not np.any(pre == post)


def test_where_and_from_matrix():
    pre, post = edges("fixed_total(10, where = pre.place + post.place == 16)", source="both", target="both")
    places = np.concatenate([np.arange(6), 10 + np.arange(9)])
    assert np.all(places[pre] + places[post] == 16)
    pre, post = edges("from_matrix(where(post.place > pre.place, 1, 0))", source="a", target="a")
    assert np.all(post > pre) and len(pre) == 15


def test_a_draw_depends_on_its_site_and_the_seed_alone():
    rule, weight = "bernoulli(0.4)", "weight ~ normal(0, 1)"
    text = TEXT.format(rule=rule, source="a", target="b", weight=weight, count=3)
    more = text.replace("connect wires", "connect first: b -> a { rule = fixed_total(7) }\n  connect wires")
    one, other = (cs.compile(cs.parse(each), "net", dt=1, seed=3) for each in (text, more))
    for name in ("wires.pre", "wires.post"):
        np.testing.assert_array_equal(one.buffers()[name], other.buffers()[name])
    np.testing.assert_array_equal(one.parameters()["wires.weight"], other.parameters()["wires.weight"])
    assert not np.array_equal(edges(rule, seed=4)[0], edges(rule, seed=3)[0])


def test_without_a_matrix_the_same_arrives(monkeypatch):
    """Where [target, source] does not fit in memory, edges are summed one by one."""
    weights = ("", "weight = -2", "weight ~ lognormal(0, 1)", "weight = 0.1*shuffled(list)")
    settings = [
        {"rule": "fixed_total(40)", "source": "both", "target": "both", "weight": one, "count": 40} for one in weights
    ]
    dense = [compiled(**one).simulate(duration=3, trials=2, record=["wires.arriving", "both.x"]) for one in settings]
    monkeypatch.setattr("cortexspec.lowering.wiring.DENSE_LIMIT", 0)
    for one, wanted in zip(settings, dense, strict=True):
        for backend in ("interpreter", "torch"):
            if backend == "torch":
                pytest.importorskip("torch.nn")
            found = compiled(**one, backend=backend).simulate(duration=3, trials=2, record=["wires.arriving", "both.x"])
            for name in wanted.data_vars:
                np.testing.assert_allclose(found[name], wanted[name], rtol=0, atol=1e-12)
    with pytest.raises(cs.SpecError) as caught:
        compiled("bernoulli(0.4)", weight="weight = pre.place")
    assert [d.code for d in caught.value.diagnostics] == ["CS700"]


BRANCHES = """
neuron branched(n: int = 3) {
  input s[n]
  state x ~ normal(0, 1)
  x <- sum(s)
  output x
}

circuit net {
  population a[5] : branched
  connect wires: a.x -> a.s { rule = fixed_indegree(2, autapses = false); weight ~ normal(0, 1) }
}
"""


def test_each_branch_is_a_target_and_knows_its_neuron():
    sim = cs.compile(cs.parse(BRANCHES), "net", dt=1, dtype="float64", seed=1)
    pre, post = (sim.buffers()[f"wires.{side}"] for side in ("pre", "post"))
    assert np.array_equal(np.bincount(post, minlength=15), np.full(15, 2))
    assert not np.any(pre == post // 3) and pre.max() < 5
    run = sim.simulate(duration=2, trials=1, record=["a.x", "a.s"])
    wanted = np.zeros(15)
    np.add.at(wanted, post, sim.parameters()["wires.weight"] * run["a.x"].values[0, 0][pre])
    np.testing.assert_allclose(run["a.s"].values[0, 1].reshape(15), wanted, rtol=0, atol=1e-12)


def test_wiring_in_an_array_of_parts_is_not_there_yet():
    text = """
neuron unit { input u; state x = 0; x <- u; output x }
circuit column { population a[4] : unit; connect a -> a { rule = bernoulli(0.5) } }
circuit net { part V[2] : column }
"""
    with pytest.raises(cs.SpecError) as caught:
        cs.compile(cs.parse(text), "net", dt=1)
    assert [d.code for d in caught.value.diagnostics] == ["CS700"]


@pytest.mark.parametrize(
    ("rule", "weight", "count"),
    [
        ("bernoulli(0.4)", "", 1),
        ("bernoulli(0.4)", "weight = -2", 1),
        ("bernoulli(0.4)", "weight ~ lognormal(0, 1)", 1),
        ("bernoulli(0.4)", "weight = pre.place - 0.1*post.place", 1),
        ("fixed_total(100, multapses = true)", "weight = shuffled(sort(list, descending = true))", 100),
        ("all_to_all(autapses = false)", "weight = list", 72),
    ],
)
def test_what_arrives_is_the_sum_over_edges(rule, weight, count):
    source, target = ("both", "a") if rule.startswith("all") else ("both", "both")
    count = 84 if rule.startswith("all") else count
    sim = compiled(rule, source=source, target=target, weight=weight, count=count)
    run = sim.simulate(duration=1, trials=2, record=["wires.arriving"])
    states = compiled(rule, source=source, target=target, weight=weight, count=count).simulate(
        duration=0, trials=2, record=["a.x[time = end]", "b.x[time = end]"]
    )
    x = np.concatenate([states[name].values for name in states.data_vars], axis=-1)
    pre, post = (sim.buffers()[f"wires.{side}"] for side in ("pre", "post"))
    places = np.concatenate([np.arange(6), 10 + np.arange(9)])
    values = sim.parameters().get("wires.weight")
    if values is None:
        values = {"": 1.0, "weight = -2": -2.0}.get(weight, sim.buffers()["list"])
        values = places[pre] - 0.1 * places[post] if "place" in weight else values
    wanted = np.zeros((2, 6 if target == "a" else 15))
    for trial in range(2):
        np.add.at(wanted[trial], post, values * x[trial, pre])
    np.testing.assert_allclose(run["wires.arriving"].values[:, 0], wanted, rtol=0, atol=1e-12)


def test_a_sorted_list_shuffled_has_its_elements():
    sim = compiled("fixed_total(40)", weight="weight = 2*shuffled(sort(list)[10..49])", count=60)
    found, numbers = sim.parameters()["wires.weight"], np.sort(sim.buffers()["list"])
    assert not np.array_equal(found, np.sort(found))
    np.testing.assert_allclose(np.sort(found), 2 * numbers[10:50])


@pytest.mark.parametrize(
    ("rule", "weight", "code"),
    [
        ("fixed_total(55)", "", "CS511"),
        ("fixed_indegree(7)", "", "CS511"),
        ("fixed_outdegree(5, where = post.place > 14)", "", "CS511"),
        ("fixed_total(7/2)", "", "CS505"),
        ("fixed_total(-1)", "", "CS505"),
        ("bernoulli(1.5)", "", "CS512"),
        ("bernoulli(pre.place)", "", "CS512"),
        ("bernoulli(0.3, chance = 0.5)", "", "CS700"),
        ("fixed_total(5)", "weight = list", "CS501"),
    ],
)
def test_what_cannot_be_wired(rule, weight, code):
    with pytest.raises(cs.SpecError) as caught:
        compiled(rule, weight=weight, count=6)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == code and diagnostic.span is not None


REMOVED = """
neuron unit {
  input u = 0
  state x ~ normal(0, 1)
  x <- 0.5*u
  output x
}

circuit net {
  population a[4], b[7], c[3] : unit
  group both = [a, b]
  let list[40] ~ uniform(1, 2)
  connect within: both -> both { rule = fixed_total(40, autapses = false); weight = shuffled(list) }
  connect up: both -> c { weight ~ normal(0, 1) }
  connect down: c -> both { rule = bernoulli(0.5); weight ~ normal(0, 1) }
  connect alone: a -> a { rule = all_to_all(autapses = false); weight = 0.1 }
}

experiment run of net {
  simulate { duration = 6; dt = 1 }
  variant no_a { remove a }
  variant no_b { remove b }
  variant no_c { remove c }
  variant cut { remove within[b, a], up[c, a] }
}
"""
NEURONS = {"a": range(4), "b": range(4, 11), "c": range(11, 14)}


def of_variant(variant, backend="interpreter", weight="shuffled(list)"):
    spec = cs.parse(REMOVED.replace("shuffled(list)", weight))
    return cs.compile(spec, experiment="run", variant=variant, dtype="float64", seed=2, backend=backend)


def whole_matrix(sim, members):
    """[target, source] over all 14 neurons, from what a simulation holds."""
    parameters, buffers = sim.parameters(), sim.buffers()
    both = np.array([i for name in "ab" if name in members for i in NEURONS[name]], int)
    last = np.array([*NEURONS["c"]])
    matrix = np.zeros((14, 14))
    for name, rows, columns in (("within", both, both), ("down", both, last)):
        if f"{name}.pre" in buffers:
            at = (rows[buffers[f"{name}.post"]], columns[buffers[f"{name}.pre"]])
            np.add.at(matrix, at, parameters[f"{name}.weight"])
    if "up.weight" in parameters:
        matrix[np.ix_(last, both)] += parameters["up.weight"]
    return matrix


WRITTEN = f"[{', '.join(str(1 + i / 64) for i in range(40))}]"


@pytest.mark.parametrize(
    "gone, weight",
    [
        ("a", "shuffled(list)"),
        ("b", "2*shuffled(list)"),
        ("c", "shuffled(list)"),
        ("a", WRITTEN),
        ("b", f"shuffled({WRITTEN})"),
    ],
    ids=["a", "b", "c", "a-written", "b-written"],
)
def test_removing_a_population_leaves_the_same_network_of_the_others(gone, weight):
    base, left = whole_matrix(of_variant("base", weight=weight), "abc"), "abc".replace(gone, "")
    kept = [i for name in left for i in NEURONS[name]]
    wanted = np.zeros((14, 14))
    wanted[np.ix_(kept, kept)] = base[np.ix_(kept, kept)]
    assert np.count_nonzero(wanted) and np.count_nonzero(wanted) < np.count_nonzero(base)
    np.testing.assert_array_equal(whole_matrix(of_variant(f"no_{gone}", weight=weight), left), wanted)


@pytest.mark.parametrize("backend", ["interpreter", "torch", "jax"])
def test_a_block_that_is_cut_delivers_nothing(backend):
    if backend != "interpreter":
        pytest.importorskip({"torch": "torch.nn", "jax": "jax"}[backend])
    sim = of_variant("cut", backend)
    run = sim.simulate(trials=2, record=["both.x", "c.x", "within.arriving", "up.arriving", "down.arriving"])
    matrix = whole_matrix(of_variant("base"), "abc")
    matrix[np.ix_(NEURONS["b"], NEURONS["a"])] = 0
    matrix[np.ix_(NEURONS["c"], NEURONS["a"])] = 0
    x = np.concatenate([run["both.x"].values, run["c.x"].values], axis=-1)[:, :-1]
    found = run["within.arriving"].values + run["down.arriving"].values
    wanted = x @ matrix.T
    np.testing.assert_allclose(found[:, 1:], wanted[..., :11], rtol=0, atol=1e-12)
    np.testing.assert_allclose(run["up.arriving"].values[:, 1:], wanted[..., 11:], rtol=0, atol=1e-12)


FOLLOWS = """
neuron unit {
  input u = 0
  state x ~ normal(0, 1)
  x <- 0.5*u
  output x
}

circuit net {
  param J = 2
  population a[5] : unit
  let list[10] ~ normal(1, 0.1)
  connect loop: a -> a { rule = fixed_indegree(2); weight = J*shuffled(list) }
}
"""


@pytest.mark.parametrize("rule", ["fixed_indegree(2)", "all_to_all"])
def test_a_draw_inside_a_weight_is_one_a_connection(rule):
    text = FOLLOWS.replace("fixed_indegree(2)", rule).replace("J*shuffled(list)", "J*(1 + normal(0, 0.1))")
    sim = cs.compile(cs.parse(text), "net", dt=1, dtype="float64", seed=1)
    run = sim.simulate(duration=2, trials=1, record=["a.x", "loop.arriving"])
    x, arriving = run["a.x"].values[0, 0], run["loop.arriving"].values[0, 1]
    ones = np.ones((5, 5)) if rule == "all_to_all" else np.zeros((5, 5))
    buffers = sim.buffers()
    if rule != "all_to_all":
        ones[buffers["loop.post"], buffers["loop.pre"]] = 1
    ratios = arriving / (2 * ones @ x)
    assert np.ptp(ratios) > 1e-3, "weights differ"


def test_a_checkpoint_brings_its_wiring(tmp_path):
    def compiled_with(seed, backend="interpreter"):
        text = TEXT.format(rule="bernoulli(0.4)", source="both", target="both", weight="weight ~ normal(0, 1)", count=1)
        return cs.compile(cs.parse(text), "net", dt=1, dtype="float64", seed=seed, backend=backend)

    first, second = compiled_with(1), compiled_with(2)
    assert len(first.buffers()["wires.pre"]) != len(second.buffers()["wires.pre"])
    cs.save(first, tmp_path / "net.safetensors")
    second.simulate(duration=2, trials=1)
    cs.restore(second, tmp_path / "net.safetensors")
    runs = [sim.simulate(duration=4, trials=2, seed=5, record=["a.x", "b.x"]) for sim in (first, second)]
    for name in ("a.x", "b.x"):
        np.testing.assert_array_equal(runs[0][name].values, runs[1][name].values)


LATE = """
neuron lif { param τ = 10 ms; input s : mV/ms = 0 mV/ms; state v = 0 mV; v' = (20 mV - v)/τ + s
  spike when v > 15 mV { v <- 0 mV } }
circuit net {
  population a[6] : lif
  start a.v = 15 mV*uniform(0, 1)
  connect wires: a -> a { rule = bernoulli(0.4); weight = 1 mV; delay ~ normal(2 ms, 0.5 ms) }
}
"""


def test_a_checkpoint_brings_its_delays_where_they_are_as_many_steps(tmp_path):
    def compiled_with(seed, dt="0.1 ms"):
        return cs.compile(cs.parse(LATE), "net", dt=dt, dtype="float64", seed=seed, duration="30 ms")

    first, second = compiled_with(1), compiled_with(2)
    assert first.sizes["wires.delay.slots"] != second.sizes["wires.delay.slots"]
    cs.save(first, tmp_path / "net.safetensors")
    cs.restore(second, tmp_path / "net.safetensors")
    runs = [sim.simulate(trials=2, seed=5, record=["a.v"])["a.v"].values for sim in (first, second)]
    np.testing.assert_array_equal(*runs)
    with pytest.raises(cs.SpecError, match="CS914"):
        cs.restore(compiled_with(1, "0.05 ms"), tmp_path / "net.safetensors")


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("wires.delay.steps", 99, "CS916"),
        ("wires.delay.steps", -1, "CS916"),
        ("wires.post", 6, "CS501"),
        ("wires.pre", -1, "CS501"),
    ],
)
def test_buffers_lead_nowhere_else(name, value, code):
    sim = cs.compile(cs.parse(LATE), "net", dt="0.1 ms", seed=1)
    before = sim.buffers()
    with pytest.raises(cs.SpecError, match=code):
        sim.set_buffers({name: np.full_like(before[name], value)})
    np.testing.assert_array_equal(sim.buffers()[name], before[name])
    for wrong, code in (({"wires.delay.steps": np.array(3)}, "CS501"), ({"wires.delay": np.array(3)}, "CS301")):
        with pytest.raises(cs.SpecError, match=code):
            sim.set_buffers(wrong)


def test_wiring_has_a_seed_of_its_own():
    def run(seed, wiring=None, at_run=None, **parameters):
        sim = cs.compile(cs.parse(FOLLOWS), "net", dt=1, dtype="float64", seed=seed, wiring=wiring)
        data = sim.simulate(duration=2, trials=1, record=["a.x"], seed=at_run, parameters=parameters or None)
        return sim.buffers(), data["a.x"].values

    base, noise, other = run(1), run(2, wiring=1), run(1, wiring=2)
    assert np.array_equal(base[0]["loop.pre"], noise[0]["loop.pre"])
    assert not np.array_equal(base[0]["loop.pre"], other[0]["loop.pre"])
    assert not np.array_equal(base[1], noise[1])
    # The start of a run is drawn from its seed; weights that follow a parameter keep the draws of the wiring.
    np.testing.assert_array_equal(run(1, at_run=2)[1], noise[1])
    np.testing.assert_allclose(run(1, J=4)[1][0, 1], 4 * base[1][0, 1])


def test_pairs_are_drawn_in_pieces_as_they_are_together(monkeypatch):
    """Rows of few pairs at a time, and most of them told from the high word."""
    rule = "bernoulli(0.02 + 0.9*where(post.place > 14, pre.place/6, 0), where = post.place != 12)"
    whole = edges(rule)
    monkeypatch.setattr("cortexspec.runtime.wiring._PAIRS_AT_ONCE", 13)
    monkeypatch.setattr("cortexspec.runtime.wiring._last", {})
    for one, other in zip(whole, edges(rule), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(whole[0]) > 5


def test_circuits_that_differ_in_what_no_rule_reads_share_their_edges(monkeypatch):
    drawn = []

    def noted(*arguments):
        drawn.append(arguments)
        return drawn_edges(*arguments)

    monkeypatch.setattr("cortexspec.runtime.wiring.drawn_edges", noted)
    monkeypatch.setattr("cortexspec.runtime.wiring._last", {})
    first, same = (compiled("bernoulli(0.5)", weight=f"weight = {w}") for w in (1, 2))
    assert len(drawn) == 1
    np.testing.assert_array_equal(first.buffers()["wires.post"], same.buffers()["wires.post"])
    other = compiled("bernoulli(0.5)", seed=4)
    assert len(drawn) == 2 and not np.array_equal(first.buffers()["wires.post"], other.buffers()["wires.post"])
    compiled("bernoulli(0.4)", seed=4)
    assert len(drawn) == 3
