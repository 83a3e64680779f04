"""How each operation reads in torch: a file a family, the names of `cortexspec.ir.ops`."""

from cortexspec_torch.emit import (
    arith,
    constant,
    events,
    fused,
    indexing,
    linear,
    random,
    recurrence,
    reduce,
    scan,
    shape,
    spike,
)
from cortexspec_torch.emit.base import emit

__all__ = [
    "arith",
    "constant",
    "emit",
    "events",
    "fused",
    "indexing",
    "linear",
    "random",
    "recurrence",
    "reduce",
    "scan",
    "shape",
    "spike",
]
