"""The interpreter as a backend: programs, gradients, training, adaptive solvers."""

from types import MappingProxyType

import numpy as np
import pytest

from cortexspec.contracts.backend import Bound, Options, Recipe
from cortexspec.contracts.training import DEFAULTS
from cortexspec.diagnostics import SpecError
from cortexspec.interpreter import Backend, run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Buffer, Input, Layout, Module, Param, State, Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec.units import parse_unit

MV, MS = parse_unit("mV")[0], parse_unit("ms")[0]
CELLS = Axis("cells", Size.symbol("cells"))
SAMPLE = Axis("sample", Size.symbol("sample"), "sample")
WEIGHT = Value("weight", Type((CELLS,)))
BIAS = Value("bias", Type())
MEAN = Value("mean", Type())
X, Y = Value("x", Type((CELLS, SAMPLE))), Value("y", Type((SAMPLE,)))
GAIN = Value("gain", Type())
V, W = Value("v", Type((), "float", MV)), Value("w", Type((), "float", MV / MS))


def loss():
    """Squared error of tanh(weight*x + bias)*gain, and a running mean of x."""
    build = Builder()
    for value in (WEIGHT, BIAS, MEAN, X, Y, GAIN):
        build.names.take_value(value)
    drive = write.add(build, write.contract(build, WEIGHT, X, ["cells"]), BIAS)
    error = write.sub(build, write.mul(build, write.tanh(build, drive), GAIN), Y)
    value = write.mean(build, write.mul(build, error, error), ["sample"])
    seen = write.mean(build, X, ["cells", "sample"])
    running = write.add(build, write.scale(build, MEAN, 0.9), write.scale(build, seen, 0.1))
    return build.function("loss", [WEIGHT, BIAS, MEAN, X, Y, GAIN], [value, running], ["loss", "mean"])


def project():
    """weight stays at or above 0."""
    build = Builder()
    build.names.take_value(WEIGHT)
    return build.function("project", [WEIGHT], [write.relu(build, WEIGHT)], ["weight"])


def derivative():
    """A harmonic oscillator of angular frequency 2 per ms, in mV."""
    build = Builder()
    for value in (V, W):
        build.names.take_value(value)
    stiffness = write.const(build, -4.0, MS**-2)
    return build.function("derivative", [V, W], [W, write.mul(build, stiffness, V)], ["v", "w"])


def bound(**functions):
    module = Module(
        "small",
        params=(Param(WEIGHT, WEIGHT.type, True), Param(BIAS, BIAS.type, True)),
        buffers=(Buffer(MEAN, "running"),),
        states=(State(V, "", "oscillator", "v"), State(W, "", "oscillator", "v'")),
        inputs=(Input(X), Input(Y), Input(GAIN, default=2.0)),
        functions=MappingProxyType({"loss": loss(), "derivative": derivative(), **functions}),
        layout=Layout(("cells", "sample")),
    )
    start = {"weight": np.array([0.3, -0.2, 0.1]), "bias": np.array(0.05)}
    return Bound(module, {"cells": 3}, start, {"mean": np.array(0.0)})


def data(samples=4):
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(3, samples)), "y": rng.normal(size=samples)}


def load(dtype="float64", **functions):
    return Backend().load(bound(**functions), Options(dtype=dtype))


def test_the_program_is_the_text_it_runs():
    simulator = load()
    assert simulator.program.startswith("cortexspec ir 1\nmodule small\n")
    assert simulator.program == Backend().generate(bound(), Options())
    assert simulator.module == bound().module


def test_a_call_fills_defaults_and_takes_the_sample_size_from_its_inputs():
    simulator = load()
    for samples in (2, 5):
        given = data(samples)
        drive = np.array([0.3, -0.2, 0.1]) @ given["x"] + 0.05
        expected = np.mean((2 * np.tanh(drive) - given["y"]) ** 2)
        assert simulator.call("loss", given)["loss"] == pytest.approx(expected, rel=1e-14)
    assert simulator.call("loss", {**data(), "weight": np.zeros(3), "bias": np.array(0.0)})["loss"] == pytest.approx(
        np.mean(data()["y"] ** 2)
    )


def test_missing_and_misshapen_inputs_are_diagnostics():
    simulator = load()
    with pytest.raises(SpecError) as missing:
        simulator.call("loss", {"x": data()["x"]})
    assert missing.value.diagnostics[0].code == "CS805"
    with pytest.raises(SpecError) as shape:
        simulator.call("loss", {"x": np.zeros((4, 2)), "y": np.zeros(2)})
    assert shape.value.diagnostics[0].code == "CS501"
    assert "`x` [cells, sample] has the shape (3, 2)" in shape.value.diagnostics[0].message


def test_parameters_and_buffers_are_copies_of_the_asked_precision():
    simulator = load("float32")
    parameters = simulator.parameters()
    assert parameters["weight"].dtype == np.float32
    parameters["weight"][:] = 9
    assert simulator.parameters()["weight"][0] == np.float32(0.3)
    assert simulator.call("loss", data())["loss"].dtype == np.float32
    with pytest.raises(KeyError):
        simulator.set_parameters({"wait": np.zeros(3)})


