"""A circuit's functions against the same equations written in NumPy.

The Model is written by hand: two populations of neural masses in an array of regions, coupled inside and between regions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from cortexspec.analysis.model import Equation, Group, Model, Penalty, Population, Projection, Start, Variable
from cortexspec.diagnostics import Diagnostic
from cortexspec.expressions import tree
from cortexspec.expressions.parse import parse_expression
from cortexspec.interpreter import run
from cortexspec.ir.module import Module
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.lowering import lower
from cortexspec.passes.drive import drive
from cortexspec.passes.solvers.euler import euler
from cortexspec.units import unit_of

V = Axis("V", Size.symbol("V"))
W_AXES = (Axis("V_target", V.size), Axis("V_source", V.size))


def resolved(text: str, owner: str = "") -> tree.Expression:
    """The expression with names turned into paths below `owner`; a name that starts with `.` would be circuit-wide."""
    return _resolve(parse_expression(text), owner)


def _resolve(node: tree.Expression, owner: str) -> tree.Expression:
    match node:
        case tree.Name("t" | "dt" | "π"):
            return node
        case tree.Name(name):
            return tree.Reference(f"{owner}.{name}" if owner else name, span=node.span)
        case tree.Member(inside, name):
            whole = _resolve(inside, owner)
            assert isinstance(whole, tree.Reference)
            return tree.Reference(f"{whole.path}.{name}", span=node.span)
        case tree.Derivative(operand, order):
            whole = _resolve(operand, owner)
            assert isinstance(whole, tree.Reference)
            return tree.Reference(whole.path + "'" * order, span=node.span)
        case tree.Unary():
            return replace(node, operand=_resolve(node.operand, owner))
        case tree.Binary():
            return replace(node, left=_resolve(node.left, owner), right=_resolve(node.right, owner))
        case tree.ListOf():
            return replace(node, items=tuple(_resolve(item, owner) for item in node.items))
        case tree.Call():
            arguments = tuple(
                replace(a, value=_resolve(a.value, owner) if a.value is not None and not a.name else a.value)
                for a in node.arguments
            )
            return replace(node, arguments=arguments)
        case _:
            return node


def variable(
    path: str, kind: str, unit: str, axes: tuple[Axis, ...], around: tuple[str, ...], **rest: object
) -> Variable:
    names = tuple(axis.name for axis in axes)
    return Variable(path, kind, Type(axes, "float", unit_of(unit)), names, around=around, **rest)  # type: ignore[arg-type]


def two_populations() -> Model:
    """v'' + 2*κ*v' + κ^2*v = κ*H*u, r = sigmoid(R*v) - 1/2; e -> e, e -> i, i -> e; regions by their mean activity."""
    variables: dict[str, Variable] = {}

    def put(one: Variable) -> str:
        variables[one.path] = one
        return one.path

    for name, weight in (("γ1", "80 Hz"), ("γ2", "160 Hz"), ("γ3", "40 Hz")):
        put(
            variable(
                f"V.{name}", "param", "kHz", (V,), ("V",), value=resolved(weight), trainable=True,
                constraint=parse_expression("positive(by = exp)"), unit_shown="Hz",
            )
        )  # fmt: skip
    populations = tuple(_population(name, rate, put) for name, rate in (("e", "50 Hz"), ("i", "6.25 Hz")))
    put(variable("V.context", "input", "kHz", (V,), ("V",), value=resolved("0 Hz")))
    put(variable("V.activity", "output", "mV", (V,), ("V",), value=resolved("mean(cells.v)", "V")))
    put(variable("gain", "input", "1", (), ()))
    put(variable("W", "param", "kHz/mV", W_AXES, (), draw=resolved("normal(0, 100 Hz/mV)"), trainable=True))
    put(variable("a", "param", "1", (V,), (), value=resolved("1"), trainable=True))
    put(variable("between.weight", "param", "kHz/mV", W_AXES, (), value=resolved("0.1*sigmoid(a)*off_diagonal(W)")))
    for name, weight in (("e_to_e", "-γ1"), ("i_to_e", "-γ2"), ("e_to_i", "γ3")):
        put(variable(f"V.{name}.weight", "param", "kHz", (V,), ("V",), value=resolved(weight, "V")))
    put(variable("logits", "output", "1", (V, Axis("e", Size.of(1))), (), value=resolved("V.e.v/(1 mV)")))
    projections = (
        *(
            Projection(
                f"V.{s}_to_{t}", tree.Reference(f"V.{s}.r"), f"V.{t}.u", (s,), (t,), None, f"V.{s}_to_{t}.weight",
                around=("V",),
            )
            for s, t in (("e", "e"), ("i", "e"), ("e", "i"))
        ),
        Projection("V.context_to_e", tree.Reference("V.context"), "V.e.u", (), ("e",), None, None, around=("V",)),
        Projection("between", tree.Reference("V.activity"), "V.context", ("V",), ("V",), None, "between.weight"),
    )  # fmt: skip
    return Model(
        "pair",
        MappingProxyType({"V": 3}),
        MappingProxyType(variables),
        populations,
        projections,
        (),
        (Group("V.cells", ("V.e", "V.i"), "V.cells"),),
        (Start("V.cells.v", resolved("gain*2 mV")),),
        (),
        ("gain",),
        (),
        ("logits",),
        unit_of("ms"),
    )


