"""The program as text: one Python function an IR function, one assignment a line, shape and unit in the margin."""

from __future__ import annotations

import inspect
import json

from cortexspec.contracts.backend import Bound, Options
from cortexspec.contracts.program import Adjoint, Dialect, Program, adjoint_of
from cortexspec_jax.emit import emit, helpers

LITERALS = {"float": "FLOAT", "int": "int", "bool": "bool", "bits": "jnp.uint32"}


def _constants(dtype: str) -> tuple[str, ...]:
    return (f"FLOAT = jnp.{dtype}",)


def _literal(text: str, dtype: str) -> str:
    return f"jnp.asarray({text}, dtype={LITERALS[dtype]})"


DIALECT = Dialect(
    name="jax",
    imports=("import jax", "import jax.numpy as jnp", "import numpy as np", "from jax import lax"),
    constants=_constants,
    literal=_literal,
    helpers=dict(inspect.getmembers(helpers, inspect.isfunction)),
    emit=emit,
    reserved=("FLOAT", "FUNCTIONS", "DIFFERENTIABLE", "jax", "jnp", "lax", "np", "int", "bool"),
)


def generate(bound: Bound, options: Options) -> str:
    """Raises SpecError CS801 where an operation has no lowering."""
    program = Program(bound, DIALECT, options.dtype)
    adjoints = [] if options.gradient != "ir" else [adjoint_of(bound.module, name) for name in bound.module.functions]
    rules = [_custom_vjp(program, adjoint) for adjoint in adjoints if adjoint is not None]
    return program.text(extra=[*rules, _table(program, [a.name for a in adjoints if a is not None])])


def _custom_vjp(program: Program, adjoint: Adjoint) -> str:
    """The program's own gradient of a function, as JAX wants it."""
    name = program.function_name(adjoint.name)
    forward, backward = (program.function_name(f"{adjoint.name}_{part}") for part in ("forward", "backward"))
    kept = [f"inputs[{i}]" if kind == "input" else f"results[{i}]" for kind, i in adjoint.kept]
    cotangents = [f"cotangents[{i}]" for i in adjoint.cotangents]
    gradients = [f"gradients[{i}]" if i is not None else "None" for i in adjoint.gradients]
    lines = [
        "@jax.custom_vjp",
        f"def {name}_ir(*inputs):",
        f"    return {name}(*inputs)",
        "",
        "",
        f"def {name}_ir_forward(*inputs):",
        f"    results = {forward}(*inputs)",
        f"    return results[:{adjoint.outputs}], ({', '.join(kept)}{',' if len(kept) == 1 else ''})",
        "",
        "",
        f"def {name}_ir_backward(saved, cotangents):",
        f"    gradients = {backward}({', '.join(['*saved', *cotangents])})",
        f"    return {', '.join(gradients)}{',' if len(gradients) == 1 else ''}",
        "",
        "",
        f"{name}_ir.defvjp({name}_ir_forward, {name}_ir_backward)",
    ]
    return "\n".join(lines)


def _table(program: Program, names: list[str]) -> str:
    if not names:
        return ""
    rows = [f"    {json.dumps(name, ensure_ascii=False)}: {program.function_name(name)}_ir," for name in names]
    return "\n".join(["# Functions with a gradient of their own.", "DIFFERENTIABLE = {", *rows, "}"])
