"""The module as a user meets it: names, state_dict, .to(), autograd, buffers, errors, the exported program, adaptive runs."""

from __future__ import annotations

import subprocess
import sys
import traceback
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

pytest.importorskip("torch.nn")

import torch
from cortexspec_torch import Backend

from cortexspec.contracts.backend import Bound, Options
from cortexspec.diagnostics import SpecError
from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Buffer, Input, Layout, Module, Param, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops import write
from cortexspec.ir.types import Type
from cortexspec.passes.differentiate import forward_and_backward
from cortexspec.testing import loops, training

EXACT = Options(dtype="float64")


def renamed_rollout(bound: Bound) -> Bound:
    """The training module with its loss as `rollout` too."""
    function = replace(bound.module.functions["loss"], name="rollout")
    functions = MappingProxyType({**bound.module.functions, "rollout": function})
    return replace(bound, module=replace(bound.module, functions=functions))


def test_names_are_those_of_the_spec():
    module = Backend().load(training.bound(), EXACT).module
    assert set(dict(module.named_parameters())) == {"net.W", "net.b'", "net.g"}
    assert set(module.state_dict()) == {"net.W", "net.b'", "net.g", "net.norm.mean"}
    assert not module.parameter("net.g").requires_grad


def test_state_dict_round_trip():
    one, other = (Backend().load(training.bound(seed), EXACT) for seed in (0, 1))
    other.module.load_state_dict(one.module.state_dict())
    for name, array in one.parameters().items():
        assert np.array_equal(other.parameters()[name], array)


def test_names_that_python_or_torch_use():
    values = [Value(name, Type()) for name in ("lambda", "type", "V", "V.v", "x-1", "ϕ.κ''", "sum", "range")]
    build = Builder()
    for value in values:
        build.names.take_value(value)
    total = values[0]
    for value in values[1:]:
        total = write.add(build, total, value)
    function = build.function("rollout", values, [total], ["total"])
    module = Module("names", params=tuple(Param(v, v.type, True) for v in values), functions={"rollout": function})
    params = {value.name: np.array(float(i)) for i, value in enumerate(values)}
    simulator = Backend().load(Bound(module, {}, params, {}), EXACT)
    assert simulator.call("rollout", {})["total"] == 28
    assert simulator.parameters() == params


def test_forward_trains_in_a_loop_of_ones_own():
    bound = renamed_rollout(training.bound())
    module = Backend().load(bound, EXACT).module
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    (batch,) = training.batches(1)
    inputs = {name: torch.from_numpy(array) for name, array in batch.items()}
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        outputs = module(**inputs)
        assert set(outputs) == {"loss", "largest_error"}
        outputs["loss"].backward()
        optimizer.step()
        module.project()
        losses.append(outputs["loss"].item())
    assert losses[-1] < losses[0]
    assert (module.parameter("net.W") >= 0).all()


def test_running_statistics_move_in_training_only():
    module = Backend().load(renamed_rollout(training.bound()), EXACT).module
    (batch,) = training.batches(1)
    inputs = {name: torch.from_numpy(array) for name, array in batch.items()}
    module.eval()
    module(**inputs)
    assert (module.buffer("net.norm.mean") == 0).all()
    module.train()
    module(**inputs)
    assert (module.buffer("net.norm.mean") != 0).all()


def test_to_another_dtype():
    simulator = Backend().load(renamed_rollout(training.bound()), Options(dtype="float32"))
    single = simulator.call("loss", training.batches(1)[0])["loss"]
    simulator.module.double()
    double = simulator.call("loss", training.batches(1)[0])["loss"]
    assert (single.dtype, double.dtype) == (np.float32, np.float64)
    assert abs(single - double) < 1e-5


def test_batches_of_any_size():
    simulator = Backend().load(training.bound(), EXACT)
    for samples in (1, 4, 7):
        batch = training.batches(1, samples)[0]
        wanted = run(
            simulator.bound.module.functions["loss"],
            {**batch, **simulator.parameters(), **simulator.buffers()},
            layout=simulator.bound.module.layout,
        )
        assert abs(simulator.call("loss", batch)["loss"] - wanted["loss"]) < 1e-14


