"""The loaded program: pure functions over a pytree for the user's own loop, and the neutral face around them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from weakref import ReferenceType, ref

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import get_opaque_trace_state

from cortexspec.contracts.backend import Bound, Options, Recipe
from cortexspec.contracts.program import fill_inputs, value_and_grad_of
from cortexspec.ir.module import Value
from cortexspec_jax.adaptive import solve
from cortexspec_jax.trainer import Trainer

Array = np.ndarray[Any, Any]
Tree = dict[str, Any]
_OUTSIDE = get_opaque_trace_state(convention="nnx")
# XLA uses half of the width that a processor with 512-bit vectors has. Whole, random bits take two thirds of the time; one that has
# not that width runs the same code in two halves.
_COMPILER = {"xla_cpu_prefer_vector_width": 512}
DTYPES = {"int": np.int64, "bool": np.bool_, "bits": np.uint32}


class Circuit:
    """A circuit as pure functions: `params = circuit.init(seed)`, `outputs = circuit.apply(params, inputs)`.

    Parameters are a flat dictionary by the spec's dotted names, raw values; they fit optax, `jax.grad`, `jax.vmap`.
    A float64 circuit turns x64 on for itself alone. Under a transformation of your own (`jax.jit`, `jax.grad` around
    `apply`) turn it on around that too: `with jax.enable_x64(True): ...`.
    """

    def __init__(self, bound: Bound, namespace: dict[str, Any], options: Options):
        self.bound, self.dtype = bound, np.dtype(options.dtype)
        self.table: dict[str, tuple[Callable[..., tuple[Any, ...]], list[str], list[str]]] = namespace["FUNCTIONS"]
        # In the place of a function of the table: with a gradient of its own, or the form that suits the sizes of a call.
        self._chosen: dict[str, Callable[..., tuple[Any, ...]]] = {
            **namespace.get("BY_SIZE", {}),
            **namespace.get("DIFFERENTIABLE", {}),
        }
        self._gradient = options.gradient
        # Shared by all circuits of one text, whose functions are the same objects.
        self.updates: dict[Any, Callable[..., Any]] = namespace.setdefault(f"updates {options.gradient}", {})
        self._jitted: dict[Any, Any] = {}
        self.running = {buffer.value.name for buffer in bound.module.buffers if buffer.role == "running"}
        self._values: dict[str, dict[str, Value]] = {
            name: {value.name: value for value in function.inputs} for name, function in bound.module.functions.items()
        }
        self._kinds = {param.value.name: param.value.type.dtype for param in bound.module.params}
        self._kinds |= {buffer.value.name: buffer.value.type.dtype for buffer in bound.module.buffers}

    def init(self, seed: int | None = None) -> Tree:
        """Raw parameters: the starting values of the bound circuit, or drawn anew from a seed."""
        raw = dict(self.bound.params)
        if seed is not None and "start" in self.table:
            start = self.call("start", {"seed": np.asarray(seed)}, {}, {})
            natural = {name: value for name, value in start.items() if name in raw}
            raw |= natural
            if "unconstrain" in self.table:
                raw |= self.call("unconstrain", natural, {}, {})
        return self.device({name: raw[name] for name in self.bound.params})

    def buffers(self) -> Tree:
        return self.device(self.bound.buffers)

    def apply(
        self, params: Tree, inputs: Mapping[str, Any], buffers: Tree | None = None, training: bool = False
    ) -> Tree:
        """The outputs of `rollout`, by name. A parameter that `params` leaves out has its starting value."""
        return self.apply_with_buffers(params, self.buffers() if buffers is None else buffers, inputs, training)[0]

    def apply_with_buffers(
        self, params: Tree, buffers: Tree, inputs: Mapping[str, Any], training: bool = True
    ) -> tuple[Tree, Tree]:
        """The outputs of `rollout`, and the buffers with their running statistics renewed."""
        function = "rollout_training" if training and "rollout_training" in self.table else "rollout"
        outputs = self.call(function, inputs, params, buffers)
        renewed = {**buffers, **{name: value for name, value in outputs.items() if name in self.running}}
        return {name: value for name, value in outputs.items() if name not in self.running}, renewed

    # What the neutral face is made of.

    def call(self, function: str, inputs: Mapping[str, Any], params: Tree, buffers: Tree) -> Tree:
        arguments = self.arguments(function, inputs, params, buffers)
        with self.scope(arguments):
            results = self.jitted(function)(*arguments)
        return dict(zip(self.table[function][2], results, strict=True))

    def arguments(self, function: str, inputs: Mapping[str, Any], params: Tree, buffers: Tree) -> list[Any]:
        """The arguments of a function in its order; what is missing has its declared default."""
        given: Tree = {}
        missing: list[str] = []
        for name, value in self._values[function].items():
            for source in (inputs, params, buffers, self.bound.params):
                if name in source:
                    given[name] = self.array(source[name], value.type.dtype)
                    break
            else:
                missing.append(name)
        if missing:
            filled = fill_inputs(self.bound, function, missing, {name: np.shape(x) for name, x in given.items()})
            given |= {n: self.array(x, self._values[function][n].type.dtype) for n, x in filled.items()}
        return [given[name] for name in self._values[function]]

    def array(self, array: Any, kind: str) -> Any:
        """An array of the border as the program wants it; JAX's own arrays and tracers pass through."""
        if isinstance(array, jax.Array):
            return array
        array = np.asarray(array)
        narrow = kind == "int" and array.dtype == np.int32 and self.dtype == np.float32
        return array if narrow else np.asarray(array, DTYPES.get(kind, self.dtype))

    def device(self, arrays: Mapping[str, Any]) -> Tree:
        found = {name: self.array(array, self._kinds.get(name, "float")) for name, array in arrays.items()}
        with self.scope(found.values()):
            return {name: jnp.asarray(array) for name, array in found.items()}

    def scope(self, arrays: Any = ()) -> AbstractContextManager[Any]:
        """x64 for float64, and for integers (seeds) that 32 bits cannot hold."""
        wide = self.dtype == np.float64 or any(
            isinstance(x, np.ndarray) and x.dtype == np.int64 and x.size < 64 and np.any(x != x.astype(np.int32))
            for x in arrays
        )
        return jax.enable_x64(True) if wide else nullcontext()

    def function(self, name: str) -> Callable[..., tuple[Any, ...]]:
        """The program's function: with the program's own gradient where it has one, in the form that suits the sizes where it has two."""
        return self._chosen.get(name, self.table[name][0])

    def jitted(self, function: str) -> Callable[..., tuple[Any, ...]]:
        """The compiled function. JAX takes options of the compiler from the outermost `jit` alone: under a transformation of a
        user's own it is compiled as that says."""
        outermost = get_opaque_trace_state(convention="nnx") == _OUTSIDE
        if (function, outermost) not in self._jitted:
            options = _COMPILER if outermost and jax.default_backend() == "cpu" else None
            self._jitted[function, outermost] = jax.jit(self.function(function), compiler_options=options)
        return self._jitted[function, outermost]

    def gradient(self, function: str, wrt: tuple[str, ...], output: str) -> Callable[..., Any]:
        """A jitted function (leaves, other arguments) -> (all outputs, gradients by the leaves)."""
        key = (function, wrt, output)
        if key not in self._jitted:
            self._jitted[key] = jax.jit(self.outputs_and_gradients(function, wrt, output))
        return self._jitted[key]

    def outputs_and_gradients(self, function: str, wrt: tuple[str, ...], output: str) -> Callable[..., Any]:
        """A pure function (leaves, other arguments) -> (all outputs, gradients by the leaves)."""
        whole = value_and_grad_of(self.bound.module, function, wrt, output) if self._gradient == "ir" else None
        if whole is not None:
            return self._own_gradients(whole, wrt)
        plain, (_, names, output_names) = self.function(function), self.table[function]

        def target(leaves: Tree, others: Tree) -> tuple[Any, Tree]:
            outputs = dict(zip(output_names, plain(*({**others, **leaves}[name] for name in names)), strict=True))
            return outputs[output], outputs

        def both(leaves: Tree, others: Tree) -> tuple[Tree, Tree]:
            (_, outputs), gradients = jax.value_and_grad(target, has_aux=True)(leaves, others)
            return outputs, gradients

        return both

    def _own_gradients(self, whole: str, wrt: tuple[str, ...]) -> Callable[..., Any]:
        plain, names, output_names = self.table[whole]

        def both(leaves: Tree, others: Tree) -> tuple[Tree, Tree]:
            results = dict(zip(output_names, plain(*({**others, **leaves}[name] for name in names)), strict=True))
            gradients = {name: results[f"grad:{name}"] for name in wrt}
            return {name: value for name, value in results.items() if not name.startswith("grad:")}, gradients

        return both


