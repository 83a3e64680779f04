"""Adaptive solvers are each backend's own: they are compared to their tolerance, with one that is far more exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from cortexspec.contracts.backend import Backend, Bound, Options
from cortexspec.ir.module import Module, Value
from cortexspec.ir.op import Array
from cortexspec.runtime.compile import Wanted, program_module
from cortexspec.runtime.registry import load_backend
from cortexspec.testing.cases import Case
from cortexspec.testing.parity import Deviation, Row, worst
from cortexspec.testing.prepare import Prepared, arranged, largest
from cortexspec.testing.settings import Setting

ROWS = 20  # rows of the recording, a case's dt apart: the experiments' own duration
TOLERANCE = 1e-6  # relative, of one step
BOUND = 10 * TOLERANCE  # of a run, relative to the largest value: the errors of its steps add up
_EXACT = Setting("reference", passes=())
_FINER = 1e-5  # the reference's tolerance over the compared one's


def adaptive_row(backend: Backend, case: Case, setting: Setting) -> Row:
    """States every dt by the backend's solver, against the interpreter's `dopri8` with a much smaller tolerance.

    Inputs do not change with time: no adaptive solver takes inputs with one frame a step.
    """
    wanted = _reference(_constant(case))
    found = _solved(backend, _constant(case), setting, TOLERANCE)
    off = worst(_off(name, found[name], array) for name, array in wanted.items())
    return Row(case.title, setting.name, "values", off.error, BOUND, off.name, off.step, adaptive=True)


def _constant(case: Case) -> Case:
    return replace(case, streams=(), steps=ROWS, gradient_steps=ROWS)


def _off(name: str, found: Array, wanted: Array) -> Deviation:
    apart = np.abs(found - wanted) / (largest(wanted) or 1.0)
    rows = np.flatnonzero(apart.reshape(len(apart), -1).max(1) > BOUND)
    return Deviation(name, float(apart.max(initial=0.0)), int(rows[0]) if len(rows) else None)


_REFERENCES: dict[str, Mapping[str, Array]] = {}


def _reference(case: Case) -> Mapping[str, Array]:
    case = replace(case, solver="dopri8")
    if repr(case) not in _REFERENCES:
        _REFERENCES[repr(case)] = _solved(load_backend("interpreter"), case, _EXACT, _FINER * TOLERANCE)
    return _REFERENCES[repr(case)]


def _solved(backend: Backend, case: Case, setting: Setting, tolerance: float) -> dict[str, Array]:
    """Each state with the times in front and its axes in the order of the module without passes."""
    started = Prepared(replace(case, solver="euler"))
    plain = _pieces(started)
    sizes = {name: size for name, size in started.sizes.items() if name != "time"}
    module = setting.apply(plain, sizes, backend.pipeline)

    def given(values: Mapping[str, Value]) -> dict[str, Array]:
        return {
            name: np.array(arranged(value.type, started.given[name], plain.layout, module.layout), order="C")
            for name, value in values.items()
        }

    params = {param.value.name: param.value for param in module.params}
    buffers = {buffer.value.name: buffer.value for buffer in module.buffers}
    states = {state.value.name: state.value for state in module.states}
    simulator: Any = backend.load(Bound(module, sizes, given(params), given(buffers)), Options(dtype=setting.dtype))
    read = {value.name: value for name in ("init", "derivative") for value in plain.function(name).inputs}
    others = {n: v for n, v in read.items() if n not in params and n not in buffers and n not in states and n != "t"}
    inputs = given(others)
    begun = {name: array for name, array in simulator.call("init", inputs).items() if name in states}
    scale = max(map(largest, begun.values()), default=0.0) or 1.0
    times = np.arange(ROWS + 1) * case.dt
    found = simulator.adaptive(inputs, begun, times, case.solver, tolerance, 1e-3 * tolerance * scale)
    return {
        name: np.stack([arranged(value.type, row, module.layout, plain.layout) for row in np.asarray(found[name])])
        for name, value in states.items()
    }


def _pieces(started: Prepared) -> Module:
    wanted = Wanted(rollout=False, pieces=("init", "derivative"))
    return program_module(started.model, wanted, solver="dopri8", dt=None)