def test_gradient_by_an_input_and_by_what_does_not_matter():
    simulator = Backend().load(training.bound(), EXACT)
    (batch,) = training.batches(1)
    _, slopes = simulator.value_and_grad("loss", batch, ["x", "net.W", "net.g"])
    assert slopes["x"].shape == batch["x"].shape
    _, slopes = simulator.value_and_grad("loss", batch, ["net.b'"], output="largest_error")
    assert slopes["net.b'"].shape == (3,)


def test_inputs_have_defaults_or_are_asked_for():
    bound = training.bound()
    declared = (Input(training.X), Input(training.LABEL, default=0.25))
    simulator = Backend().load(replace(bound, module=replace(bound.module, inputs=declared)), EXACT)
    (batch,) = training.batches(1)
    spoken = simulator.call("loss", {**batch, "label": np.full_like(batch["label"], 0.25)})
    assert simulator.call("loss", {"x": batch["x"]})["loss"] == spoken["loss"]
    with pytest.raises(SpecError) as error:
        simulator.call("loss", {"label": batch["label"]})
    assert error.value.diagnostics[0].code == "CS805"
    assert "`x`" in error.value.diagnostics[0].message


class Unheard(Op):
    name = "test.unheard"

    def rule(self, x):
        return (x,)


def test_a_missing_lowering_names_operation_and_backend():
    x = Value("x", Type())
    build = Builder()
    y = build.one(Unheard(), x)
    module = Module("m", functions={"f": build.function("f", [x], [y])})
    with pytest.raises(SpecError) as error:
        Backend().generate(Bound(module, {}, {}, {}), EXACT)
    (found,) = error.value.diagnostics
    assert found.code == "CS801"
    assert "torch" in found.message and "test.unheard" in found.message


def test_exact_math_is_refused():
    with pytest.raises(SpecError) as error:
        Backend().load(training.bound(), replace(EXACT, math="exact"))
    assert error.value.diagnostics[0].code == "CS700"


def test_a_traceback_shows_the_line_of_the_program():
    simulator = Backend().load(training.bound(), EXACT)
    (batch,) = training.batches(1)
    try:
        simulator.call("loss", {**batch, "label": np.zeros((2, 5))})
    except RuntimeError:
        text = traceback.format_exc()
    assert "net_norm_mean" in text and "<cortexspec torch regression" in text