class Simulator:
    """The neutral face: NumPy in and out, the same names on every backend."""

    def __init__(self, bound: Bound, program: str, namespace: dict[str, Any], options: Options):
        self.bound, self.program, self.options = bound, program, options
        self.module = Circuit(bound, namespace, options)
        self._sent: dict[str, tuple[ReferenceType[Array], ReferenceType[jax.Array]]] = {}
        self.params: Tree = self._on_device(bound.params, {})
        self.state: Tree = self._on_device(bound.buffers, {})

    @property
    def init(self) -> Callable[..., Tree]:
        return self.module.init

    @property
    def apply(self) -> Callable[..., Tree]:
        return self.module.apply

    def parameters(self) -> dict[str, Array]:
        return {name: np.array(value) for name, value in self.params.items()}

    def set_parameters(self, raw: Mapping[str, Array]) -> None:
        self.params = self._on_device(raw, self.params)

    def buffers(self) -> dict[str, Array]:
        kinds = {buffer.value.name: buffer.value.type.dtype for buffer in self.bound.module.buffers}
        return {name: _to_numpy(value, kinds[name]) for name, value in self.state.items()}

    def set_buffers(self, buffers: Mapping[str, Array]) -> None:
        self.state = self._on_device(buffers, self.state)

    def _on_device(self, arrays: Mapping[str, Array], before: Tree) -> Tree:
        """What is there, with these. An array that cannot have changed since it was sent is not sent again."""
        new = {name: array for name, array in arrays.items() if not self._is_there(name, array, before)}
        found = {**before, **self.module.device(new)}
        self._sent |= {name: (ref(array), ref(found[name])) for name, array in new.items() if not array.flags.writeable}
        return found

    def _is_there(self, name: str, array: Array, before: Tree) -> bool:
        sent = self._sent.get(name)
        return sent is not None and sent[0]() is array and before[name] is sent[1]()

    def call(self, function: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        return self._arrays(function, self.module.call(function, inputs, self.params, self.state))

    def value_and_grad(
        self, function: str, inputs: Mapping[str, Array], wrt: Sequence[str], output: str = "loss"
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        names = self.module.table[function][1]
        given = dict(zip(names, self.module.arguments(function, inputs, self.params, self.state), strict=True))
        # What the function does not read has gradient zero.
        others = {name: value for name, value in given.items() if name not in wrt}
        absent = {name: inputs[name] if name in inputs else self.params[name] for name in wrt if name not in given}
        leaves = {name: given[name] for name in wrt if name in given}
        with self.module.scope(given.values()):
            outputs, gradients = self.module.gradient(function, tuple(leaves), output)(leaves, others)
        found = {name: np.array(value) for name, value in gradients.items()}
        found |= {name: np.zeros_like(np.asarray(value)) for name, value in absent.items()}
        return self._arrays(function, outputs), {name: found[name] for name in wrt}

    def trainer(self, recipe: Recipe) -> Trainer:
        return Trainer(self, recipe)

    def project(self) -> None:
        """Maps raw parameters back into their sets (`in C`)."""
        if "project" in self.module.table:
            self.params = {**self.params, **self.module.call("project", {}, self.params, self.state)}

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
        with self.module.scope():
            run = solve(self.module, {**self.params, **self.state, **inputs}, state, times, solver, rtol, atol)
        return {name: np.array(value) for name, value in run.items()}

    def _arrays(self, function: str, outputs: Tree) -> dict[str, Array]:
        results = self.bound.module.function(function)
        return {
            name: _to_numpy(outputs[name], value.type.dtype)
            for name, value in zip(results.output_names, results.outputs, strict=True)
        }


def _to_numpy(value: Any, kind: str) -> Array:
    array = np.array(value)
    return array.astype(np.int64) if kind == "int" else array