def test_gradients_of_parameters_and_inputs():
    simulator = load()
    outputs, gradients = simulator.value_and_grad("loss", data(), ["weight", "bias", "gain"])
    assert set(outputs) == {"loss", "mean"} and set(gradients) == {"weight", "bias", "gain"}
    h = 1e-6
    for place in range(3):
        step = np.eye(3)[place] * h
        ends = [
            simulator.call("loss", {**data(), "weight": np.array([0.3, -0.2, 0.1]) + s})["loss"] for s in (step, -step)
        ]
        assert gradients["weight"][place] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-6)


def numpy_and_torch(recipe, steps):
    """Parameters after so many updates by our trainer and by torch.optim on the same loss."""
    torch = pytest.importorskip("torch", exc_type=ImportError)
    optim = pytest.importorskip("torch.optim")
    simulator = load()
    trainer = simulator.trainer(recipe)
    weight = torch.nn.Parameter(torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64))
    bias = torch.nn.Parameter(torch.tensor(0.05, dtype=torch.float64))
    o = {**DEFAULTS[recipe.optimizer], **recipe.options}
    betas = {"betas": (o["beta1"], o["beta2"])} if "beta1" in o else {}
    rest = {key: o[key] for key in ("lr", "eps", "momentum", "weight_decay") if key in o}
    rest |= {"alpha": o["decay"]} if "decay" in o else {}
    rest |= {"nesterov": bool(o["nesterov"])} if "nesterov" in o else {}
    kind = {"adam": "Adam", "adamw": "AdamW", "adamax": "Adamax", "sgd": "SGD", "rmsprop": "RMSprop"}[recipe.optimizer]
    optimizer = getattr(optim, kind)([weight, bias], **betas, **rest)
    given = {name: torch.tensor(array) for name, array in data().items()}
    for step in range(steps):
        assert set(trainer.step(data())) == {"loss"}
        optimizer.zero_grad()
        error = 2 * torch.tanh(weight @ given["x"] + bias) - given["y"]
        (error**2).mean().backward()
        if recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_([weight, bias], recipe.clip)
        for group in optimizer.param_groups:
            group["lr"] = o["lr"] * (recipe.learning_rates[step] if recipe.learning_rates else 1)
        optimizer.step()
    ours = simulator.parameters()
    return (ours["weight"], ours["bias"]), (weight.detach().numpy(), bias.detach().numpy())


@pytest.mark.parametrize(
    ("optimizer", "options"),
    [
        ("adam", {}),
        ("adam", {"weight_decay": 0.1, "beta1": 0.8}),
        ("adamw", {"lr": 0.01}),
        ("adamax", {"weight_decay": 0.05}),
        ("sgd", {}),
        ("sgd", {"momentum": 0.9, "weight_decay": 0.01}),
        ("sgd", {"momentum": 0.9, "nesterov": 1.0}),
        ("rmsprop", {}),
        ("rmsprop", {"momentum": 0.5}),
    ],
)
def test_updates_are_those_of_torch(optimizer, options):
    ours, theirs = numpy_and_torch(Recipe(optimizer, options), 12)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def test_schedule_and_clipping():
    recipe = Recipe("adam", {"lr": 0.1}, learning_rates=[1.0, 0.5, 0.25, 0.1], clip=0.01)
    ours, theirs = numpy_and_torch(recipe, 4)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)  # torch divides by the norm plus 1e-6


def test_training_writes_running_buffers_and_projects():
    simulator = load(project=project())
    trainer = simulator.trainer(Recipe("sgd", {"lr": 0.001}))
    trainer.step(data())
    assert simulator.buffers()["mean"] == pytest.approx(0.1 * data()["x"].mean())
    assert simulator.parameters()["weight"].min() == 0.0


@pytest.mark.parametrize("optimizer", sorted(DEFAULTS))
def test_a_restored_trainer_goes_on_as_if_nothing_had_happened(optimizer):
    options = {"momentum": 0.9} if optimizer in ("sgd", "rmsprop") else {}
    recipe = Recipe(optimizer, options)
    whole, first, second = load(), load(), load()
    trainer = whole.trainer(recipe)
    for _ in range(6):
        trainer.step(data())
    begun = first.trainer(recipe)
    for _ in range(3):
        begun.step(data())
    second.set_parameters(first.parameters())
    second.set_buffers(first.buffers())
    resumed = second.trainer(recipe)
    resumed.restore(begun.state())
    for _ in range(3):
        resumed.step(data())
    for name, array in whole.parameters().items():
        np.testing.assert_array_equal(second.parameters()[name], array)


@pytest.mark.parametrize("solver", Backend.adaptive_solvers)
def test_adaptive_solvers_follow_the_exact_solution(solver):
    simulator = load()
    times = np.linspace(0, 3, 7)
    state = {"v": np.array(1.0), "w": np.array(0.5)}
    found = simulator.adaptive({}, state, times, solver, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found["v"], np.cos(2 * times) + 0.25 * np.sin(2 * times), atol=2e-6)
    assert found["w"].shape == (7,)
    alone = simulator.adaptive({}, state, times[:1], solver, rtol=1e-8, atol=1e-10)
    assert alone["v"].tolist() == [1.0]


def test_run_needs_no_backend():
    assert run(derivative(), {"v": np.array(2.0), "w": np.array(3.0)}) == {"v": 3.0, "w": -8.0}
