"""A loaded module: arrays for its parameters and buffers, and its functions to call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cortexspec.contracts.backend import Bound, Options, Recipe
from cortexspec.contracts.program import fill_inputs
from cortexspec.interpreter.adaptive import solve
from cortexspec.interpreter.interpreter import run
from cortexspec.interpreter.trainer import Trainer
from cortexspec.ir.module import Function, Module
from cortexspec.passes.differentiate import differentiate

Array = np.ndarray[Any, Any]


class Simulator:
    """Arrays are NumPy's, axes in the module's layout order, parameters raw. `module` is the IR module itself."""

    def __init__(self, bound: Bound, program: str, options: Options):
        self.bound, self.program, self.options = bound, program, options
        self.module: Module = bound.module
        self._parameters: dict[str, Array] = {}
        self._buffers: dict[str, Array] = {}
        self._differentiated: dict[tuple[str, tuple[str, ...], str], Function] = {}
        self._kinds = {
            entry.value.name: entry.value.type.dtype for entry in (*self.module.params, *self.module.buffers)
        }
        self.set_parameters({param.value.name: bound.params[param.value.name] for param in self.module.params})
        self.set_buffers({buffer.value.name: bound.buffers[buffer.value.name] for buffer in self.module.buffers})

    def parameters(self) -> dict[str, Array]:
        return {name: array.copy() for name, array in self._parameters.items()}

    def set_parameters(self, raw: Mapping[str, Array]) -> None:
        self._parameters |= {name: self._array(name, array) for name, array in raw.items()}

    def buffers(self) -> dict[str, Array]:
        return {name: array.copy() for name, array in self._buffers.items()}

    def set_buffers(self, buffers: Mapping[str, Array]) -> None:
        self._buffers |= {name: self._array(name, array) for name, array in buffers.items()}

    def _array(self, name: str, array: Array) -> Array:
        """Raises KeyError for a name that the module does not declare."""
        dtypes = {"int": "int64", "bool": "bool", "bits": "uint32", "float": self.options.dtype}
        return np.array(array, dtypes[self._kinds[name]])

    def call(self, function: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by public name. `inputs` go before parameters and buffers of the same name."""
        return self._run(self.module.function(function), function, inputs)

    def value_and_grad(
        self, function: str, inputs: Mapping[str, Array], wrt: Sequence[str], output: str = "loss"
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """All outputs, and the gradient of the scalar `output` with respect to the raw parameters (or inputs) `wrt`."""
        key = (function, tuple(wrt), output)
        if key not in self._differentiated:
            self._differentiated[key] = differentiate(self.module.function(function), wrt, output)
        found = self._run(self._differentiated[key], function, inputs)
        gradients = {name: found.pop(f"grad:{name}") for name in wrt}
        return found, gradients

    def _run(self, function: Function, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        known = {**self._parameters, **self._buffers, **inputs}
        given = {value.name: known[value.name] for value in function.inputs if value.name in known}
        missing = [value.name for value in function.inputs if value.name not in given]
        given |= fill_inputs(self.bound, name, missing, {key: np.shape(array) for key, array in given.items()})
        return run(function, given, self.bound.sizes, self.module.layout, self.options.dtype)

    def trainer(self, recipe: Recipe) -> Trainer:
        return Trainer(self, recipe)

    def project(self) -> None:
        """Maps raw parameters back into their sets (`in C`)."""
        if "project" in self.module.functions:
            self.set_parameters(self.call("project", {}))

    def write_running(self, outputs: Mapping[str, Array]) -> None:
        """Running statistics that a function gave under a buffer's name become the buffer's value."""
        running = [buffer.value.name for buffer in self.module.buffers if buffer.role == "running"]
        self.set_buffers({name: outputs[name] for name in running if name in outputs})

    def adaptive(
        self,
        inputs: Mapping[str, Array],
        state: Mapping[str, Array],
        times: Array,
        solver: str,
        rtol: float,
        atol: float,
    ) -> dict[str, Array]:
        """States at `times` from the function `derivative`, by an adaptive solver. Each result has the times in front."""

        def slopes(now: Mapping[str, Array]) -> Mapping[str, Array]:
            return self.call("derivative", {**inputs, **now})

        return solve(slopes, state, times, solver, rtol, atol)
