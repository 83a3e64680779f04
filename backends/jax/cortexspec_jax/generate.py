"""The program as text: one Python function an IR function, one assignment a line, shape and unit in the margin."""

from __future__ import annotations

import inspect

from cortexspec.contracts.backend import Bound, Options
from cortexspec.contracts.program import Dialect, Program
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
    reserved=("FLOAT", "FUNCTIONS", "jax", "jnp", "lax", "np", "int", "bool"),
)


def generate(bound: Bound, options: Options) -> str:
    """Raises SpecError CS801 where an operation has no lowering."""
    return Program(bound, DIALECT, options.dtype).text()
