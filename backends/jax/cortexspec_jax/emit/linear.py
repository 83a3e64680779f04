"""Contractions, convolutions, pooling and dense linear algebra in JAX."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.contracts.program import Term, Writer, einsum_text
from cortexspec.ir.ops import linear
from cortexspec_jax.emit.base import emit, in_layout, in_order, spread


@emit.register
def contract(op: linear.Contract, write: Writer, a: Term, b: Term) -> str:
    if not op.over:
        left, right = write.aligned(a, b)
        return f"{left} * {right}"
    (result,) = op.rule(a.type, b.type)
    return product(write, a, b, set(op.over), write.axes(result))


@emit.register
def sparse_product(op: linear.SparseProduct, write: Writer, weight: Term, index: Term, x: Term) -> str | Term:
    (row,) = (name for name in weight.axes if name != op.over)
    rest = [name for name in x.axes if name != op.axis]
    tables = [in_order(one, one.axes, [op.over, row]) for one in (weight, index)]
    source = in_order(x, x.axes, [op.axis, *rest])
    return in_layout(write, f"{write.helper('sparse_product')}({', '.join(tables)}, {source})", [row, *rest])


def product(write: Writer, a: Term, b: Term, over: set[str], result: Sequence[str]) -> str:
    """`a @ b` where the axes allow it, else an einsum."""
    for left, right in ((a, b), (b, a)):
        lead = [name for name in result if name in left.axes and name in right.axes]
        rows = [name for name in left.axes if name not in right.axes]
        columns = [name for name in right.axes if name not in left.axes]
        if len(over) == 1 and len(rows) == 1 and len(columns) <= 1 and list(result) == [*lead, *rows, *columns]:
            if columns and lead:
                return _small_products(write, left, right, lead, (*rows, *over, *columns))
            first = in_order(left, left.axes, [*rows, *over])
            second = in_order(right, right.axes, [*over, *columns])
            if columns:
                return f"{write.helper('matrix_product')}({first}, {second})"
            if not lead:
                return f"{first} @ {second}"
        if len(over) == 1 and not rows and not columns and not lead:
            return f"{left} @ {right}"
    return f'jnp.einsum("{einsum_text([a.axes, b.axes], result)}", {a}, {b})'


def _small_products(write: Writer, a: Term, b: Term, lead: list[str], axes: tuple[str, str, str]) -> str:
    """A product for each place of `lead`; the matrices of an operand may stand either way round."""
    row, term, column = axes
    texts: list[str] = []
    flips: list[bool] = []
    for one, matrix in ((a, (row, term)), (b, (term, column))):
        flips.append(one.axes.index(matrix[0]) > one.axes.index(matrix[1]))
        texts.append(in_order(one, one.axes, [*lead, *(reversed(matrix) if flips[-1] else matrix)]))
    turned = f", ({flips[0]}, {flips[1]})" if any(flips) else ""
    return f"{write.helper('small_products')}({', '.join(texts)}{turned})"


def _image(x: Term, *first: str) -> tuple[list[str], str]:
    """The other axes of an image, samples among them, and the image with those behind `first`."""
    rest = [name for name in x.axes if name not in first]
    return rest, in_order(x, x.axes, [*first, *rest])


@emit.register
def conv2d(op: linear.Conv2d, write: Writer, x: Term, kernel: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    weight = in_order(kernel, kernel.axes, [op.out, op.channel, op.kernel_height, op.kernel_width])
    text = f"{write.helper('conv2d')}({image}, {weight})"
    return in_layout(write, text, [op.out, op.height, op.width, *rest])


@emit.register
def depthwise_conv2d(op: linear.DepthwiseConv2d, write: Writer, x: Term, kernel: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    weight = in_order(kernel, kernel.axes, [op.channel, op.kernel_height, op.kernel_width])
    text = f"{write.helper('depthwise_conv2d')}({image}, {weight})"
    return in_layout(write, text, [op.channel, op.height, op.width, *rest])


@emit.register
def conv2d_kernel(op: linear.Conv2dKernel, write: Writer, x: Term, z: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    cotangent = in_order(z, z.axes, [op.out, op.height, op.width, *rest])
    axes = [z.type.axis(op.out), x.type.axis(op.channel), op.kernel_height, op.kernel_width]
    shape = ", ".join(write.size(axis.size) for axis in axes)
    text = f"{write.helper('conv2d_kernel')}({image}, {cotangent}, ({shape}))"
    return in_layout(write, text, [axis.name for axis in axes])


@emit.register
def depthwise_conv2d_kernel(op: linear.DepthwiseConv2dKernel, write: Writer, x: Term, z: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    cotangent = in_order(z, z.axes, [op.channel, op.height, op.width, *rest])
    axes = [x.type.axis(op.channel), op.kernel_height, op.kernel_width]
    shape = ", ".join(write.size(axis.size) for axis in axes)
    text = f"{write.helper('depthwise_conv2d_kernel')}({image}, {cotangent}, ({shape}))"
    return in_layout(write, text, [axis.name for axis in axes])


@emit.register
def pool_matrix(op: linear.PoolMatrix, write: Writer) -> str | Term:
    text = f"{write.helper('pool_matrix')}({write.size(op.axis.size)}, {write.size(op.out.size)}, FLOAT)"
    return in_layout(write, text, [op.out.name, op.axis.name])


@emit.register
def adaptive_average_pool2d(op: linear.AdaptiveAveragePool2d, write: Writer, x: Term) -> str | Term:
    rest, image = _image(x, op.height, op.width)
    out = f"({write.size(op.out_height.size)}, {write.size(op.out_width.size)})"
    text = f"{write.helper('adaptive_average_pool2d')}({image}, {out})"
    return in_layout(write, text, [op.out_height.name, op.out_width.name, *rest])


@emit.register
def expm(op: linear.Expm, write: Writer, a: Term) -> str | Term:
    rest = [name for name in a.axes if name not in (op.row, op.column)]
    matrix = in_order(a, a.axes, [*rest, op.row, op.column])
    return in_layout(write, f"{write.helper('expm')}({matrix})", [*rest, op.row, op.column])


@emit.register
def expm_frechet(op: linear.ExpmFrechet, write: Writer, a: Term, e: Term) -> str | Term:
    (result,) = op.rule(a.type, e.type)
    order = [*(name for name in write.axes(result) if name not in (op.row, op.column)), op.row, op.column]
    text = f"{write.helper('expm_frechet')}({spread(a, order)}, {spread(e, order)})"
    return in_layout(write, text, order)


@emit.register
def solve(op: linear.Solve, write: Writer, a: Term, b: Term) -> str | Term:
    (result,) = op.rule(a.type, b.type)
    rest = [name for name in write.axes(result) if name != op.column]
    left, right = spread(a, [*rest, op.row, op.column]), spread(b, [*rest, op.row])
    text = f"jnp.broadcast_to(jnp.linalg.solve({left}, {right}[..., None])[..., 0], {write.shape(result, [*rest, op.column])})"
    return in_layout(write, text, [*rest, op.column])
