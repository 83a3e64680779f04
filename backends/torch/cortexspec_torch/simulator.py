"""The loaded program: an `nn.Module` for the user's own loop, and the neutral face around it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from cortexspec.contracts.backend import Bound, Options, Recipe
from cortexspec.contracts.program import adjoint_of, fill_inputs, value_and_grad_of
from cortexspec.ir.module import Value
from cortexspec_torch.adaptive import solve
from cortexspec_torch.trainer import Trainer

Array = np.ndarray[Any, Any]
Outputs = dict[str, torch.Tensor]
# `bits` are unsigned 32-bit words; torch has no arithmetic for them on a CPU, so they live in int64.
DTYPES = {"int": torch.int64, "bool": torch.bool, "bits": torch.int64}
FLOATS = {"float32": torch.float32, "float64": torch.float64}


class Circuit(torch.nn.Module):
    """A circuit as an ordinary module: `parameters()` and `state_dict()` have the spec's dotted names, raw values.

    `forward(**inputs)` runs `rollout`: a dictionary of its outputs. In training mode the running statistics that a
    program returns are written back; in evaluation mode they stay.
    """

    def __init__(self, bound: Bound, namespace: dict[str, Any], options: Options):
        super().__init__()
        self.bound = bound
        self._namespace = namespace
        self._table: dict[str, tuple[Callable[..., tuple[Any, ...]], list[str], list[str]]] = namespace["FUNCTIONS"]
        self._options = options
        self._compiled: dict[str, Callable[..., Any]] = {}
        self._graphs: dict[Any, Any] = {}
        self._places: dict[str, tuple[dict[str, Any], str]] = {}
        self._buffer_names = {buffer.value.name for buffer in bound.module.buffers}
        self._running = {buffer.value.name for buffer in bound.module.buffers if buffer.role == "running"}
        self._inputs: dict[str, dict[str, Value]] = {
            name: {value.name: value for value in function.inputs} for name, function in bound.module.functions.items()
        }
        adjoints = {name: adjoint_of(bound.module, name) for name in namespace.get("DIFFERENTIABLE", {})}
        # For each function with a gradient of its own: the places of the inputs that it covers, and of the others.
        self._covered = {
            name: [[place for place, i in enumerate(a.gradients) if (i is None) == other] for other in (False, True)]
            for name, a in adjoints.items()
            if a is not None
        }
        dtype = FLOATS[options.dtype]
        for param in bound.module.params:
            start = torch.as_tensor(np.array(bound.params[param.value.name], order="C"), dtype=dtype)
            self._keep(param.value.name, torch.nn.Parameter(start, requires_grad=param.trainable))
        for buffer in bound.module.buffers:
            kind = buffer.value.type.dtype
            start = np.array(bound.buffers[buffer.value.name], order="C")
            self._keep(buffer.value.name, torch.as_tensor(start, dtype=DTYPES.get(kind, dtype)))
        self.to(options.device)

    def _keep(self, path: str, tensor: torch.Tensor) -> None:
        """Registers a tensor under its dotted path: one submodule a segment."""
        owner: torch.nn.Module = self
        *groups, last = path.split(".")
        for segment in groups:
            owner = owner._modules.get(segment) or _grown(owner, segment)
        if hasattr(owner, last):
            last += "_"
        if isinstance(tensor, torch.nn.Parameter):
            owner.register_parameter(last, tensor)
            self._places[path] = (owner._parameters, last)
        else:
            owner.register_buffer(last, tensor)
            self._places[path] = (owner._buffers, last)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Circuit:
        """`.to()`, `.double()`, `.cuda()`: constants that the program makes follow the parameters."""
        super()._apply(fn, recurse)
        probe = fn(torch.zeros((), dtype=self._namespace["FLOAT"], device=self._namespace["DEVICE"]))
        self._namespace["FLOAT"], self._namespace["DEVICE"] = probe.dtype, probe.device
        return self

    def parameter(self, path: str) -> torch.nn.Parameter:
        """Raises KeyError."""
        place, name = self._places[path]
        return place[name]

    buffer = parameter

    def is_buffer(self, path: str) -> bool:
        return path in self._buffer_names

    def forward(self, **inputs: torch.Tensor) -> Outputs:
        name = "rollout"
        if self.training and "rollout_training" in self._table:
            name = "rollout_training"
        outputs = self.run(name, inputs)
        if not self._running:
            return outputs
        if self.training:
            self.write_running(outputs)
        return {name: value for name, value in outputs.items() if name not in self._running}

    def run(self, function: str, inputs: Mapping[str, torch.Tensor]) -> Outputs:
        """One function of the program. `inputs` go before the module's own parameters and buffers of the same name."""
        arguments = self.arguments(function, inputs)
        names = self._table[function][2]
        return dict(zip(names, self._callable(function, arguments)(*arguments), strict=True))

    def arguments(self, function: str, inputs: Mapping[str, torch.Tensor]) -> list[torch.Tensor]:
        names, places = self._table[function][1], self._places
        try:
            return [inputs[name] if name in inputs else places[name][0][places[name][1]] for name in names]
        except KeyError:
            missing = [name for name in names if name not in inputs and name not in places]
        given = {
            name: inputs[name] if name in inputs else self.parameter(name) for name in names if name not in missing
        }
        filled = fill_inputs(self.bound, function, missing, {name: tuple(x.shape) for name, x in given.items()})
        given |= {name: self.tensor(self._inputs[function][name], x) for name, x in filled.items()}
        return [given[name] for name in names]

    def tensor(self, value: Value, array: Any) -> torch.Tensor:
        """An array of the border as a tensor of the program."""
        dtype = DTYPES.get(value.type.dtype, self._namespace["FLOAT"])
        device = self._namespace["DEVICE"]
        if isinstance(array, torch.Tensor):
            return array.to(device=device, dtype=dtype)
        array = np.asarray(array)
        if array.dtype == np.uint32:
            array = array.astype(np.int64)
        if not array.flags.writeable:  # a view that repeats its elements: torch would share its memory, and warns
            array = np.array(array)
        return torch.as_tensor(array, dtype=dtype, device=device)

    def outputs_and_gradients(
        self, function: str, inputs: Mapping[str, torch.Tensor], wrt: Sequence[str], output: str
    ) -> tuple[Outputs, list[torch.Tensor]]:
        """All outputs, detached, and the gradient of `output` by each of `wrt`."""
        whole = value_and_grad_of(self.bound.module, function, wrt, output)
        if whole is not None and self._options.gradient != "native":
            with torch.no_grad():
                results = self.run(whole, inputs)
            gradients = [results.pop(f"grad:{name}") for name in wrt]
            return {name: value for name, value in results.items() if not name.startswith("grad:")}, gradients
        leaves: dict[str, torch.Tensor] = {}
        for name in wrt:
            source = inputs[name] if name in inputs else self.parameter(name)
            leaves[name] = source.detach().requires_grad_()
        with torch.enable_grad():
            outputs = self.run(function, {**inputs, **leaves})
            target = outputs[output]
            found: Sequence[torch.Tensor | None] = [None] * len(wrt)
            if target.requires_grad:
                found = torch.autograd.grad(target, list(leaves.values()), allow_unused=True)
        gradients = [
            torch.zeros_like(leaf) if gradient is None else gradient
            for leaf, gradient in zip(leaves.values(), found, strict=True)
        ]
        return {name: value.detach() for name, value in outputs.items()}, gradients

    def write_running(self, outputs: Mapping[str, torch.Tensor]) -> None:
        """Running statistics that a function returned under a buffer's name become the buffer's value."""
        with torch.no_grad():
            for name in self._running & outputs.keys():
                self.buffer(name).copy_(outputs[name])

    def project(self) -> None:
        """Maps raw parameters back into their sets (`in C`); call it after each step of your optimiser."""
        if "project" not in self._table:
            return
        with torch.no_grad():
            for name, value in self.run("project", {}).items():
                self.parameter(name).copy_(value)

    def _callable(self, function: str, arguments: Sequence[torch.Tensor]) -> Callable[..., tuple[torch.Tensor, ...]]:
        plain = self._table[function][0]
        if function in self._covered and torch.is_grad_enabled() and not _transformed():
            # The program's own gradient: where one is wanted, and only of what it covers.
            asked, others = (any(arguments[i].requires_grad for i in places) for places in self._covered[function])
            if asked and not others:
                plain = self._namespace["DIFFERENTIABLE"][function]
        if self._options.compile:
            key = f"{function} {plain is self._table[function][0]}"
            if key not in self._compiled:
                self._compiled[key] = compiled(plain)
            return self._compiled[key]
        if self._options.extra.get("cuda_graphs") and self._namespace["DEVICE"].type == "cuda":
            return lambda *arguments: replayed(self._graphs, function, plain, arguments)
        return plain


