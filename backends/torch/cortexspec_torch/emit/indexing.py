"""Reading and adding at places that an integer array names, in torch."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.ops import indexing
from cortexspec.ir.ops.events import Deliver
from cortexspec.ir.types import Type
from cortexspec_torch.emit.base import dtype, emit, in_layout, in_order, spread
from cortexspec_torch.emit.events import DELIVERY
from cortexspec_torch.fuse import Within


def _replaced(axes: tuple[str, ...], name: str, by: tuple[str, ...]) -> list[str]:
    return [part for axis in axes for part in (by if axis == name else (axis,))]


def _aranges(write: Writer, type_: Type, axes: list[str], along: str, index: str) -> str:
    """For each axis of an array its places as an array over `axes`: counted, and the index along `along`."""
    found: list[str] = []
    for name in write.axes(type_):
        if name == along:
            found.append(index)
            continue
        shape = ", ".join("-1" if other == name else "1" for other in axes)
        found.append(f"torch.arange({write.size(type_.axis(name).size)}, device=DEVICE).reshape({shape})")
    return ", ".join(found)


@emit.register
def gather(op: indexing.Gather, write: Writer, x: Term, index: Term) -> str | Term:
    (result,) = op.rule(x.type, index.type)
    index = write.array(index)
    rest = [name for name in x.axes if name != op.axis]
    place = x.axes.index(op.axis)
    if not set(rest) & set(index.axes):
        if len(index.axes) == 1:
            text = f"{x}.index_select({place}, {index})"
        elif index.axes:
            text = f"{x}.index_select({place}, {index}.flatten()).unflatten({place}, {index}.shape)"
        else:
            text = f"{x}.index_select({place}, {index}.reshape(1)).squeeze({place})"
        return in_layout(write, text, _replaced(x.axes, op.axis, index.axes))
    axes = list(write.axes(result))
    return f"{x}[{_aranges(write, x.type, axes, op.axis, spread(index, axes))}]"


@emit.register
def scatter_add(op: indexing.ScatterAdd, write: Writer, values: Term, index: Term) -> str:
    (result,) = op.rule(values.type, index.type)
    index, values = write.array(index), write.array(values)
    kept = write.axes(result)
    zeros = f"torch.zeros({write.shape(result)}, dtype={dtype(result)}, device=DEVICE)"
    if set(index.axes) == set(op.over):
        place = kept.index(op.axis.name)
        added = in_order(values, values.axes, _replaced(kept, op.axis.name, index.axes))
        match len(index.axes):
            case 0:
                return f"{zeros}.index_add({place}, {index}.reshape(1), {added}.unsqueeze({place}))"
            case 1:
                return f"{zeros}.index_add({place}, {index}, {added})"
            case count:
                flat = f"{added}.flatten({place}, {place + count - 1})"
                return f"{zeros}.index_add({place}, {index}.flatten(), {flat})"
    axes = [*(name for name in kept if name != op.axis.name), *op.over]
    where = _aranges(write, result, axes, op.axis.name, spread(index, axes))
    return f"{zeros}.index_put(({where},), {spread(values, axes)}, accumulate=True)"


@emit.register
def within(op: Within, write: Writer, *operands: Term) -> str | Term:
    if isinstance(op.op, indexing.Put):
        return _put(op.op, write, *operands, within=True)
    assert isinstance(op.op, Deliver)
    return DELIVERY.deliver(op.op, write, *operands, helper="deliver_within")


@emit.register
def put(op: indexing.Put, write: Writer, x: Term, row: Term, index: Term) -> str | Term:
    return _put(op, write, x, row, index, within=False)


def _put(op: indexing.Put, write: Writer, x: Term, row: Term, index: Term, *, within: bool) -> str | Term:
    index, row = write.array(index), write.array(row)
    place = x.axes.index(op.axis)
    rest = [name for name in x.axes if name != op.axis]
    given = f"{place}, {index}.reshape(1), {in_order(row, row.axes, rest)}.unsqueeze({place})"
    text = f"{write.helper('put_within')}({x}, {given})" if within else f"{x}.index_copy({given})"
    return in_layout(write, text, list(x.axes))