def test_the_program_runs_without_cortexspec(tmp_path):
    bound = training.bound()
    file = tmp_path / "program.py"
    file.write_text(Backend().generate(bound, EXACT))
    (batch,) = training.batches(1)
    np.savez(
        tmp_path / "data.npz",
        **{f"v{i}": a for i, a in enumerate((*bound.params.values(), np.zeros(3), *batch.values()))},
    )
    script = (
        "import sys, numpy as np, torch, program; d = np.load('data.npz'); "
        "sys.modules['cortexspec'] = None; "
        "f, inputs, outputs = program.FUNCTIONS['loss']; "
        "v = [torch.from_numpy(d[f'v{i}']) for i in range(6)]; "
        "print(repr(float(f(*v)[outputs.index('loss')])))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "cortexspec_torch" not in file.read_text() and "import cortexspec" not in file.read_text()
    wanted = Backend().load(bound, EXACT).call("loss", batch)["loss"]
    assert abs(float(done.stdout) - float(wanted)) < 1e-15


def test_gradients_of_a_loop_inside_ones_own_graph():
    """The IR's adjoint is a node of torch's tape: what comes before and after it is torch's."""
    module = loops.module("stacked twice", "residuals", "batch last")
    arrays = loops.arrays(module.layout)
    found = []
    for gradient in ("native", "ir"):
        circuit = Backend().load(Bound(module, {"time": 7}, {}, {}), replace(EXACT, gradient=gradient)).module
        tensors = {name: torch.from_numpy(array).requires_grad_() for name, array in arrays.items()}
        outputs = circuit.run("f", {name: 2 * x for name, x in tensors.items()})
        (outputs["one"].square().sum() + outputs["two"].sin().sum()).backward()
        found.append({name: x.grad for name, x in tensors.items() if x.grad is not None})
    for name in found[0]:
        assert torch.allclose(found[0][name], found[1][name], rtol=1e-10, atol=1e-12), name


def test_what_the_adjoint_does_not_cover_has_torchs_gradient():
    """The adjoint is by W alone; a gradient by x must not come out as nothing."""
    function = loops.PROGRAMS["plain"]()
    halves = {made.name: made for made in forward_and_backward(function, ["W"])}
    module = Module("part", functions={"f": function, **halves}, layout=loops.LAYOUTS["batch last"])
    circuit = Backend().load(Bound(module, {"time": 7}, {}, {}), replace(EXACT, gradient="ir")).module
    native = Backend().load(Bound(module, {"time": 7}, {}, {}), replace(EXACT, gradient="native")).module
    for wanted in (("W",), ("W", "x"), ()):
        found = []
        for one in (circuit, native):
            arrays = loops.arrays(module.layout)
            tensors = {name: torch.from_numpy(a).requires_grad_(name in wanted) for name, a in arrays.items()}
            loss = one.run("f", tensors)["loss"]
            if wanted:
                loss.backward()
            found.append([loss.detach(), *(tensors[name].grad for name in wanted)])
        assert all(torch.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(*found, strict=True))


def test_a_compiler_that_fails_is_a_warning(monkeypatch):
    def broken(function):
        def call(*_):
            raise RuntimeError("InvalidCxxCompiler: no working C++ compiler")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    simulator = Backend().load(training.bound(), replace(EXACT, compile=True))
    (batch,) = training.batches(1)
    with pytest.warns(UserWarning, match="torch.compile failed"):
        found = simulator.call("loss", batch)["loss"]
    assert found == Backend().load(training.bound(), EXACT).call("loss", batch)["loss"]


def decay() -> Bound:
    """v' = -k v + u, w' = v"""
    k, v, w, u = (
        Value("k", Type()),
        Value("p.v", Type((training.SAMPLE,))),
        Value("p.w", Type((training.SAMPLE,))),
        Value("u", Type()),
    )
    build = Builder()
    for value in (k, v, w, u):
        build.names.take_value(value)
    slope = write.add(build, write.neg(build, write.mul(build, k, v)), u)
    function = build.function("derivative", [k, v, w, u], [slope, v], ["p.v", "p.w"])
    module = Module("decay", params=(Param(k, k.type, True),), inputs=(Input(u),), functions={"derivative": function})
    return Bound(module, {}, {"k": np.array(0.7)}, {})


@pytest.mark.parametrize("solver", Backend.adaptive_solvers)
def test_adaptive_solver(solver):
    simulator = Backend().load(decay(), EXACT)
    times = np.linspace(0, 5, 6)
    start = {"p.v": np.array([1.0, -2.0]), "p.w": np.zeros(2)}
    # A method of second order would need very many steps for nine digits.
    low = solver == "heun_adaptive"
    found = simulator.adaptive(
        {"u": np.array(0.3)}, start, times, solver, 1e-6 if low else 1e-9, 1e-8 if low else 1e-11
    )
    fixed = 0.3 / 0.7
    v = fixed + (start["p.v"] - fixed) * np.exp(-0.7 * times)[:, None]
    w = fixed * times[:, None] + (start["p.v"] - fixed) * (1 - np.exp(-0.7 * times))[:, None] / 0.7
    bound = 1e-4 if low else 1e-7
    assert np.max(np.abs(found["p.v"] - v)) < bound
    assert np.max(np.abs(found["p.w"] - w)) < bound


def test_buffers_keep_their_kind():
    index = Value("net.index", Type((training.OUT,), "int"))
    x = Value("x", Type((training.IN,)))
    build = Builder()
    for value in (index, x):
        build.names.take_value(value)
    y = write.gather(build, x, index, "in")
    function = build.function("rollout", [index, x], [y], ["y"])
    module = Module(
        "g", buffers=(Buffer(index, "index"),), functions={"rollout": function}, layout=Layout(("out", "in"))
    )
    simulator = Backend().load(Bound(module, {}, {}, {"net.index": np.array([2, 0, 2])}), EXACT)
    assert simulator.buffers()["net.index"].dtype == np.int64
    simulator.module.float()
    found = simulator.call("rollout", {"x": np.arange(4.0)})["y"]
    assert (found == [2, 0, 2]).all()
