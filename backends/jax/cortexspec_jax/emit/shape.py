"""Moving elements between axes in JAX."""

from __future__ import annotations

from cortexspec.contracts.program import Term, Writer, places
from cortexspec.ir.ops import shape
from cortexspec_jax.emit.base import dtype, emit, in_layout, in_order


@emit.register
def rename(op: shape.Rename, write: Writer, x: Term) -> str | Term:
    new = dict(op.mapping)
    return in_layout(write, x, [new.get(name, name) for name in x.axes])


@emit.register
def in_unit(op: shape.InUnit, write: Writer, x: Term) -> Term:
    return write.same(x, op.rule(x.type)[0], x.axes)


@emit.register
def merge(op: shape.Merge, write: Writer, x: Term) -> str:
    (result,) = op.rule(x.type)
    wanted: list[str] = []
    for name in write.axes(result):
        wanted += op.axes if name == op.axis.name else [name]
    return f"{in_order(x, x.axes, wanted)}.reshape({write.shape(result)})"


@emit.register
def split(op: shape.Split, write: Writer, x: Term) -> str | Term:
    (result,) = op.rule(x.type)
    found: list[str] = []
    for name in x.axes:
        found += [axis.name for axis in op.axes] if name == op.axis else [name]
    return in_layout(write, f"{x}.reshape({write.shape(result, found)})", found)


@emit.register
def concat(op: shape.Concat, write: Writer, *operands: Term) -> str:
    axes = write.axes(op.rule(*(x.type for x in operands))[0])
    parts = [
        in_order(write.array(x), [op.axis.name if name == part else name for name in x.axes], axes)
        for x, part in zip(operands, op.parts, strict=True)
    ]
    return f"jnp.concatenate([{', '.join(parts)}], axis={axes.index(op.axis.name)})"


@emit.register
def slice_(op: shape.Slice, write: Writer, x: Term) -> str | Term:
    taken = f"{write.size(op.start)}:{write.size(op.stop)}"
    text = f"{x}[{places(x.axes, {op.axis: taken})}]"
    return in_layout(write, text, [op.result.name if name == op.axis else name for name in x.axes])


@emit.register
def index(op: shape.Index, write: Writer, x: Term) -> str:
    return f"{x}[{places(x.axes, {op.axis: write.size(op.place)})}]"


@emit.register
def diagonal(op: shape.Diagonal, write: Writer, x: Term) -> str | Term:
    text = f"jnp.diagonal({x}, 0, {x.axes.index(op.row)}, {x.axes.index(op.column)})"
    return in_layout(write, text, [*(name for name in x.axes if name not in (op.row, op.column)), op.result.name])


@emit.register
def flip(op: shape.Flip, write: Writer, x: Term) -> str:
    return f"jnp.flip({x}, ({x.axes.index(op.axis)},))"


@emit.register
def pad(op: shape.Pad, write: Writer, x: Term) -> str | Term:
    taken = f"({write.size(op.before)}, {write.size(op.after)})"
    widths = ", ".join(taken if name == op.axis else "(0, 0)" for name in x.axes)
    text = f"jnp.pad({x}, ({widths},))"
    return in_layout(write, text, [op.result.name if name == op.axis else name for name in x.axes])


@emit.register
def expand(op: shape.Expand, write: Writer, x: Term) -> str:
    (result,) = op.rule(x.type)
    if x.literal:
        return f"jnp.full({write.shape(result)}, {x}, dtype={dtype(result)})"
    return f"jnp.broadcast_to({write.align(x, write.axes(result))}, {write.shape(result)})"
