"""Event-driven delivery in JAX: a compiled kernel where there is one, else a loop over the active sources."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.contracts.delivery import Delivery
from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.size import Size
from cortexspec_jax.emit.base import ORDER, emit, in_order


def _arranged(write: Writer, ring: Term, wanted: Sequence[str]) -> str:
    return in_order(ring, ring.axes, wanted)


def _repeated(write: Writer, text: str, pre: Size, rest: str) -> str:
    return f"jnp.broadcast_to({text}, ({write.size(pre)}, {rest}))"


Delivery(ORDER, _arranged, _repeated).register(emit)
