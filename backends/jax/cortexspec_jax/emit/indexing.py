"""Reading and adding at places that an integer array names, in JAX."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer, places
from cortexspec.ir.ops import indexing
from cortexspec.ir.types import Type
from cortexspec_jax.emit.base import dtype, emit, in_layout, in_order, spread


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
        found.append(f"jnp.arange({write.size(type_.axis(name).size)}).reshape({shape})")
    return ", ".join(found)


# The verifier and bind have checked every index, so XLA need not.
IN_BOUNDS = 'mode="promise_in_bounds"'


MOST_ROWS = 24


def _is_few_rows(write: Writer, x: Term, axis: str, index: Term) -> bool:
    """Whether places are read along the last axis of a few rows, the same ones in each."""
    few = [one for one in x.type.axes if one.name != axis]
    if len(few) != 1 or x.axes[-1] != axis or not index.axes or few[0].name in index.axes:
        return False
    rows = write.fixed(few[0].size)
    return rows is not None and rows <= MOST_ROWS


@emit.register
def gather(op: indexing.Gather, write: Writer, x: Term, index: Term) -> str | Term:
    (result,) = op.rule(x.type, index.type)
    index = write.array(index)
    rest = [name for name in x.axes if name != op.axis]
    if _is_few_rows(write, x, op.axis, index):
        return in_layout(write, f"{write.helper('read_rows')}({x}, {index})", [*rest, *index.axes])
    if not index.axes:
        text = f"jax.lax.dynamic_index_in_dim({x}, {index}, {x.axes.index(op.axis)}, keepdims=False)"
        return in_layout(write, text, rest)
    if not set(rest) & set(index.axes):
        text = f"{x}.at[{places(x.axes, {op.axis: index})}].get({IN_BOUNDS})"
        return in_layout(write, text, _replaced(x.axes, op.axis, index.axes))
    axes = list(write.axes(result))
    return f"{x}.at[{_aranges(write, x.type, axes, op.axis, spread(index, axes))}].get({IN_BOUNDS})"


@emit.register
def scatter_add(op: indexing.ScatterAdd, write: Writer, values: Term, index: Term) -> str:
    (result,) = op.rule(values.type, index.type)
    index, values = write.array(index), write.array(values)
    kept = write.axes(result)
    zeros = f"jnp.zeros({write.shape(result)}, dtype={dtype(result)})"
    if set(index.axes) == set(op.over):
        added = in_order(values, values.axes, _replaced(kept, op.axis.name, index.axes))
        return f"{zeros}.at[{places(kept, {op.axis.name: index})}].add({added}, {IN_BOUNDS})"
    axes = [*(name for name in kept if name != op.axis.name), *op.over]
    where = _aranges(write, result, axes, op.axis.name, spread(index, axes))
    return f"{zeros}.at[{where}].add({spread(values, axes)}, {IN_BOUNDS})"


@emit.register
def put(op: indexing.Put, write: Writer, x: Term, row: Term, index: Term) -> str | Term:
    index, row = write.array(index), write.array(row)
    rest = [name for name in x.axes if name != op.axis]
    text = (
        f"jax.lax.dynamic_update_index_in_dim({x}, {in_order(row, row.axes, rest)}, {index}, {x.axes.index(op.axis)})"
    )
    return in_layout(write, text, list(x.axes))