def _transformed() -> bool:
    """Whether a transformation of torch.func runs, which sees through torch's own operations only."""
    active: Callable[[], bool] | None = getattr(torch._C, "_are_functorch_transforms_active", None)
    return active is not None and active()


def _grown(owner: torch.nn.Module, segment: str) -> torch.nn.Module:
    if hasattr(owner, segment):
        return _grown(owner, segment + "_")
    child = torch.nn.Module()
    owner.add_module(segment, child)
    return child


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """torch.compile, and the plain function with a warning where no compiler works."""
    fast = torch.compile(function)
    works = True

    def call(*arguments: torch.Tensor) -> Any:
        nonlocal works
        if works:
            try:
                return fast(*arguments)
            except Exception as error:  # inductor reports a missing compiler in several ways
                works = False
                first = str(error).strip().partition("\n")[0]
                warnings.warn(f"torch.compile failed ({first}); the program runs uncompiled", stacklevel=2)
        return function(*arguments)

    return call


def replayed(
    graphs: dict[Any, Any], name: str, function: Callable[..., Any], arguments: Sequence[torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Captures the function in a CUDA graph for each set of shapes and replays it. Not run here: it needs a GPU.

    Only where no gradient is recorded; a recorded call runs plainly.
    """
    if torch.is_grad_enabled() and any(x.requires_grad for x in arguments):
        return function(*arguments)
    key = (name, tuple((tuple(x.shape), x.dtype) for x in arguments))
    if key not in graphs:
        held = [x.clone() for x in arguments]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                function(*held)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            results = function(*held)
        graphs[key] = (graph, held, results)
    graph, held, results = graphs[key]
    for place, argument in zip(held, arguments, strict=True):
        place.copy_(argument)
    graph.replay()
    return tuple(result.clone() for result in results)


class Simulator:
    """The neutral face: NumPy in and out, the same names on every backend."""

    def __init__(self, bound: Bound, program: str, namespace: dict[str, Any], options: Options):
        self.bound, self.program, self.options = bound, program, options
        self.module = Circuit(bound, namespace, options)

    def parameters(self) -> dict[str, Array]:
        return {p.value.name: to_numpy(self.module.parameter(p.value.name)) for p in self.bound.module.params}

    def set_parameters(self, raw: Mapping[str, Array]) -> None:
        with torch.no_grad():
            for name, array in raw.items():
                self.module.parameter(name).copy_(torch.as_tensor(np.array(array)))

    def buffers(self) -> dict[str, Array]:
        return {b.value.name: to_numpy(self.module.buffer(b.value.name)) for b in self.bound.module.buffers}

    def set_buffers(self, buffers: Mapping[str, Array]) -> None:
        with torch.no_grad():
            for name, array in buffers.items():
                self.module.buffer(name).copy_(torch.as_tensor(np.array(array)))

    def tensors(self, function: str, inputs: Mapping[str, Array]) -> dict[str, torch.Tensor]:
        """The inputs of a function as tensors; what the function does not read is left out."""
        known = {value.name: value for value in self.bound.module.function(function).inputs}
        return {name: self.module.tensor(known[name], array) for name, array in inputs.items() if name in known}

    def call(self, function: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        with torch.no_grad():
            outputs = self.module.run(function, self.tensors(function, inputs))
        return self._arrays(function, outputs)

    def value_and_grad(
        self, function: str, inputs: Mapping[str, Array], wrt: Sequence[str], output: str = "loss"
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        outputs, gradients = self.module.outputs_and_gradients(function, self.tensors(function, inputs), wrt, output)
        return self._arrays(function, outputs), {
            name: to_numpy(gradient) for name, gradient in zip(wrt, gradients, strict=True)
        }

    def trainer(self, recipe: Recipe) -> Trainer:
        return Trainer(self, recipe)

    def project(self) -> None:
        self.module.project()

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
        tensors = self.tensors("derivative", {**inputs, **state})
        with torch.no_grad():
            run = solve(self.module, tensors, list(state), times, solver, rtol, atol)
        return {name: to_numpy(value) for name, value in run.items()}

    def _arrays(self, function: str, outputs: Outputs) -> dict[str, Array]:
        results = self.bound.module.function(function)
        arrays: dict[str, Array] = {}
        for name, value in zip(results.output_names, results.outputs, strict=True):
            array = to_numpy(outputs[name])
            arrays[name] = array.astype(np.uint32) if value.type.dtype == "bits" else array
        return arrays


def to_numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().cpu().numpy().copy()
