"""Built-in functions, parts, distributions and constraints, run by the interpreter against NumPy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from cortexspec import library
from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import Keys, PartContext
from cortexspec.contracts.translate import Drawn
from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Layout, Value
from cortexspec.ir.op import Context
from cortexspec.ir.ops import random, where_taken, write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type
from cortexspec.library.distributions import draw
from cortexspec.units import DIMENSIONLESS, unit_of

TRIAL = Axis("trial", Size.symbol("trial"), "sample")
Array = np.ndarray[Any, Any]
rng = np.random.default_rng(0)


def axes(*pairs: tuple[str, int]) -> tuple[Axis, ...]:
    return tuple(Axis(name, Size.of(size)) for name, size in pairs)


def operand(name: str, *own: Axis, unit: str = "1", dtype: Any = "float", trial: bool = False) -> Operand:
    type_ = Type((*own, TRIAL) if trial else own, dtype, unit_of(unit))
    return Operand(Value(name, type_), tuple(axis.name for axis in own))


def evaluate(build: Builder, outputs: Sequence[Operand], inputs: Mapping[str, tuple[Operand, Array]]) -> list[Array]:
    """Arrays in written order, the trial first where there is one."""
    layout = Layout(("trial",))
    given = {name: _turned(array, _order(one), layout.sort(one.type.names)) for name, (one, array) in inputs.items()}
    function = build.function(
        "f", [one.value for one, _ in inputs.values()], [one.value for one in outputs], map(str, range(len(outputs)))
    )
    found = run(function, given, {}, layout)
    return [_turned(found[str(i)], layout.sort(one.type.names), _order(one)) for i, one in enumerate(outputs)]


def _order(one: Operand) -> list[str]:
    return [*(["trial"] if one.type.has("trial") else []), *one.axes]


def _turned(array: Array, old: Sequence[str], new: Sequence[str]) -> Array:
    return np.asarray(array).transpose([list(old).index(name) for name in new])


def call(name: str, *given: tuple[Operand, Array], **settings: Any) -> Array:
    build = Builder()
    result = library.functions[name].write(build, [one for one, _ in given], settings)
    assert isinstance(result, Operand)
    return evaluate(build, [result], {one.value.name: (one, array) for one, array in given})[0]


X, K = axes(("x", 3)), axes(("k", 4))
MATRIX = (Axis("x_target", Size.of(3)), Axis("x_source", Size.of(3)))


@pytest.mark.parametrize(
    ("name", "settings", "wanted"),
    [
        ("off_diagonal", {}, lambda m: m * (1 - np.eye(3))),
        ("diagonal", {}, lambda m: m * np.eye(3)),
        ("lower_triangle", {}, np.tril),
        ("lower_triangle", {"strict": True}, lambda m: np.tril(m, -1)),
        ("transpose", {}, np.transpose),
        ("flatten", {}, np.ravel),
        ("reshape", {"shape": (9, 1)}, lambda m: m.reshape(9, 1)),
        ("var", {"over": ("x_target",)}, lambda m: m.var(0)),
        ("std", {"over": ("x_target", "x_source")}, np.std),
        ("median", {"over": ("x_source",)}, lambda m: np.median(m, 1)),
        ("median", {"over": ("x_target", "x_source")}, np.median),
        ("quantile", {"over": ("x_target",), "share": 0.9}, lambda m: np.quantile(m, 0.9, 0)),
        ("quantile", {"over": ("x_target", "x_source"), "share": 1}, np.max),
        ("median", {"over": ()}, lambda m: m),
        ("count", {"over": ("x_target", "x_source")}, np.size),
        ("minmax", {"over": ("x_target", "x_source")}, lambda m: (m - m.min()) / (m.max() - m.min())),
        ("softmax", {}, lambda m: np.exp(m) / np.exp(m).sum(1, keepdims=True)),
        ("argmax", {}, lambda m: m.argmax(1)),
        ("argmin", {"over": ("x_target",)}, lambda m: m.argmin(0)),
    ],
)
def test_functions_of_a_matrix(name: str, settings: dict[str, Any], wanted: Any) -> None:
    m = rng.normal(size=(3, 3))
    np.testing.assert_allclose(call(name, (operand("m", *MATRIX), m), **settings), wanted(m), rtol=1e-14)


def test_cross_entropy_of_class_numbers_and_of_shares() -> None:
    logits, label = rng.normal(size=(5, 4)), np.array([0, 3, 1, 1, 2])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    plain = -np.log(p[np.arange(5), label])
    given = (operand("logits", *K, trial=True), logits)
    found = call("cross_entropy", given, (operand("label", dtype="int", trial=True), label))
    np.testing.assert_allclose(found, plain, rtol=1e-13)
    smooth = call("cross_entropy", given, (operand("label", dtype="int", trial=True), label), smoothing=0.1)
    np.testing.assert_allclose(smooth, 0.9 * plain - 0.1 * np.log(p).mean(1), rtol=1e-13)
    shares = np.eye(4)[label]
    np.testing.assert_allclose(
        call("cross_entropy", given, (operand("s", *axes(("c", 4)), trial=True), shares)), plain, rtol=1e-13
    )


@pytest.mark.parametrize("share", [0, 0.3, 0.5, 1])
def test_a_quantile_leaves_out_what_is_no_number(share: float) -> None:
    values = rng.normal(size=(3, 4))
    values[0, 1] = values[1, 0] = values[1, 3] = np.nan
    x = operand("x", *X, *K)
    for over, places in ((("x",), 0), (("k",), 1), (("x", "k"), None)):
        found = call("quantile", (x, values), over=over, share=share)
        np.testing.assert_allclose(found, np.nanquantile(values, share, axis=places), rtol=1e-14)
    values[0, 2], values[1] = np.inf, [np.nan, np.inf, np.inf, -1]
    found = call("median", (x, values), over=("k",))
    np.testing.assert_allclose(found, np.nanmedian(values, axis=1), rtol=1e-14)
    values[2] = np.nan
    found = call("quantile", (x, values), over=("k",), share=share)
    np.testing.assert_array_equal(np.isnan(found), [False, False, True])


def test_cat_joins_where_arguments_differ() -> None:
    a, b = rng.normal(size=(3, 4)), rng.normal(size=(2, 4))
    found = call("cat", (operand("a", *X, *K), a), (operand("b", *axes(("y", 2)), *K), b))
    np.testing.assert_array_equal(found, np.concatenate([a, b]))
    found = call("cat", (operand("a", *X, *K), a), (operand("b", *X, *K), a))
    np.testing.assert_array_equal(found, np.concatenate([a, a]))


def test_pooling_windows_overlap_where_sizes_do_not_divide() -> None:
    image = rng.normal(size=(2, 5, 4))
    found = call("adaptive_pool", (operand("i", *axes(("c", 2), ("h", 5), ("w", 4))), image), size=(3, 2))
    rows = [(0, 2), (1, 4), (3, 5)]
    wanted = [[[image[c, a:b, s : s + 2].mean() for s in (0, 2)] for a, b in rows] for c in range(2)]
    np.testing.assert_allclose(found, wanted, rtol=1e-14)


def test_distances() -> None:
    places = rng.normal(size=(3, 2))
    found = call("distance", (operand("p", *X, *axes(("xyz", 2)), unit="um"), places))
    np.testing.assert_allclose(found, np.linalg.norm(places[:, None] - places[None], axis=-1), rtol=1e-14)


# Parts


def part(
    name: str, x: tuple[Operand, Array], parameters: Mapping[str, Array], training: bool = False, **settings: Any
) -> list[Array]:
    """Output, then running buffers."""
    entry = library.parts[name]
    settings = {**entry.settings, **settings}
    build = Builder()
    inputs: dict[str, tuple[Operand, Array]] = {"x": x}
    values: dict[str, Value] = {}
    declared = entry.declare("p", x[0], settings)
    for one in declared:
        value = Value(f"p.{one.name}", one.type)
        values[one.name] = value
        inputs[value.name] = (Operand(value, one.axes), parameters[one.name])
    seed, trial = operand("seed", dtype="int"), Operand(Value("trial", Type((TRIAL,), "int")))
    keys = Keys(seed.value, trial.value)
    result, running = entry.write(build, x[0], values, PartContext("p", settings, training, keys))
    if name == "dropout" and training:
        inputs |= {"seed": (seed, np.array(7)), "trial": (trial, np.arange(len(x[1])))}
    after = [Operand(value, tuple(declared[-1].axes)) for value in running.values()]
    return evaluate(build, [result, *after], inputs)


def test_dense() -> None:
    x, w, b = rng.normal(size=(6, 3, 4)), rng.normal(size=(2, 3, 4)), rng.normal(size=2)
    (y,) = part("dense", (operand("x", *X, *K, trial=True), x), {"kernel": w, "bias": b}, size=2)
    np.testing.assert_allclose(y, np.einsum("bij,oij->bo", x, w) + b, rtol=1e-13)


def test_convolutions_keep_the_size_and_pad_with_zeros() -> None:
    x, w, b = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(2, 3, 3, 3)), rng.normal(size=2)
    image = operand("x", *axes(("c", 3), ("h", 5), ("w", 4)), trial=True)
    (y,) = part("conv2d", (image, x), {"kernel": w, "bias": b}, channels=2)
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    wanted = sum(
        np.einsum("bchw,oc->bohw", padded[:, :, i : i + 5, j : j + 4], w[:, :, i, j])
        for i in range(3)
        for j in range(3)
    )
    np.testing.assert_allclose(y, wanted + b[:, None, None], rtol=1e-12)
    own = rng.normal(size=(3, 3, 3))
    (y,) = part("depthwise", (image, x), {"kernel": own, "bias": np.zeros(3)})
    wanted = sum(padded[:, :, i : i + 5, j : j + 4] * own[:, i, j, None, None] for i in range(3) for j in range(3))
    np.testing.assert_allclose(y, wanted, rtol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm(training: bool) -> None:
    x = rng.normal(2, 3, size=(8, 3))
    parameters = {"scale": rng.normal(size=3), "shift": rng.normal(size=3), "mean": np.ones(3), "var": np.full(3, 2.0)}
    y, *running = part("batch_norm", (operand("x", *X, trial=True), x), parameters, training)
    mean, var = (x.mean(0), x.var(0)) if training else (parameters["mean"], parameters["var"])
    np.testing.assert_allclose(
        y, (x - mean) / np.sqrt(var + 1e-5) * parameters["scale"] + parameters["shift"], rtol=1e-12
    )
    if training:
        np.testing.assert_allclose(running[0], 0.9 + 0.1 * x.mean(0), rtol=1e-13)
        np.testing.assert_allclose(running[1], 1.8 + 0.1 * x.var(0, ddof=1), rtol=1e-13)
    assert len(running) == (2 if training else 0)


def test_dropout_masks_each_trial_and_keeps_the_mean() -> None:
    x = np.ones((400, 50))
    given = (operand("x", *axes(("x", 50)), trial=True), x)
    (y,) = part("dropout", given, {}, training=True, rate=0.3)
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert y.mean() == pytest.approx(1, abs=0.02)
    assert len({row.tobytes() for row in y}) == 400
    np.testing.assert_array_equal(part("dropout", given, {}, rate=0.3)[0], x)
    (again,) = part("dropout", (given[0], x[:10]), {}, training=True, rate=0.3)
    np.testing.assert_array_equal(again, y[:10])  # a trial's mask does not depend on the batch


# Distributions


def drawn(
    name: str,
    *arguments: float,
    shape: tuple[tuple[str, int], ...] = (("n", 20_000),),
    unit: str = "1",
    **settings: float,
) -> Array:
    build = Builder()
    seed = operand("seed", dtype="int")
    values = [Operand(write.const(build, a, unit_of(unit)), (), np.array(a)) for a in arguments]
    named = {key: Operand(write.const(build, a, unit_of(unit)), (), np.array(a)) for key, a in settings.items()}
    entry = library.distributions["truncated" if named else name]
    inner = Drawn(library.distributions[name], tuple(values), {})
    whole = Drawn(entry, (inner,), named) if named else inner
    value = draw(build, whole, "w#0", axes(*shape), Keys(seed.value))
    assert value.type.unit == unit_of(unit)
    return evaluate(build, [Operand(value, tuple(n for n, _ in shape))], {"seed": (seed, np.array(3))})[0]


@pytest.mark.parametrize(
    ("name", "arguments", "mean", "deviation"),
    [
        ("normal", (2.0, 0.5), 2.0, 0.5),
        ("uniform", (-1.0, 3.0), 1.0, 4 / 12**0.5),
        ("lognormal", (0.1, 0.3), np.exp(0.1 + 0.045), np.exp(0.145) * np.sqrt(np.exp(0.09) - 1)),
        ("bernoulli", (0.2,), 0.2, 0.4),
        ("poisson", (3.0,), 3.0, 3**0.5),
        ("fan_in", (16.0,), 0.0, 0.25 / 3**0.5),
    ],
)
def test_moments(name: str, arguments: tuple[float, ...], mean: float, deviation: float) -> None:
    found = drawn(name, *arguments)
    assert found.mean() == pytest.approx(mean, abs=5 * deviation / len(found) ** 0.5)
    assert found.std() == pytest.approx(deviation, rel=0.04)


def test_a_zero_mean_takes_the_unit_of_the_deviation() -> None:
    build = Builder()
    seed = operand("seed", dtype="int")
    zero = Operand(write.const(build, 0.0), (), np.array(0.0))
    spread = Operand(write.const(build, 0.1, unit_of("mV")), (), np.array(0.1))
    inner = Drawn(library.distributions["normal"], (zero, spread), {})
    assert draw(build, inner, "w#0", X, Keys(seed.value)).type.unit == unit_of("mV")


def test_truncated_stays_between_its_bounds() -> None:
    found = drawn("normal", 0.0, 1.0, low=-0.5, high=1.0)
    assert found.min() >= -0.5 and found.max() <= 1.0
    assert (found == -0.5).mean() < 0.01


@pytest.mark.parametrize("bounds", [{"low": -0.5}, {"high": 0.3}, {"low": -0.2, "high": 1.0}])
@pytest.mark.parametrize("shape", [(("n", 3000),), (("t", 50), ("s", 60)), (("a", 50), ("b", 60))])
def test_truncated_takes_the_first_candidate_inside(
    bounds: dict[str, float], shape: tuple[tuple[str, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each candidate has a site of its own, and is drawn only where those before it lie outside, in whatever pieces."""
    counted: list[int] = []
    whole = random.words_of

    def watched(site: str, seed: Array, keys: list[Array], elements: Array) -> random.Words:
        counted.append(len(elements))
        return whole(site, seed, keys, elements)

    monkeypatch.setattr(random, "words_of", watched)
    monkeypatch.setattr(where_taken, "_AT_ONCE", 700)
    found = drawn("normal", 0.1, 0.8, shape=shape, **bounds).reshape(-1)
    low, high = bounds.get("low", -np.inf), bounds.get("high", np.inf)
    count = len(found)
    wanted = np.full(count, np.nan)
    outside = np.ones(count, bool)
    rejected = 0
    for attempt in range(8):
        words = random.draw_words(f"w#0.{attempt}", np.array(3), [], count)
        candidate = random.Normal("", ()).compute(words, [], Context({}, Layout(), np.dtype("float64"))) * 0.8 + 0.1
        rejected += int(outside.sum()) if attempt else 0
        wanted[outside] = candidate[outside]
        outside = (wanted < low) | (wanted > high)
    np.testing.assert_array_equal(found, np.clip(wanted, low, high))
    assert sum(counted) == rejected


