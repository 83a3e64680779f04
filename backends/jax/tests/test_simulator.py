"""The pure functions as a user meets them: init and apply, jit, grad, vmap, optax, x64, buffers, errors, adaptive runs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from types import MappingProxyType
from weakref import ref

import numpy as np
import pytest

pytest.importorskip("jax")

import jax
import jax.numpy as jnp
import optax
from cortexspec_jax import Backend

from cortexspec.contracts.backend import Bound, Options
from cortexspec.diagnostics import SpecError
from cortexspec.interpreter import run
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Input, Module, Param, Value
from cortexspec.ir.op import Op
from cortexspec.ir.ops import write
from cortexspec.ir.types import Type
from cortexspec.testing import training

EXACT, SINGLE = Options(dtype="float64"), Options(dtype="float32")


def renamed_rollout() -> Bound:
    """The training module with its loss as `rollout` too."""
    bound = training.bound()
    function = replace(bound.module.functions["loss"], name="rollout")
    functions = MappingProxyType({**bound.module.functions, "rollout": function})
    return replace(bound, module=replace(bound.module, functions=functions))


def test_init_and_apply():
    simulator = Backend().load(renamed_rollout(), EXACT)
    (batch,) = training.batches(1)
    params = simulator.init()
    assert set(params) == {"net.W", "net.b'", "net.g"}
    outputs = simulator.apply(params, batch)
    assert set(outputs) == {"loss", "largest_error"}
    assert abs(float(outputs["loss"]) - simulator.call("loss", batch)["loss"]) < 1e-15


def test_a_part_of_the_parameters_will_do():
    simulator = Backend().load(renamed_rollout(), EXACT)
    (batch,) = training.batches(1)
    params = simulator.init()
    whole = simulator.apply(params, batch)["loss"]
    assert simulator.apply({"net.W": params["net.W"]}, batch)["loss"] == whole


def test_what_cannot_have_changed_is_sent_once_and_not_kept():
    simulator = Backend().load(training.bound(), EXACT)
    fixed = {"net.W": np.array(simulator.parameters()["net.W"])}
    fixed["net.W"].flags.writeable = False
    simulator.set_parameters(fixed)
    sent = ref(simulator.params["net.W"])
    simulator.set_parameters(fixed)
    assert simulator.params["net.W"] is sent()
    simulator.set_parameters({"net.W": 2 * fixed["net.W"]})
    assert sent() is None
    simulator.set_parameters(fixed)
    np.testing.assert_array_equal(simulator.parameters()["net.W"], fixed["net.W"])


def test_running_statistics():
    circuit = Backend().load(renamed_rollout(), EXACT).module
    (batch,) = training.batches(1)
    outputs, buffers = circuit.apply_with_buffers(circuit.init(), circuit.buffers(), batch)
    assert "net.norm.mean" not in outputs
    assert np.abs(np.asarray(buffers["net.norm.mean"])).max() > 0


def test_double_precision_does_not_leak():
    assert not jax.config.jax_enable_x64
    simulator = Backend().load(renamed_rollout(), EXACT)
    (batch,) = training.batches(1)
    assert simulator.call("loss", batch)["loss"].dtype == np.float64
    assert simulator.value_and_grad("loss", batch, ["net.W"])[1]["net.W"].dtype == np.float64
    assert simulator.apply(simulator.init(), batch)["loss"].dtype == jnp.float64
    assert not jax.config.jax_enable_x64
    assert jnp.ones(3).dtype == jnp.float32


def test_single_precision_under_a_global_switch():
    simulator = Backend().load(renamed_rollout(), SINGLE)
    (batch,) = training.batches(1)
    with jax.enable_x64(True):
        assert simulator.call("loss", batch)["loss"].dtype == np.float32


def test_jit_grad_and_vmap_of_apply():
    simulator = Backend().load(renamed_rollout(), SINGLE)
    (batch,) = training.batches(1)
    batch = {name: jnp.asarray(array, jnp.float32) for name, array in batch.items()}
    params = simulator.init()

    def loss(params, batch):
        return simulator.apply(params, batch)["loss"]

    slopes = jax.jit(jax.grad(loss))(params, batch)
    wanted = simulator.value_and_grad("loss", batch, ["net.W"])[1]["net.W"]
    assert np.allclose(slopes["net.W"], wanted, atol=1e-6)
    several = jax.tree.map(lambda x: jnp.stack([x, 2 * x]), params)
    both = jax.vmap(loss, (0, None))(several, batch)
    assert np.allclose(both[0], loss(params, batch))


def test_grad_in_double_precision():
    simulator = Backend().load(renamed_rollout(), EXACT)
    (batch,) = training.batches(1)
    wanted = simulator.value_and_grad("loss", batch, ["net.W"])[1]["net.W"]
    with jax.enable_x64(True):
        slopes = jax.jit(jax.grad(lambda p: simulator.apply(p, batch)["loss"]))(simulator.init())
    assert np.max(np.abs(np.asarray(slopes["net.W"]) - wanted)) < 1e-14


def test_optax_by_hand():
    simulator = Backend().load(renamed_rollout(), SINGLE)
    (batch,) = training.batches(1)
    params, optimizer = simulator.init(), optax.adam(0.05)
    state = optimizer.init(params)

    @jax.jit
    def step(params, state):
        loss, slopes = jax.value_and_grad(lambda p: simulator.apply(p, batch)["loss"])(params)
        updates, state = optimizer.update(slopes, state)
        return optax.apply_updates(params, updates), state, loss

    losses = []
    for _ in range(5):
        params, state, loss = step(params, state)
        losses.append(float(loss))
    assert losses[-1] < losses[0]


def test_batches_of_any_size():
    simulator = Backend().load(training.bound(), EXACT)
    for samples in (1, 4):
        batch = training.batches(1, samples)[0]
        given = {**batch, **simulator.parameters(), **simulator.buffers()}
        wanted = run(simulator.bound.module.functions["loss"], given, layout=simulator.bound.module.layout)
        assert abs(simulator.call("loss", batch)["loss"] - wanted["loss"]) < 1e-14


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
    assert "jax" in found.message and "test.unheard" in found.message


def test_exact_math_is_refused():
    with pytest.raises(SpecError) as error:
        Backend().load(training.bound(), replace(EXACT, math="exact"))
    assert error.value.diagnostics[0].code == "CS700"


def test_the_program_runs_without_cortexspec(tmp_path):
    bound = training.bound()
    text = Backend().generate(bound, SINGLE)
    assert "cortexspec_jax" not in text and "import cortexspec" not in text
    (tmp_path / "program.py").write_text(text)
    (batch,) = training.batches(1)
    arrays = (*bound.params.values(), np.zeros(3), *batch.values())
    np.savez(tmp_path / "data.npz", **{f"v{i}": array for i, array in enumerate(arrays)})
    script = (
        "import sys, numpy as np, jax.numpy as jnp, program; d = np.load('data.npz'); "
        "f, inputs, outputs = program.FUNCTIONS['loss']; "
        "v = [jnp.asarray(d[f'v{i}'], jnp.float32) for i in range(6)]; "
        "print(repr(float(f(*v)[outputs.index('loss')])))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert abs(float(done.stdout) - float(Backend().load(bound, SINGLE).call("loss", batch)["loss"])) < 1e-6


def decay() -> Bound:
    """v' = -k v + u, w' = v"""
    sampled = Type((training.SAMPLE,))
    k, v, w, u = Value("k", Type()), Value("p.v", sampled), Value("p.w", sampled), Value("u", Type())
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
    # Methods of low order would need very many steps for nine digits.
    low = solver in ("heun_adaptive", "kvaerno3")
    found = simulator.adaptive(
        {"u": np.array(0.3)}, start, times, solver, 1e-6 if low else 1e-9, 1e-8 if low else 1e-11
    )
    fixed = 0.3 / 0.7
    v = fixed + (start["p.v"] - fixed) * np.exp(-0.7 * times)[:, None]
    w = fixed * times[:, None] + (start["p.v"] - fixed) * (1 - np.exp(-0.7 * times))[:, None] / 0.7
    bound = 1e-4 if low else 1e-7
    assert np.max(np.abs(found["p.v"] - v)) < bound
    assert np.max(np.abs(found["p.w"] - w)) < bound
