"""Detection of spikes in JAX."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.ops.spike import Threshold
from cortexspec_jax.emit.base import emit


@emit.register
def threshold(op: Threshold, write: Writer, a: Term, b: Term, steepness: Term) -> str:
    operands = write.aligned(write.array(a), write.array(b), write.array(steepness))
    return f"{write.helper('threshold')}({', '.join(operands)}, {write.helper(f'{op.surrogate}_slope')})"
