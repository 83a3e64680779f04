"""Contractions, convolutions, pooling and dense linear algebra in JAX."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.contracts.program import Term, Writer, einsum_text
from cortexspec.ir.ops import linear
from cortexspec.ir.types import Axis
from cortexspec_jax.emit.base import emit, in_layout, in_order, spread


@emit.register
def contract(op: linear.Contract, write: Writer, a: Term, b: Term) -> str:
    if not op.over:
        left, right = write.aligned(a, b)
        return f"{left} * {right}"
    (result,) = op.rule(a.type, b.type)
    return product(a, b, set(op.over), write.axes(result))


def product(a: Term, b: Term, over: set[str], result: Sequence[str]) -> str:
    """`a @ b` where the axes allow it, else an einsum."""
    for left, right in ((a, b), (b, a)):
        lead = [name for name in result if name in left.axes and name in right.axes]
        rows = [name for name in left.axes if name not in right.axes]
        columns = [name for name in right.axes if name not in left.axes]
        if len(over) == 1 and len(rows) == 1 and len(columns) <= 1 and list(result) == [*lead, *rows, *columns]:
            first = in_order(left, left.axes, [*lead, *rows, *over])
            second = in_order(right, right.axes, [*lead, *over, *columns])
            if columns or not lead:
                return f"{first} @ {second}"
        if len(over) == 1 and not rows and not columns and not lead:
            return f"{left} @ {right}"
    return f'jnp.einsum("{einsum_text([a.axes, b.axes], result)}", {a}, {b})'


def _image(x: Term, *last: str) -> tuple[list[str], str]:
    """The image with `last` as its last axes; what lies before them."""
    rest = [name for name in x.axes if name not in last]
    return rest, in_order(x, x.axes, [*rest, *last])


def _letters(axes: Sequence[str], names: dict[str, str]) -> str:
    return "".join(names[name] for name in axes)


def _padding(write: Writer, *axes: Axis) -> str:
    sizes = [write.fixed(axis.size) for axis in axes]
    if any(size is None or size % 2 == 0 for size in sizes):
        raise ValueError(f"the kernel {axes} has no odd size")
    return "(" + ", ".join(f"({(size or 0) // 2}, {(size or 0) // 2})" for size in sizes) + ")"


def _flat(rest: list[str], x: Term, text: str, *last: str) -> tuple[str, str]:
    """XLA wants exactly one axis before channel, height and width: the text, and what to append to the result."""
    match len(rest):
        case 0:
            return f"{text}[None]", "[0]"
        case 1:
            return text, ""
        case _:
            places = ", ".join(f"{x}.shape[{x.axes.index(name)}]" for name in rest)
            kept = ", ".join(f"{x}.shape[{x.axes.index(name)}]" for name in last)
            return f"{text}.reshape(-1, {kept})", f".reshape({places}, *OUT)"


def _convolved(
    write: Writer, op: linear.Conv2d | linear.DepthwiseConv2d, x: Term, kernel: Term, out: str
) -> str | Term:
    rest = [name for name in x.axes if name not in (op.channel, op.height, op.width)]
    depthwise = isinstance(op, linear.DepthwiseConv2d)
    weight_axes = [out, *([] if depthwise else [op.channel]), op.kernel_height, op.kernel_width]
    weight = in_order(kernel, kernel.axes, weight_axes) + ("[:, None]" if depthwise else "")
    padding = _padding(write, kernel.type.axis(op.kernel_height), kernel.type.axis(op.kernel_width))
    groups = f", feature_group_count={write.size(x.type.axis(op.channel).size)}" if depthwise else ""
    if len(rest) == 1:
        # One batch axis may lie anywhere.
        (result,) = op.rule(x.type, kernel.type)
        letters = {op.channel: "C", out: "C", op.height: "H", op.width: "W", rest[0]: "N"}
        image, after, axes = str(x), "", list(write.axes(result))
        numbers = f'("{_letters(x.axes, letters)}", "OIHW", "{_letters(axes, letters)}")'
    else:
        shape = f"[{', '.join(write.size(axis.size) for axis in (x.type.axis(op.height), x.type.axis(op.width)))}]"
        channels = write.size(kernel.type.axis(out).size)
        last = (op.channel, op.height, op.width)
        image, after = _flat(rest, x, in_order(x, x.axes, [*rest, *last]), *last)
        after = after.replace("*OUT", f"{channels}, {shape[1:-1]}")
        axes, numbers = [*rest, out, op.height, op.width], '("NCHW", "OIHW", "NCHW")'
    text = f"lax.conv_general_dilated({image}, {weight}, (1, 1), {padding}, dimension_numbers={numbers}{groups}){after}"
    return in_layout(write, text, axes)


@emit.register
def conv2d(op: linear.Conv2d, write: Writer, x: Term, kernel: Term) -> str | Term:
    return _convolved(write, op, x, kernel, op.out)


@emit.register
def depthwise_conv2d(op: linear.DepthwiseConv2d, write: Writer, x: Term, kernel: Term) -> str | Term:
    return _convolved(write, op, x, kernel, op.channel)


@emit.register
def conv2d_kernel(op: linear.Conv2dKernel, write: Writer, x: Term, z: Term) -> str | Term:
    rest = [name for name in x.axes if name not in (op.channel, op.height, op.width)]
    last = (op.channel, op.height, op.width)
    image, _ = _flat(rest, x, in_order(x, x.axes, [*rest, *last]), *last)
    rest = [name for name in z.axes if name not in (op.out, op.height, op.width)]
    last = (op.out, op.height, op.width)
    cotangent, _ = _flat(rest, z, in_order(z, z.axes, [*rest, *last]), *last)
    axes = [z.type.axis(op.out), x.type.axis(op.channel), op.kernel_height, op.kernel_width]
    shape = ", ".join(write.size(axis.size) for axis in axes)
    text = f"{write.helper('conv2d_kernel')}({image}, {cotangent}, ({shape}))"
    return in_layout(write, text, [axis.name for axis in axes])


@emit.register
def depthwise_conv2d_kernel(op: linear.DepthwiseConv2dKernel, write: Writer, x: Term, z: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    image, _ = _flat(rest, x, image, op.channel, op.height, op.width)
    rest, cotangent = _image(z, op.channel, op.height, op.width)
    cotangent, _ = _flat(rest, z, cotangent, op.channel, op.height, op.width)
    channels = write.size(x.type.axis(op.channel).size)
    shape = f"({channels}, 1, {write.size(op.kernel_height.size)}, {write.size(op.kernel_width.size)})"
    text = f"{write.helper('conv2d_kernel')}({image}, {cotangent}, {shape}, groups={channels})[:, 0]"
    return in_layout(write, text, [op.channel, op.kernel_height.name, op.kernel_width.name])


@emit.register
def pool_matrix(op: linear.PoolMatrix, write: Writer) -> str | Term:
    text = f"{write.helper('pool_matrix')}({write.size(op.axis.size)}, {write.size(op.out.size)}, FLOAT)"
    return in_layout(write, text, [op.out.name, op.axis.name])


@emit.register
def adaptive_average_pool2d(op: linear.AdaptiveAveragePool2d, write: Writer, x: Term) -> str | Term:
    rest, image = _image(x, op.height, op.width)
    out = f"({write.size(op.out_height.size)}, {write.size(op.out_width.size)})"
    text = f"{write.helper('adaptive_average_pool2d')}({image}, {out})"
    return in_layout(write, text, [*rest, op.out_height.name, op.out_width.name])


@emit.register
def expm(op: linear.Expm, write: Writer, a: Term) -> str | Term:
    rest, matrix = _image(a, op.row, op.column)
    return in_layout(write, f"jax.scipy.linalg.expm({matrix})", [*rest, op.row, op.column])


@emit.register
def solve(op: linear.Solve, write: Writer, a: Term, b: Term) -> str | Term:
    (result,) = op.rule(a.type, b.type)
    rest = [name for name in write.axes(result) if name != op.column]
    left, right = spread(a, [*rest, op.row, op.column]), spread(b, [*rest, op.row])
    text = f"jnp.broadcast_to(jnp.linalg.solve({left}, {right}[..., None])[..., 0], {write.shape(result, [*rest, op.column])})"
    return in_layout(write, text, [*rest, op.column])
