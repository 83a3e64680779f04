"""The program as text: one Python function an IR function, one assignment a line, shape and unit in the margin."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable

from cortexspec.contracts.backend import Bound, Options
from cortexspec.contracts.program import Adjoint, Dialect, Extent, Program, adjoint_of, extent_of_apart
from cortexspec.ir.module import APART
from cortexspec_jax.emit import emit, helpers

# Populations side by side share products with one matrix over all places of a population; these multiply zeros between the
# places, about places*(places - 1)*samples a population. Where that is more than so many, apart is faster (docs/decisions/0020).
MOST_ZEROS = 12_000
LITERALS = {"float": "FLOAT", "int": "int", "bool": "bool", "bits": "jnp.uint32"}


def _constants(dtype: str) -> tuple[str, ...]:
    return (f"FLOAT = jnp.{dtype}",)


def _literal(text: str, dtype: str) -> str:
    return f"jnp.asarray({text}, dtype={LITERALS[dtype]})"


DIALECT = Dialect(
    name="jax",
    imports=(
        "import math",
        "import jax",
        "import jax.numpy as jnp",
        "import numpy as np",
        "from jax import lax",
        "from jax.experimental.xla_metadata import set_xla_metadata",
    ),
    constants=_constants,
    literal=_literal,
    helpers={
        name: one for name, one in inspect.getmembers(helpers, inspect.isfunction) if one.__module__ == helpers.__name__
    },
    emit=emit,
    reserved=(
        "FLOAT",
        "FUNCTIONS",
        "DIFFERENTIABLE",
        "BY_SIZE",
        "jax",
        "jnp",
        "lax",
        "set_xla_metadata",
        "np",
        "int",
        "bool",
    ),
)


def generate(bound: Bound, options: Options) -> str:
    """Raises SpecError CS801 where an operation has no lowering."""
    program = Program(bound, DIALECT, options.dtype)
    adjoints = [] if options.gradient != "ir" else [adjoint_of(bound.module, name) for name in bound.module.functions]
    rules = [_custom_vjp(program, adjoint) for adjoint in adjoints if adjoint is not None]
    own = [adjoint.name for adjoint in adjoints if adjoint is not None]
    extents = {name: extent_of_apart(bound, name) for name in bound.module.functions if name not in own}
    choices = {name: extent for name, extent in extents.items() if extent is not None}
    tables = [
        _table(program, "DIFFERENTIABLE", "Functions with a gradient of their own.", own, "_ir"),
        _table(program, "BY_SIZE", "Functions with two forms, which give the same.", choices, "_by_size"),
    ]
    return program.text(extra=[*rules, *(_by_size(program, *choice) for choice in choices.items()), *tables])


def _by_size(program: Program, name: str, extent: Extent) -> str:
    """Sizes are known when JAX traces: the program that it compiles has one of the two forms."""
    together, apart = program.function_name(name), program.function_name(name + APART)
    lines = [
        f"def {together}_by_size(*inputs):",
        f"    samples = inputs[{extent.input}].shape[{extent.axis}]",
        f"    zeros = {extent.places * (extent.places - 1)} * samples  # between {extent.places} places of a population",
        f"    return {apart}(*inputs) if zeros > {MOST_ZEROS} else {together}(*inputs)",
    ]
    return "\n".join(lines)


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


def _table(program: Program, title: str, about: str, names: Iterable[str], ending: str) -> str:
    rows = [f"    {json.dumps(name, ensure_ascii=False)}: {program.function_name(name)}{ending}," for name in names]
    return "\n".join([f"# {about}", f"{title} = {{", *rows, "}"]) if rows else ""
