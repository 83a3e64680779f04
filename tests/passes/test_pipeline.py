"""A pass never changes what a program means: each alone, all in order, none; values and gradients; twice is once."""

from dataclasses import replace

import numpy as np
import pytest

from cortexspec.diagnostics import Span, SpecError
from cortexspec.interpreter import run
from cortexspec.ir.module import Function, Layout, Module
from cortexspec.ir.ops.scan import Scan
from cortexspec.ir.verifier import check
from cortexspec.passes.describe import describe, operations
from cortexspec.passes.differentiate import differentiate
from cortexspec.passes.pipeline import DEFAULT, PASSES, run_pipeline
from cortexspec.passes.solvers.euler import euler
from cortexspec.passes.solvers.rk4 import rk4

PLAIN = Layout()
SIZES = {"V": 2, "sample": 2, "time": 4}
TRAINED = ("V.γ8", "V.γ3", "V.ss.κ", "V.dp.κ", "W", "a", "x0.V.ss.v", "x0.V.sp.v'")


def transposed(arrays, function: Function, old: Layout, new: Layout):
    """Inputs for a module of another layout."""
    moved = {}
    for value in function.inputs:
        names = old.sort(value.type.names)
        moved[value.name] = np.transpose(arrays[value.name], [names.index(name) for name in new.sort(value.type.names)])
    return moved


def outputs(module: Module, name: str, arrays, layout: Layout = PLAIN):
    """What the function gives for the arrays, with its axes in the order of `layout`."""
    function = module.function(name)
    results = run(function, transposed(arrays, function, layout, module.layout), SIZES, module.layout)
    for value, public in zip(function.outputs, function.output_names, strict=True):
        names = module.layout.sort(value.type.names)
        order = [names.index(each) for each in layout.sort(value.type.names)]
        results[public] = np.transpose(results[public], order)
    return results


def assert_same(found, wanted, tolerance=1e-13):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].shape == array.shape, name
        assert np.abs(found[name] - array).max() <= tolerance * max(np.abs(array).max(), 1e-30), name


def with_gradients(module: Module) -> Module:
    made = differentiate(module.function("loss"), TRAINED)
    return module.with_functions(gradients=replace(made, name="gradients"))


def body(module: Module, name: str = "loss") -> Function:
    (scan,) = (line.op for line in module.function(name).body if isinstance(line.op, Scan))
    return scan.body


@pytest.fixture(
    scope="session", params=[(), ("V.sp.v", "V.activity", "V.ss.v", "V.ii.v", "V.dp.v")], ids=["final", "recorded"]
)
def wanted(request, microcircuit_of):
    """A circuit's module, inputs for it, and what it gives with its gradients, before any pass."""
    circuit = microcircuit_of(euler, request.param)
    arrays = circuit.inputs(batch=2)
    module = replace(circuit.module, sizes=SIZES, functions={"loss": circuit.module.function("loss")})
    return module, arrays, outputs(with_gradients(module), "gradients", arrays)


@pytest.mark.parametrize("step", sorted(set(PASSES) - {"checkpoint"}))  # it wants the length of a segment
def test_each_pass_alone_keeps_values_and_gradients(wanted, step):
    module, arrays, before = wanted
    after = run_pipeline(module, (step,))
    assert_same(outputs(with_gradients(after), "gradients", arrays), before)


@pytest.mark.parametrize("step", sorted(set(PASSES) - {"checkpoint"}))
def test_each_pass_alone_keeps_the_adjoint(wanted, step):
    module, arrays, before = wanted
    after = run_pipeline(with_gradients(module).with_functions(loss=module.function("loss")), (step,))
    assert_same(outputs(after, "gradients", arrays), before)


@pytest.mark.parametrize(("solver", "contract", "width"), [(euler, True, 1), (euler, False, 3), (rk4, True, 3)])
def test_the_default_pipeline_keeps_values_and_gradients(make_microcircuit, solver, contract, width):
    circuit = make_microcircuit(solver, width=width, contract=contract)
    arrays = circuit.inputs(batch=2)
    module = replace(circuit.module, sizes=SIZES, functions={"loss": circuit.module.function("loss")})
    before = outputs(with_gradients(module), "gradients", arrays)
    after = run_pipeline(module)
    assert_same(outputs(with_gradients(after), "gradients", arrays), before)
    assert_same(outputs(run_pipeline(with_gradients(module)), "gradients", arrays), before)


@pytest.mark.parametrize(("solver", "regions"), [(euler, 1), (euler, 5), (euler, 50), (rk4, 5)])
def test_the_default_pipeline_twice_is_the_pipeline_once(make_microcircuit, solver, regions):
    module = make_microcircuit(solver).module
    module = replace(module, sizes={"V": regions}, functions={"loss": module.function("loss")})
    once = run_pipeline(module, verify=False)
    assert run_pipeline(once, verify=False) == once


def test_no_passes_give_the_module_itself(microcircuit):
    assert run_pipeline(microcircuit.module, ()) is microcircuit.module


def test_the_expert_s_program_is_reached(make_microcircuit):
    """Per step one tanh, two matrix products (rates, and potentials of all regions), and a few multiply-adds."""
    module = run_pipeline(replace(make_microcircuit(euler, record=()).module, sizes={"V": 5}))
    count = operations(body(module))
    assert count == {
        "arith.tanh": 1,
        "linear.contract": 2,
        "arith.mul": 2,  # a decay of each potential's slope, and the step of the solver, which is an input here
        "arith.add": 3,
        "shape.rename": 2,  # costs nothing
    }


@pytest.mark.parametrize("solver", [euler, rk4])
def test_operations_a_step_do_not_grow_with_regions(make_microcircuit, solver):
    module = make_microcircuit(solver, record=()).module
    module = replace(module, functions={"loss": module.function("loss")})
    found = [operations(body(run_pipeline(replace(module, sizes={"V": regions}), verify=False))) for regions in (1, 50)]
    assert found[0].total() == found[1].total()


def test_every_line_of_a_spec_keeps_its_span(make_microcircuit):
    """Lines that passes write have the span of the line that they come from, if that has one."""
    module = replace(make_microcircuit(euler).module, sizes={"V": 5})
    place = Span("model.cortex", 1, 1, 1, 2)
    function = module.function("loss")

    def marked(f: Function) -> Function:
        lines = (replace(line, span=place) for line in f.body)
        return replace(
            f,
            body=tuple(
                replace(line, op=replace(line.op, body=marked(line.op.body))) if isinstance(line.op, Scan) else line
                for line in lines
            ),
        )

    after = run_pipeline(module.with_functions(loss=marked(function)))
    assert all(line.span == place for line in (*after.function("loss").body, *body(after).body))


def test_a_pass_that_does_not_exist_is_named_with_the_nearest(microcircuit):
    with pytest.raises(SpecError) as error:
        run_pipeline(microcircuit.module, ("hoits",))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "CS701" and "hoist" in diagnostic.help


def test_describe_says_what_each_step_did(microcircuit_of):
    module = replace(microcircuit_of(euler).module, sizes={"V": 2})
    rows = describe(module, DEFAULT)
    assert [row.step for row in rows] == ["", *(step if isinstance(step, str) else step[0] for step in DEFAULT)]
    before, after = rows[0].counts["loss"], rows[-1].counts["loss"]
    assert after.in_loops < before.in_loops / 3
    check(rows[-1].module)
