"""One entry an operation, a file a family. Importing this package fills the registry `cortexspec.ir.op.OPS`."""

from cortexspec.ir.ops import (
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
    write,
)

__all__ = [
    "arith",
    "constant",
    "events",
    "indexing",
    "linear",
    "random",
    "recurrence",
    "reduce",
    "scan",
    "shape",
    "spike",
    "write",
]
