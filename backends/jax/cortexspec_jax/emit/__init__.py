"""How each operation reads in jax: a file a family, the names of `cortexspec.ir.ops`."""

from cortexspec_jax.emit import (
    arith,
    constant,
    events,
    indexing,
    linear,
    random,
    recurrence,
    reduce,
    scan,
    shape,
    spike,
)
from cortexspec_jax.emit.base import emit

__all__ = [
    "arith",
    "constant",
    "emit",
    "events",
    "indexing",
    "linear",
    "random",
    "recurrence",
    "reduce",
    "scan",
    "shape",
    "spike",
]
