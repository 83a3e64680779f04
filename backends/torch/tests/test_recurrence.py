"""Small loops as recurrences: values and gradients are those of autograd over the plain program, and of the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

import cortexspec as cs

pytest.importorskip("torch.nn")

import torch

from cortexspec.ir.op import Context
from cortexspec.ir.ops.recurrence import Recurrence
from cortexspec.ir.ops.scan import evaluate_function
from cortexspec.passes.recurrences import LIMIT

SPEC = """
neuron oscillator {{
  param κ = 50 Hz  trainable
  param gain = 2  trainable
  input u : Hz
  state v = 0, v' = 0 kHz
  v'' + 2*κ*v' + κ^2*v = κ*u
  output v
  output r = {rate}
}}

circuit column(n: int = 1) {{
  input v0[n]
  input w0[n]
  input image[n] : Hz = 0 Hz
  param background = {background} Hz  trainable
  param a = 30 Hz, b = 80 Hz  trainable
  population e[n], i[n] : oscillator
  group cells = [e, i]
  start e.v = v0
  start i.v = w0
  connect e.r -> i.u {{ rule = one_to_one; weight = a }}
  connect i.r -> e.u {{ rule = one_to_one; weight = -b }}
  {drive}
  output activity = e.v
}}
"""
CASES = {
    "tanh": {"rate": "tanh(gain*v)"},
    "sigmoid": {"rate": "sigmoid(gain*v)"},
    "exp": {"rate": "exp(gain*v)"},
    "constant input": {"rate": "tanh(gain*v)", "drive": "connect background -> e.u", "background": "7"},
    "an input a sample": {"rate": "tanh(gain*v)", "drive": "connect image -> e.u { rule = one_to_one }"},
    "linear": {"rate": "gain*v"},
}


def module_of(case, gradient, n=2, duration="16 ms", **options):
    text = SPEC.format(**{"drive": "", "background": "0", **CASES[case]})
    settings = {"backend": "torch", "dtype": "float64", "dt": "1 ms", "duration": duration, **options}
    return cs.compile(cs.parse(text), "column", arguments={"n": n}, gradient=gradient, **settings).module.train()


def outcome(module, samples=5, n=2):
    draw = np.random.default_rng(3)
    inputs = {
        **{name: torch.from_numpy(draw.normal(0, 0.5, (n, samples))) for name in ("v0", "w0")},
        "image": torch.from_numpy(draw.normal(0, 20.0, (n, samples))),
    }
    known = {value.name for value in module.bound.module.function("rollout_training").inputs}
    outputs = module(**{name: x for name, x in inputs.items() if name in known})
    loss = sum(
        (output * torch.arange(1, 1 + output.numel()).reshape(output.shape)).sum() for output in outputs.values()
    )
    trained = {name: p for name, p in module.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(loss, list(trained.values()), allow_unused=True)
    return outputs, {name: torch.zeros(()) if g is None else g for name, g in zip(trained, gradients, strict=True)}


def uses_recurrence(module):
    function = module.bound.module.functions.get("rollout_training_forward")
    return function is not None and any(isinstance(line.op, Recurrence) for line in function.body)


@pytest.mark.parametrize("case", CASES)
def test_gradients_are_those_of_autograd(case):
    ours, plain = module_of(case, "ir"), module_of(case, "native")
    assert uses_recurrence(ours) and not uses_recurrence(plain)
    for (_, found), (name, wanted) in zip(*(outcome(module)[0].items() for module in (ours, plain)), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12, msg=name)
    found, wanted = (outcome(module)[1] for module in (ours, plain))
    assert any(float(g.abs().max()) > 0 for g in wanted.values())
    for name, gradient in wanted.items():
        torch.testing.assert_close(
            found[name], gradient, rtol=1e-10, atol=1e-12 * float(gradient.abs().max()) + 1e-13, msg=name
        )


@pytest.mark.parametrize("case", CASES)
def test_the_meaning_is_what_torch_computes(case):
    module = module_of(case, "ir")
    function = module.bound.module.function("rollout_training_forward")
    plain = module.bound.module.function("rollout_training")
    sizes = {**module.bound.sizes, "trial": 5}
    context = Context(sizes, module.bound.module.layout, np.dtype("float64"))
    draw = np.random.default_rng(4)
    from cortexspec.ir.op import Tensor

    def given(value):
        return Tensor(draw.normal(0.1, 0.1, context.shape(value.type)), context.axes(value.type))

    named = {value.name: given(value) for value in plain.inputs}
    found = evaluate_function(function, [named[value.name] for value in function.inputs], context)
    wanted = evaluate_function(plain, [named[value.name] for value in plain.inputs], context)
    for a, b in zip(found, wanted, strict=False):
        np.testing.assert_allclose(a.array, b.array, rtol=1e-12, atol=1e-13)


def test_large_loops_stay_loops():
    rows = 6  # of one place: v, v' and the rate, of two populations
    assert uses_recurrence(module_of("tanh", "ir", n=LIMIT // rows))
    assert not uses_recurrence(module_of("tanh", "ir", n=LIMIT // rows + 1))


def test_a_run_of_no_step_gives_the_start():
    module = module_of("tanh", "ir", duration="0 ms")
    outputs, gradients = outcome(module)
    assert all(float(g.abs().max()) == 0 for g in gradients.values())
    assert outputs


def test_two_runs_may_wait_for_their_gradients():
    """The memory of a run is not lent again while its gradient is wanted."""
    module = module_of("tanh", "ir")
    draw = np.random.default_rng(1)
    starts = [torch.from_numpy(draw.normal(size=(2, 2, 400))) for _ in range(2)]
    parameter = dict(module.named_parameters())["a"]

    def loss(start):
        return next(iter(module(v0=start[0], w0=start[1]).values())).square().sum()

    alone = [torch.autograd.grad(loss(start), parameter)[0] for start in starts]
    both = [loss(start) for start in starts]
    for total, wanted in zip(both, alone, strict=True):
        found = torch.autograd.grad(total, parameter, retain_graph=True)[0]
        again = torch.autograd.grad(total, parameter)[0]
        assert torch.equal(found, wanted) and torch.equal(again, wanted)


@pytest.mark.parametrize("n", [2, LIMIT])
def test_memory_serves_again(n):
    """However many steps of training: what a run left is taken by the next one."""
    module = module_of("tanh", "ir", n=n)
    draw = np.random.default_rng(2)
    parameter = dict(module.named_parameters())["a"]
    held = []
    for samples in (4000, 4000, 4000, 3000, 4000, 4000, 4000):
        start = torch.from_numpy(draw.normal(size=(2, n, samples)))
        next(iter(module(v0=start[0], w0=start[1]).values())).square().sum().backward()
        assert parameter.grad is not None
        lent, rented = (module._namespace.get(name) for name in ("lent", "rented"))
        held.append(len(lent.__defaults__[0]) if rented is None else sum(map(len, rented.__defaults__[0].values())))
    assert 0 < held[-1] <= held[1] <= held[0] + 2
    assert held[2] == held[1] and held[6] == held[5]
