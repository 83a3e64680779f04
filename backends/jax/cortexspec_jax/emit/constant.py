"""Values without operands in JAX."""

from __future__ import annotations

import numpy as np

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.ops import constant
from cortexspec_jax.emit.base import emit


@emit.register
def const(op: constant.Const, write: Writer) -> Term:
    return write.number(op.value, op.rule()[0])


@emit.register
def table(op: constant.Table, write: Writer) -> str:
    type_ = op.rule()[0]
    shape = [axis.size.evaluate(write.bound.sizes) for axis in op.axes]
    written = [axis.name for axis in op.axes]
    array = np.array(op.values).reshape(shape).transpose([written.index(name) for name in write.axes(type_)])
    kind = {"float": float, "int": int, "bool": bool, "bits": int}[op.dtype]
    return write.dialect.literal(str(array.astype(kind).tolist()), op.dtype)


@emit.register
def size_of(op: constant.SizeOf, write: Writer) -> Term:
    size = write.fixed(op.axis.size)
    type_ = op.rule()[0]
    return (
        write.number(float(size), type_) if size is not None else write.number(f"({write.size(op.axis.size)})", type_)
    )


@emit.register
def iota(op: constant.Iota, write: Writer) -> str:
    return f"jnp.arange({write.size(op.axis.size)})"


@emit.register
def identity(op: constant.Identity, write: Writer) -> str:
    return f"jnp.eye({write.size(op.row.size)}, dtype=FLOAT)"
