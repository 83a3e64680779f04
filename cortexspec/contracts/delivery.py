"""Event-driven delivery in a program: which operands the helpers `deliver`, `collect` and `per_edge` of a backend read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cortexspec.contracts.order import Order
from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.ops import events
from cortexspec.ir.size import Size

Event = events.Deliver | events.Collect | events.PerEdge


@dataclass(frozen=True)
class Delivery:
    """Emitters of the three operations, and what differs between targets.

    `arranged(write, ring, axes)`: the ring with its axes in that order. `repeated(write, text, pre, rest)`: an array
    [pre, 1...] repeated along the rest; `pre` is a size, `rest` are sizes as text.
    """

    order: Order
    arranged: Callable[[Writer, Term, Sequence[str]], str]
    repeated: Callable[[Writer, str, Size, str], str]

    def register(self, emit: Any) -> None:
        """Adds the emitters to a backend's `emit`."""
        emit.register(events.Deliver, self.deliver)
        emit.register(events.Collect, self.collect)
        emit.register(events.PerEdge, self.per_edge)

    def deliver(
        self,
        op: events.Deliver,
        write: Writer,
        z: Term,
        rows: Term,
        target: Term,
        weight: Term,
        ring: Term,
        now: Term,
        *when: Term,
        helper: str = "deliver",
    ) -> str | Term:
        rest, weight = _rest(op, ring), write.array(weight)
        delay, reached = op.parted(when)
        sent = self._sent(write, z, op.pre, ring, rest)
        asked = "".join(f", {self._sent(write, one, op.pre, ring, rest)}" for one in reached)
        place = f"{self._ring(op, write, ring)}, {_when(write, op.delay, now, delay)}"
        text = f"{write.helper(helper)}({sent}, {rows}, {target}, {weight}, {place}, {_per(weight, target)}{asked})"
        return self.order.in_layout(write, text, [op.slot, op.post, *rest])

    def collect(
        self,
        op: events.Collect,
        write: Writer,
        rows: Term,
        target: Term,
        weight: Term,
        ring: Term,
        now: Term,
        *when: Term,
    ) -> str | Term:
        weight, rest = write.array(weight), _rest(op, ring)
        delay, reached = op.parted(when)
        asked = "".join(f", {self._sent(write, one, op.pre.name, ring, rest)}" for one in reached)
        place = f"{self._ring(op, write, ring)}, {_when(write, op.delay, now, delay)}"
        text = f"{write.helper('collect')}({rows}, {target}, {weight}, {place}, {_per(weight, target)}{asked})"
        return self.order.in_layout(write, text, [op.pre.name, *rest])

    def per_edge(
        self, op: events.PerEdge, write: Writer, z: Term, rows: Term, target: Term, ring: Term, now: Term, *delay: Term
    ) -> str:
        sent = self._sent(write, z, op.pre, ring, _rest(op, ring))
        place = f"{self._ring(op, write, ring)}, {_when(write, op.delay, now, delay)}"
        return f"{write.helper('per_edge')}({sent}, {rows}, {target}, {place})"

    def _ring(self, op: Event, write: Writer, ring: Term) -> str:
        return self.arranged(write, ring, [op.slot, op.post, *_rest(op, ring)])

    def _sent(self, write: Writer, z: Term, pre: str, ring: Term, rest: Sequence[str]) -> str:
        """[pre, rest...]; what it lacks of the rest is repeated."""
        z = write.array(z)
        text = self.order.spread(z, [pre, *rest])
        if all(name in z.axes for name in rest):
            return text
        sizes = ", ".join(write.size(ring.type.axis(name).size) for name in rest)
        return self.repeated(write, text, z.type.axis(pre).size, sizes)


def _rest(op: Event, ring: Term) -> list[str]:
    return [name for name in ring.axes if name not in (op.slot, op.post)]


def _per(weight: Term, target: Term) -> int:
    return 0 if not weight.axes else 2 if weight.axes == target.axes else 1


def _when(write: Writer, delay: Sequence[int], now: Term, given: Sequence[Term]) -> str:
    """Now, the delays (some integer array where all are one), and that one or -1."""
    now = write.array(now)
    return f"{now}, {write.array(given[0]) if given else now}, {-1 if given else delay[0]}"
