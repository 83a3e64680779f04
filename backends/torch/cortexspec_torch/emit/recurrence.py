"""Recurrences in torch: calls of the helpers, which write into arrays that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cortexspec.contracts.program import Term, Writer, margin
from cortexspec.ir.ops.recurrence import Recurrence, RecurrenceBackward
from cortexspec_torch.emit.base import emit, in_order

FUNCTIONS: Mapping[str, str] = {"tanh": "torch.tanh", "sigmoid": "torch.sigmoid", "exp": "torch.exp"}
SLOPES: Mapping[str, str] = {
    "tanh": "torch.ops.aten.tanh_backward.grad_input",
    "sigmoid": "torch.ops.aten.sigmoid_backward.grad_input",
    "exp": "exp_backward",
}


@emit.register
def recurrence(op: Recurrence, write: Writer, z: Term, K: Term, *b: Term) -> None:
    name = write.helper("recorded_recurrence" if write.records else "recurrence")
    sample = [name for name in z.axes if name != op.before]
    matrix = in_order(K, K.axes, (op.after, op.before))
    steps = write.size(op.over.size)
    text = f"{name}({in_order(z, z.axes, [op.before, *sample])}, {matrix}, {_shift(op, b)}, {steps}, {_curved(op, write, FUNCTIONS)})"
    stacked = [op.before, op.over.name, *sample]
    _assign(write, text, [[op.before, *sample], stacked, stacked, [op.after, op.before]])


@emit.register
def recurrence_backward(op: RecurrenceBackward, write: Writer, *operands: Term) -> None:
    write.helper("recurrence_backward")
    if "exp" in op.functions:
        write.helper("exp_backward")
    K = operands[3]
    sample = [name for name in operands[0].axes if name != op.before]
    orders = [[op.before, *sample], *[[op.before, op.over.name, *sample]] * 2]
    results = [in_order(x, x.axes, order) for x, order in zip(operands[:3], orders, strict=True)]
    flows = iter(operands[4:])
    given = ["None"] * 3
    for i, has in enumerate(op.given):
        if has:
            flow = write.array(next(flows))
            given[i] = in_order(flow, flow.axes, orders[i])
    text = ", ".join([*results, in_order(K, K.axes, (op.after, op.before)), *given])
    found = [[op.before, *sample], [op.after, op.before]]
    if op.shift != "none":
        found.append([op.after, *sample] if op.shift == "samples" else [op.after])
    shift = f'"{op.shift}"' if op.shift != "none" else "None"
    _assign(write, f"recurrence_backward({text}, {_curved(op, write, SLOPES)}, {shift})", found)


def _assign(write: Writer, text: str, orders: Sequence[Sequence[str]]) -> None:
    """The results under their names, and as the layout has them."""
    terms = [write.declare(value) for value in write.results]
    write.block.add(f"{', '.join(terms)} = {text}", "; ".join(margin(t.type, t.axes) for t in terms))
    for value, term, axes in zip(write.results, terms, orders, strict=True):
        if list(term.axes) != list(axes):
            write.assign(value, in_order(term, axes, term.axes))


def _shift(op: Recurrence, b: tuple[Term, ...]) -> str:
    if not b:
        return "None"
    (shift,) = b
    rest = [name for name in shift.axes if name != op.after]
    return in_order(shift, shift.axes, [op.after, *rest]) if rest else f"{shift}.unsqueeze(1)"


def _curved(op: Recurrence | RecurrenceBackward, write: Writer, functions: Mapping[str, str]) -> str:
    """Neighbouring rows of one function as one entry."""
    entries: list[tuple[str, str, str]] = []
    for function, first, last in zip(op.functions, op.starts, op.stops, strict=True):
        name, start, stop = functions[function], write.size(first), write.size(last)
        if entries and entries[-1][0] == name and entries[-1][2] == start:
            start = entries.pop()[1]
        entries.append((name, start, stop))
    return f"[{', '.join(f'({name}, {start}, {stop})' for name, start, stop in entries)}]"
