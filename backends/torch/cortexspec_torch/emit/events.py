"""Event-driven delivery in torch: a compiled kernel where there is one, else `index_add_` of the active sources' connections."""

from __future__ import annotations

from cortexspec.contracts.delivery import Delivery
from cortexspec.contracts.program import Writer
from cortexspec.ir.size import Size
from cortexspec_torch.emit.base import ORDER, arranged, emit


def _repeated(write: Writer, text: str, pre: Size, rest: str) -> str:
    return f"{text}.expand(-1, {rest})"


DELIVERY = Delivery(ORDER, arranged, _repeated)
DELIVERY.register(emit)
