"""The program's own gradient of a rollout: when it is taken, what it gives, and where torch's autograd takes over."""

from __future__ import annotations

import numpy as np
import pytest

import cortexspec as cs

pytest.importorskip("torch.nn")

import torch

SPEC = """
neuron leaky {
  param τ = 10 ms  trainable
  input u = 0
  state v = 0
  τ*v' = u - v
  output r = sigmoid(v)
}

circuit pair {
  param w = 2, k = -1  trainable
  population e : leaky
  population i : leaky(τ = 5 ms)
  connect e.r -> e.u { weight = w }
  connect e.r -> i.u { weight = w }
  connect i.r -> e.u { weight = k }
  output activity = e.v
}

circuit areas(regions: int = 3) {
  input v0[regions, 1]
  part A[regions] : pair
  start A.e.v = v0
  param W[A, A] = 0.1  trainable
  connect A.activity -> A.i.u { weight = W }
  output activity = A.activity
}
"""


def module_of(**options):
    simulation = cs.compile(
        cs.parse(SPEC), "areas", backend="torch", dtype="float64", dt="1 ms", duration="8 ms", **options
    )
    return simulation.module


def gradients(module, start, **options):
    (output,) = module(v0=start).values()
    wanted = [p for p in module.parameters() if p.requires_grad]
    return output, torch.autograd.grad(output.square().sum(), wanted, allow_unused=True, **options)


@pytest.fixture(scope="module")
def modules():
    return {gradient: module_of(gradient=gradient).train() for gradient in ("auto", "native")}


@pytest.fixture
def start(modules):
    ir = modules["auto"].bound.module
    (value,) = (value for value in ir.function("rollout").inputs if value.name == "v0")
    sizes = {axis.name: axis.size.bind({**ir.sizes, "trial": 5}).fixed for axis in value.type.axes}
    shape = [sizes[name] for name in ir.layout.sort(value.type.names)]
    return torch.from_numpy(np.random.default_rng(0).standard_normal(shape))


def test_a_rollout_without_convolutions_has_its_own_gradient(modules, start):
    output, _ = gradients(modules["auto"], start)
    plain, _ = gradients(modules["native"], start)
    assert "rollout_training_ir" in type(output.grad_fn).__name__
    assert "_ir" not in type(plain.grad_fn).__name__


def test_it_is_autograds(modules, start):
    (value, ours), (wanted, expected) = (gradients(modules[name], start) for name in ("auto", "native"))
    torch.testing.assert_close(value, wanted, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(ours, expected, rtol=1e-11, atol=1e-13)


def test_a_gradient_has_a_gradient(modules, start):
    second = []
    for name in ("auto", "native"):
        wanted = [p for p in modules[name].parameters() if p.requires_grad]
        _, first = gradients(modules[name], start, create_graph=True)
        second.append(torch.autograd.grad(sum(g.square().sum() for g in first), wanted, allow_unused=True))
    torch.testing.assert_close(second[0], second[1], rtol=1e-10, atol=1e-13)


def test_transformations_of_torch_func_see_the_plain_program(modules, start):
    module = modules["auto"]
    parameters = dict(module.named_parameters())

    def loss(parameters):
        (output,) = torch.func.functional_call(module, parameters, (), {"v0": start}).values()
        return output.square().sum()

    found = torch.func.grad(loss)(parameters)
    _, expected = gradients(modules["native"], start)
    trained = [name for name, p in modules["native"].named_parameters() if p.requires_grad]
    for name, gradient in zip(trained, expected, strict=True):
        torch.testing.assert_close(found[name], gradient, rtol=1e-10, atol=1e-13)


def test_an_input_that_wants_a_gradient_gets_it(modules, start):
    start = start.requires_grad_()
    found = []
    for name in ("auto", "native"):
        (output,) = modules[name](v0=start).values()
        found.append(torch.autograd.grad(output.square().sum(), start)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-13)


def test_constants_follow_the_dtype(start):
    module = module_of(gradient="auto").train()
    module(v0=start)
    (output,) = module.float()(v0=start.float()).values()
    assert output.dtype == torch.float32


def test_first_called_in_inference_mode(start):
    module = module_of(gradient="auto").train()
    with torch.inference_mode():
        module(v0=start)
    _, found = gradients(module, start)
    assert all(g is not None and torch.isfinite(g).all() for g in found)


def test_writing_into_an_output_leaves_the_gradient(modules, start):
    found = []
    for write in (False, True):
        (output,) = modules["auto"](v0=start).values()
        loss = output.sum()
        if write:
            with torch.no_grad():
                output.zero_()
        found.append(torch.autograd.grad(loss, [p for p in modules["auto"].parameters() if p.requires_grad]))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)