def _population(name: str, rate: str, put: Callable[[Variable], str]) -> Population:
    path = f"V.{name}"
    axes, around = (V, Axis(name, Size.of(1))), ("V", name)
    put(
        variable(
            f"{path}.κ", "param", "kHz", (V,), around, value=resolved(rate), trainable=True,
            constraint=parse_expression("positive(by = exp)"), unit_shown="Hz",
        )
    )  # fmt: skip
    put(variable(f"{path}.H", "param", "mV", (V,), around, value=resolved("1 mV")))
    put(variable(f"{path}.R", "param", "mV^-1", (V,), around, value=resolved("0.67 mV^-1")))
    put(variable(f"{path}.u", "input", "kHz", axes, around))
    put(variable(f"{path}.v", "state", "mV", axes, around, value=resolved("0 mV")))
    put(variable(f"{path}.v'", "state", "mV/ms", axes, around, value=resolved("0 mV/ms")))
    put(variable(f"{path}.r", "output", "1", axes, around, value=resolved("sigmoid(R*v) - 1/2", path)))
    equation = Equation(f"{path}.v", 2, resolved("v'' + 2*κ*v' + κ^2*v", path), resolved("κ*H*u", path))
    return Population(
        path, "neural_mass", name, ("V",), (f"{path}.κ", f"{path}.H", f"{path}.R"), (f"{path}.v", f"{path}.v'"),
        (f"{path}.u",), (), (f"{path}.v", f"{path}.r"), (equation,), (),
    )  # fmt: skip


def lowered(model: Model) -> Module:
    found: list[Diagnostic] = []
    module = lower(model, found.append)
    assert not found, found
    assert module is not None
    return module


@pytest.fixture(scope="module")
def module() -> Module:
    return lowered(two_populations())


