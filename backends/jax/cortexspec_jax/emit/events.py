"""Event-driven delivery in JAX: a compiled kernel where there is one, else a loop over the active sources."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.ops import events
from cortexspec_jax.emit.base import emit, in_layout, in_order, spread


def _rest(op: events.Deliver | events.Collect | events.PerEdge, ring: Term) -> list[str]:
    return [name for name in ring.axes if name not in (op.slot, op.post)]


def _ring(op: events.Deliver | events.Collect | events.PerEdge, write: Writer, ring: Term) -> str:
    return in_order(ring, ring.axes, [op.slot, op.post, *_rest(op, ring)])


def _sent(write: Writer, z: Term, pre: str, ring: Term, rest: Sequence[str]) -> str:
    """[pre, rest...]; what it lacks of the rest is repeated."""
    text = spread(z, [pre, *rest])
    if all(name in z.axes for name in rest):
        return text
    sizes = ", ".join(write.size(ring.type.axis(name).size) for name in rest)
    return f"jnp.broadcast_to({text}, ({write.size(z.type.axis(pre).size)}, {sizes}))"


def _per(weight: Term, target: Term) -> int:
    return 0 if not weight.axes else 2 if weight.axes == target.axes else 1


def _when(write: Writer, delay: Sequence[int], now: Term, given: Sequence[Term]) -> str:
    """Now, the delays (some integer array where all are one), and that one or -1."""
    now = write.array(now)
    return f"{now}, {write.array(given[0]) if given else now}, {-1 if given else delay[0]}"


@emit.register
def deliver(
    op: events.Deliver,
    write: Writer,
    z: Term,
    rows: Term,
    target: Term,
    weight: Term,
    ring: Term,
    now: Term,
    *when: Term,
) -> str | Term:
    rest, weight = _rest(op, ring), write.array(weight)
    delay, reached = op.parted(when)
    sent = _sent(write, write.array(z), op.pre, ring, rest)
    asked = "".join(f", {_sent(write, write.array(one), op.pre, ring, rest)}" for one in reached)
    operands = f"{sent}, {rows}, {target}, {weight}, {_ring(op, write, ring)}, {_when(write, op.delay, now, delay)}"
    text = f"{write.helper('deliver')}({operands}, {_per(weight, target)}{asked})"
    return in_layout(write, text, [op.slot, op.post, *rest])


@emit.register
def collect(
    op: events.Collect, write: Writer, rows: Term, target: Term, weight: Term, ring: Term, now: Term, *when: Term
) -> str | Term:
    weight, rest = write.array(weight), _rest(op, ring)
    delay, reached = op.parted(when)
    asked = "".join(f", {_sent(write, write.array(one), op.pre.name, ring, rest)}" for one in reached)
    operands = f"{rows}, {target}, {weight}, {_ring(op, write, ring)}, {_when(write, op.delay, now, delay)}"
    text = f"{write.helper('collect')}({operands}, {_per(weight, target)}{asked})"
    return in_layout(write, text, [op.pre.name, *rest])


@emit.register
def per_edge(
    op: events.PerEdge, write: Writer, z: Term, rows: Term, target: Term, ring: Term, now: Term, *delay: Term
) -> str:
    sent = _sent(write, write.array(z), op.pre, ring, _rest(op, ring))
    operands = f"{sent}, {rows}, {target}, {_ring(op, write, ring)}, {_when(write, op.delay, now, delay)}"
    return f"{write.helper('per_edge')}({operands})"