def test_matrices() -> None:
    square = drawn("orthogonal", shape=(("t", 6), ("s", 6)))
    np.testing.assert_allclose(square @ square.T, np.eye(6), atol=1e-12)
    tall = drawn("orthogonal", shape=(("t", 6), ("s", 3)))
    np.testing.assert_allclose(tall.T @ tall, np.eye(3), atol=1e-12)
    glorot = drawn("glorot", shape=(("t", 100), ("s", 50)))
    assert np.abs(glorot).max() == pytest.approx((6 / 150) ** 0.5, rel=0.01)
    np.testing.assert_array_equal(np.sort(drawn("permutation", shape=(("n", 9),))), np.arange(9))


# Constraints


@pytest.mark.parametrize(
    ("name", "by", "unit", "values"),
    [
        ("positive", "exp", "mV", [0.01, 1.0, 70.0]),
        ("positive", "softplus", "kHz", [1e-5, 0.5, 400.0]),
        ("interval", "sigmoid", "ms", [0.2, 1.0, 2.9]),
    ],
)
def test_a_reparametrisation_goes_there_and_back(name: str, by: str, unit: str, values: list[float]) -> None:
    entry = library.constraints[name]
    build = Builder()
    x = operand("x", *X, unit=unit)
    settings = {"by": by, "unit": unit_of(unit), "low": 0.1, "high": 3.0}
    assert entry.unconstrain is not None and entry.constrain is not None
    raw = entry.unconstrain(build, x.value, settings)
    assert raw.type.unit == DIMENSIONLESS
    back = entry.constrain(build, raw, settings)
    found = evaluate(build, [Operand(back, ("x",))], {"x": (x, np.array(values))})[0]
    np.testing.assert_allclose(found, values, rtol=1e-12)


def test_projections() -> None:
    build = Builder()
    x = operand("x", *X, unit="mV")
    positive = library.constraints["nonnegative"].project(build, x.value, {})
    inside = library.constraints["interval"].project(build, x.value, {"low": -1.0, "high": 1.0})
    found = evaluate(
        build, [Operand(positive, ("x",)), Operand(inside, ("x",))], {"x": (x, np.array([-2.0, 0.5, 3.0]))}
    )
    np.testing.assert_array_equal(found[0], [0, 0.5, 3])
    np.testing.assert_array_equal(found[1], [-1, 0.5, 1])
    with pytest.raises(RuleError, match="not made by"):
        constrain = library.constraints["positive"].constrain
        assert constrain is not None
        constrain(build, x.value, {"by": "sigmoid"})