@pytest.fixture(scope="module")
def raw(module: Module) -> dict[str, np.ndarray]:
    natural = run(module.function("start"), {"seed": np.array(3)}, module.sizes, module.layout)
    return run(module.function("unconstrain"), natural, module.sizes, module.layout)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def slopes(module: Module, raw: dict[str, np.ndarray], x: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """d/dt by hand. Shapes: each state [V, 1, trial]."""
    natural = run(module.function("constrain"), raw, module.sizes, module.layout)
    r = {p: sigmoid(0.67 * x[f"V.{p}.v"]) - 0.5 for p in "ei"}
    activity = (x["V.e.v"] + x["V.i.v"])[:, 0] / 2
    # Arrays of the interpreter have their axes by name, so W is [V_source, V_target] there.
    W = natural["W"].T * (1 - np.eye(3))
    context = 0.1 * sigmoid(natural["a"])[:, None] * W @ activity
    g1, g2, g3 = (natural[f"V.γ{i}"][:, None, None] for i in (1, 2, 3))
    u = {"e": -g1 * r["e"] - g2 * r["i"] + context[:, None], "i": g3 * r["e"]}
    out: dict[str, np.ndarray] = {}
    for p in "ei":
        k = natural[f"V.{p}.κ"][:, None, None]
        v, w = x[f"V.{p}.v"], x[f"V.{p}.v'"]
        out[f"V.{p}.v"], out[f"V.{p}.v'"] = w, k * u[p] - 2 * k * w - k**2 * v
    return out


def some_state(module: Module, trials: int = 4) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    order = {s.value.name: module.layout.sort(s.value.type.names) for s in module.states}
    arrays = {name: rng.normal(size=(3, 1, trials)) for name in order}
    return {
        name: array.transpose([("V", name.split(".")[1], "trial").index(a) for a in order[name]])
        for name, array in arrays.items()
    }


def by_hand_order(module: Module, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Arrays as [V, population, trial]."""
    wanted = {s.value.name: module.layout.sort(s.value.type.names) for s in module.states}
    return {
        name: array.transpose([wanted[name].index(a) for a in ("V", name.split(".")[1], "trial")])
        for name, array in arrays.items()
        if name in wanted
    }


def test_parameters_start_in_coherent_units_and_train_as_logarithms(module: Module, raw: dict[str, np.ndarray]) -> None:
    natural = run(module.function("constrain"), raw, module.sizes, module.layout)
    np.testing.assert_allclose(natural["V.γ2"], np.full(3, 0.16), rtol=1e-15)
    np.testing.assert_allclose(raw["V.γ2"], np.log(0.16), rtol=1e-14)
    assert natural["W"].std() > 0.02  # 100 Hz/mV
    params = {param.value.name: param for param in module.params}
    assert params["V.γ1"].reparametrised and params["V.γ1"].value.type.unit == unit_of("1")
    assert not params["V.e.H"].trainable
    assert "between.weight" not in params and "V.e_to_e.weight" not in params


def test_the_slopes_are_those_of_the_equations(module: Module, raw: dict[str, np.ndarray]) -> None:
    x = some_state(module)
    found = run(module.function("derivative"), {**raw, **x}, {**module.sizes, "trial": 4}, module.layout)
    wanted = slopes(module, raw, by_hand_order(module, x))
    found = by_hand_order(module, found)
    for name, array in wanted.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-13, atol=1e-16, err_msg=name)


def test_a_group_start_reaches_its_members(module: Module) -> None:
    gain = np.array([1.0, -2.0])
    states = run(module.function("init"), {"gain": gain}, {**module.sizes, "trial": 2}, module.layout)
    states = by_hand_order(module, states)
    np.testing.assert_array_equal(states["V.i.v"], np.broadcast_to(2 * gain, (3, 1, 2)))
    np.testing.assert_array_equal(states["V.e.v'"], 0)


def test_a_rollout(module: Module, raw: dict[str, np.ndarray]) -> None:
    driven = drive(euler(module), record=("V.e.v", "V.e.u", "V.e_to_e.arriving"), final=("logits",))
    inputs = {**raw, "gain": np.array([1.0, -2.0]), "dt": np.array(3.65)}
    found = run(driven.function("rollout"), inputs, {**module.sizes, "trial": 2, "time": 20}, module.layout)
    x = by_hand_order(module, run(module.function("init"), inputs, {**module.sizes, "trial": 2}, module.layout))
    for _ in range(20):
        d = slopes(module, raw, x)
        x = {name: array + 3.65 * d[name] for name, array in x.items()}
    logits = found["logits[time = end]"]
    np.testing.assert_allclose(np.sort(logits.ravel()), np.sort(x["V.e.v"].ravel()), rtol=1e-12)


def test_operations_do_not_grow_with_instances(module: Module) -> None:
    larger = lowered(replace(two_populations(), sizes={"V": 50}))
    assert {n: len(f.body) for n, f in larger.functions.items()} == {
        n: len(f.body) for n, f in module.functions.items()
    }


def test_a_penalty_reads_parameters() -> None:
    model = replace(two_populations(), penalties=(Penalty("small", resolved("sum(abs(W))/(1 kHz/mV)")),))
    module = lowered(model)
    natural = run(module.function("start"), {"seed": np.array(3)}, module.sizes)
    found = run(module.function("penalty"), natural, module.sizes)
    np.testing.assert_allclose(found["small"], np.abs(natural["W"]).sum())


def test_what_does_not_lower_says_so() -> None:
    model = two_populations()
    delayed = replace(model.projections[0], delay=resolved("2 ms"), rule=resolved("bernoulli(0.1)"))
    found: list[Diagnostic] = []
    assert lower(replace(model, projections=(delayed, *model.projections[1:])), found.append) is None
    assert [d.code for d in found] == ["CS700", "CS700"]
