"""What rules accept and refuse, and that a meaning does not depend on the layout."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Layout, Value
from cortexspec.ir.ops import write
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.parser import parse_module
from cortexspec.ir.size import Size
from cortexspec.ir.specialise import specialise
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.ir.verifier import check
from cortexspec.units import DIMENSIONLESS, parse_unit

MV, MS, NS, PA = (parse_unit(text)[0] for text in ("mV", "ms", "nS", "pA"))


def axis(name, size=3, role="plain"):
    return Axis(name, Size.of(size), role)


def value(name, *axes, unit=DIMENSIONLESS, dtype="float"):
    return Value(name, Type(tuple(axes), dtype, unit))


E, INH = axis("E", 4), axis("I", 3)
A, B = value("a", E, unit=MV), value("b", E, INH, unit=MV)
TIME = value("t", unit=MS)
PURE = value("p", E)
TRUTH = value("c", E, dtype="bool")
WHOLE = value("k", E, dtype="int")


@pytest.mark.parametrize(
    ("written", "code", "operand"),
    [
        (lambda b: write.add(b, A, TIME), "CS401", 1),
        (lambda b: write.lt(b, A, PURE), "CS401", 1),
        (lambda b: write.where(b, TRUTH, A, TIME), "CS401", 2),
        (lambda b: write.exp(b, A), "CS401", 0),
        (lambda b: write.tanh(b, A), "CS401", 0),
        (lambda b: write.power(b, PURE, A), "CS401", 1),
        (lambda b: write.power(b, A, PURE), "CS401", 0),
        (lambda b: write.logsumexp(b, A, ["E"]), "CS401", 0),
        (lambda b: write.pow(b, A, 0.123456), "CS401", 0),
        (lambda b: write.concat(b, [A, PURE], ["E", "E"], axis("g", 8)), "CS401", 1),
        (lambda b: write.bernoulli(b, "x#0", [E], A, value("s", dtype="int")), "CS401", 0),
        (lambda b: write.add(b, A, value("x", axis("E", 5), unit=MV)), "CS501", 1),
        (lambda b: write.add(b, A, value("x", axis("E", 4, "sample"), unit=MV)), "CS501", 1),
        (lambda b: write.contract(b, A, B, ["J"]), "CS501", 0),
        (lambda b: write.sum_(b, A, ["I"]), "CS501", 0),
        (lambda b: write.index(b, A, "E", 4), "CS501", None),
        (lambda b: write.slice_(b, A, "E", 2, 5, "s"), "CS501", None),
        (lambda b: write.rename(b, B, {"E": "I"}), "CS501", None),
        (lambda b: write.merge(b, B, ["E", "I"], axis("m", 13)), "CS501", None),
        (lambda b: write.split(b, A, "E", [axis("p", 2), axis("q", 3)]), "CS501", None),
        (lambda b: write.concat(b, [A, A], ["E", "E"], axis("g", 7)), "CS501", None),
        (lambda b: write.expand(b, A, [E]), "CS501", None),
        (lambda b: write.diagonal(b, B, "E", "I", E), "CS501", None),
        (lambda b: write.table(b, [1.0, 2.0], [INH]), "CS501", None),
        (lambda b: write.identity(b, E, INH), "CS501", None),
        (lambda b: write.gather(b, A, write.iota(b, INH), "J"), "CS501", 0),
        (lambda b: write.normal(b, "x#0", [E], value("s", E, dtype="int")), "CS501", None),
        (lambda b: write.add(b, PURE, TRUTH), "CS602", 1),
        (lambda b: write.add(b, WHOLE, PURE), "CS602", 1),
        (lambda b: write.and_(b, TRUTH, PURE), "CS602", 1),
        (lambda b: write.where(b, PURE, A, A), "CS602", 0),
        (lambda b: write.div(b, WHOLE, WHOLE), "CS602", 0),
        (lambda b: write.gather(b, A, PURE, "E"), "CS602", 1),
        (lambda b: write.sum_(b, value("x", E, dtype="bits"), ["E"]), "CS602", 0),
        (lambda b: write.normal(b, "x#0", [INH], PURE), "CS602", 0),
    ],
)
def test_rules_refuse_and_name_the_operand(written, code, operand):
    with pytest.raises(RuleError) as caught:
        written(Builder())
    assert caught.value.code == code
    assert caught.value.operand == operand
    assert caught.value.message


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        (lambda b: write.mul(b, A, TIME), MV * MS),
        (lambda b: write.div(b, A, TIME), MV / MS),
        (lambda b: write.sqrt(b, write.mul(b, A, A)), MV),
        (lambda b: write.pow(b, A, -2), MV**-2),
        (lambda b: write.pow(b, write.pow(b, A, 1 / 3), 3), MV),
        (lambda b: write.contract(b, A, value("g", E, unit=NS), ["E"]), PA),
        (lambda b: write.sign(b, A), DIMENSIONLESS),
        (lambda b: write.mod(b, A, A), MV),
        (lambda b: write.add(b, A, write.const(b, 0.0, MV)), MV),
        (
            lambda b: write.solve(
                b, value("m", axis("r"), axis("s"), unit=NS), value("y", axis("r"), unit=PA), "r", "s"
            ),
            MV,
        ),
    ],
)
def test_units_follow(written, unit):
    assert written(Builder()).type.unit == unit


def test_roles_stay():
    trial, edge = axis("trial", 5, "sample"), axis("edge", 7, "edge")
    x = value("x", E, trial)
    build = Builder()
    assert write.exp(build, x).type.axis("trial").role == "sample"
    assert write.gather(build, x, value("i", edge, dtype="int"), "E").type.axis("edge").role == "edge"
    assert write.rename(build, x, {"trial": "batch"}).type.axis("batch").role == "sample"
    assert write.slice_(build, x, "trial", 0, 2, "some").type.axis("some").role == "sample"


def program():
    """A chain through most of what moves axes about."""
    build = Builder()
    x, w = value("x", axis("a", 2), axis("b", 3), axis("s", 4)), value("w", axis("o", 5), axis("m", 6))
    seed = value("seed", dtype="int")
    for one in (x, w, seed):
        build.names.take_value(one)
    merged = write.merge(build, x, ["b", "a"], axis("m", 6))
    through = write.contract(build, w, merged, ["m"])
    noisy = write.add(build, through, write.uniform(build, "n#0", [axis("o", 5)], seed))
    turned = write.flip(build, write.cumulative_sum(build, noisy, "o"), "o")
    parts = write.concat(build, [turned, noisy], ["o", "o"], axis("g", 10))
    picked = write.gather(build, parts, write.mod(build, write.iota(build, axis("e", 7)), write.integer(build, 4)), "g")
    back = write.scatter_add(
        build,
        picked,
        write.floor_div(build, write.iota(build, axis("e", 7)), write.integer(build, 3)),
        axis("o", 5),
        ["e"],
    )
    square = write.contract(build, back, write.rename(build, noisy, {"o": "o2"}), ["s"])
    outer = write.pad(build, write.slice_(build, square, "o2", 1, 4, "z"), "z", 1, 1, axis("o2", 5))
    mixed = write.expm(build, write.scale(build, outer, 0.1), "o", "o2")
    solved = write.solve(
        build,
        write.add(build, mixed, write.scale(build, write.identity(build, axis("o", 5), axis("o2", 5)), 9.0)),
        back,
        "o",
        "o2",
    )
    shape = {"o2": "o"}
    final = write.split(build, write.rename(build, solved, shape), "s", [axis("p", 2), axis("q", 2)])
    return build.function("f", [x, w, seed], [final, write.diagonal(build, mixed, "o", "o2", axis("d", 5))], ["y", "d"])


def test_meaning_does_not_depend_on_the_layout():
    function = program()
    rng = np.random.default_rng(2)
    arrays = {"x": (rng.normal(size=(2, 3, 4)), ("a", "b", "s")), "w": (rng.normal(size=(5, 6)), ("o", "m"))}
    names = sorted({a.name for line in function.body for r in line.results for a in r.type.axes})
    first = None
    for trial in range(12):
        layout = Layout(tuple(rng.permutation(names)) if trial else ())

        def arranged(array, axes, layout=layout):
            return array.transpose([axes.index(name) for name in layout.sort(axes)])

        given_ = {name: arranged(*both) for name, both in arrays.items()}
        found = run(function, {**given_, "seed": np.array(1)}, layout=layout)["y"]
        order = layout.sort(("o", "p", "q"))
        found = found.transpose([order.index(name) for name in ("o", "p", "q")])
        first = found if first is None else first
        # Of the largest value: some elements are sums that cancel to zero.
        np.testing.assert_allclose(found, first, rtol=0, atol=1e-13 * np.max(np.abs(first)))


def test_convolutions_and_pooling_are_those_of_torch():
    torch = pytest.importorskip("torch.nn.functional", exc_type=ImportError)
    from torch import tensor

    rng = np.random.default_rng(0)
    image, kernel, deep = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 5)), rng.normal(size=(3, 3, 3))
    n, c, h, w = axis("n", 2, "sample"), axis("c", 3), axis("h", 7), axis("w", 6)
    x = value("x", n, c, h, w)
    k, d = value("k", axis("o", 4), c, axis("i", 3), axis("j", 5)), value("d", c, axis("u", 3), axis("v", 3))
    build = Builder()
    outputs = [
        write.conv2d(build, x, k, "c", "h", "w", "o", "i", "j"),
        write.depthwise_conv2d(build, x, d, "c", "h", "w", "u", "v"),
        write.adaptive_average_pool2d(build, x, "h", "w", axis("y", 3), axis("z", 4)),
    ]
    layout = Layout(("n", "o", "c", "h", "w", "i", "j", "u", "v", "y", "z"))
    found = run(
        build.function("f", [x, k, d], outputs, ["a", "b", "c"]), {"x": image, "k": kernel, "d": deep}, layout=layout
    )
    expected = {
        "a": torch.conv2d(tensor(image), tensor(kernel), padding="same"),
        "b": torch.conv2d(tensor(image), tensor(deep[:, None]), padding=1, groups=3),
        "c": torch.adaptive_avg_pool2d(tensor(image), (3, 4)),
    }
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array.numpy(), rtol=1e-12, atol=1e-13)


def test_elementwise_meanings_where_they_are_delicate():
    x = value("x", axis("E", 6))
    build = Builder()
    written = {
        "sigmoid": write.sigmoid(build, x),
        "softplus": write.softplus(build, x),
        "mod": write.mod(build, x, write.const(build, 3.0)),
        "round": write.round(build, x),
        "whole": write.cast(build, x, "int"),
        "largest": write.logsumexp(build, x, ["E"]),
        "first": write.argmax(build, write.abs(build, x), "E"),
    }
    array = np.array([-1000.0, -2.5, -0.5, 0.5, 2.5, 1000.0])
    found = run(build.function("f", [x], written.values(), written.keys()), {"x": array})
    assert found["sigmoid"].tolist()[::5] == [0.0, 1.0] and found["softplus"].tolist()[::5] == [0.0, 1000.0]
    assert found["mod"].tolist() == [2.0, 0.5, 2.5, 0.5, 2.5, 1.0]
    assert found["round"].tolist() == [-1000, -2, 0, 0, 2, 1000]
    assert found["whole"].tolist() == [-1000, -2, 0, 0, 2, 1000] and found["whole"].dtype == np.int64
    assert found["largest"] == 1000.0 and found["first"] == 0


def test_single_precision_stays_single():
    function = program()
    rng = np.random.default_rng(2)
    given_ = {"x": rng.normal(size=(2, 3, 4)), "w": rng.normal(size=(6, 5)), "seed": np.array(1)}
    assert {array.dtype for array in run(function, given_, dtype="float32").values()} == {np.dtype("float32")}


sizes = st.dictionaries(st.sampled_from(["E", "I", "time"]), st.integers(0, 30), min_size=3)
polynomials = st.recursive(
    st.one_of(st.integers(-3, 9).map(Size.of), st.sampled_from(["E", "I", "time"]).map(Size.symbol)),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda both: both[0] + both[1]),
        st.tuples(inner, inner).map(lambda both: both[0] * both[1]),
        st.tuples(inner, inner).map(lambda both: both[0] - both[1]),
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(sizes, polynomials, polynomials, st.integers(1, 9))
def test_sizes_are_polynomials(bound, a, b, k):
    left, right = a.evaluate(bound), b.evaluate(bound)
    assert (a + b).evaluate(bound) == left + right
    assert (a * b).evaluate(bound) == left * right
    assert (a - b).evaluate(bound) == left - right
    assert (a - a) == Size.of(0) and a + b == b + a and a * b == b * a
    assert a.bind(bound).fixed == left
    assert a.bind({"E": bound["E"]}).evaluate(bound) == left
    whole = Size.symbol("time").floor_div(k)
    assert whole.evaluate(bound) == bound["time"] // k
    assert whole.symbols == {"time"}
    assert whole.bind(bound).fixed == bound["time"] // k


def test_only_a_symbol_or_an_integer_has_a_whole_part():
    assert Size.of(17).floor_div(5) == Size.of(3)
    assert Size.symbol("E").floor_div(1) == Size.symbol("E")
    assert Size.symbol("E").floor_div(2).floor_div(5).evaluate({"E": 37}) == 3
    with pytest.raises(ValueError, match="no size"):
        (Size.symbol("E") + 1).floor_div(2)


def test_specialising_binds_every_size():
    cells, time = Axis("cells", Size.symbol("cells")), Axis("time", Size.symbol("time"), "time")
    v = value("v", cells)
    inner, build = Builder(), Builder()
    inner.names.take("v")
    inside = Value("inside", v.type)
    body = inner.function("body", [inside], [write.scale(inner, inside, 2.0), inside])
    end, record = build.emit(Scan(body, 0, 1, 0, 1, 0, time), v)
    function = build.function("f", [v], [end, record], ["end", "record"])
    bound = specialise(function, {"cells": 2, "time": 3})
    assert {a.size.fixed for line in bound.body for r in line.results for a in r.type.axes} == {2, 3}
    assert bound.body[0].op.over.size == Size.of(3)
    assert {a.size.fixed for line in bound.body[0].op.body.body for r in line.results for a in r.type.axes} == {2}
    start = np.array([1.0, 3.0])
    np.testing.assert_array_equal(run(bound, {"v": start})["end"], run(function, {"v": start}, {"time": 3})["end"])


def test_fresh_names_are_fresh():
    names = Names(["v", "v_1"])
    assert [names.fresh("v"), names.fresh("v"), names.fresh("w")] == ["v_2", "v_3", "w"]
    build = Builder()
    write.exp(build, value("x", axis("E~1")))
    assert build.axis("E", 3).name == "E~2"
    assert build.axis("E~1", 3).name == "E~3"


def test_the_documented_module_is_one():
    text = Path(__file__).parents[2].joinpath("docs", "ir.md").read_text()
    (block,) = re.findall(r"```\n(cortexspec ir .*?)```", text, re.DOTALL)
    module = check(parse_module(block))
    given_ = {"E.τ": np.array(2.0), "E.v": np.array([[1.0], [2.0], [3.0], [4.0]])}
    slope = run(module.functions["derivative"], given_, module.sizes, module.layout)["E.v"]
    np.testing.assert_array_equal(slope, -given_["E.v"] / 2)
