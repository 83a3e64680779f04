"""Contractions, convolutions, pooling and dense linear algebra in torch."""

from __future__ import annotations

from collections.abc import Sequence

from cortexspec.contracts.program import Term, Writer
from cortexspec.ir.ops import linear
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type
from cortexspec_torch.emit.base import arranged, emit, in_layout, in_order, spread


@emit.register
def contract(op: linear.Contract, write: Writer, a: Term, b: Term) -> str | Term:
    if not op.over:
        left, right = write.aligned(a, b)
        return f"{left} * {right}"
    (result,) = op.rule(a.type, b.type)
    return product(write, a, b, op.over, result)


@emit.register
def sparse_product(op: linear.SparseProduct, write: Writer, weight: Term, index: Term, x: Term) -> str | Term:
    (row,) = (name for name in weight.axes if name != op.over)
    rest = [name for name in x.axes if name != op.axis]
    tables = [arranged(write, one, [row, op.over]) for one in (weight, index)]
    source = arranged(write, x, [op.axis, *rest])
    return in_layout(write, f"{write.helper('sparse_product')}({', '.join(tables)}, {source})", [row, *rest])


def product(write: Writer, a: Term, b: Term, over: Sequence[str], result: Type) -> str | Term:
    """As a product of two (stacks of) matrices, whose axes are merged first where a side has several."""
    axes = write.axes(result)
    lead = [name for name in axes if name in a.axes and name in b.axes]
    rows = [name for name in axes if name not in b.axes]
    columns = [name for name in axes if name not in a.axes]
    if not rows and not columns:
        left, right = write.aligned(a, b)
        every = write.layout.sort(frozenset((*a.axes, *b.axes)))
        places = tuple(every.index(name) for name in over)
        return f"torch.sum({left} * {right}, dim={places[0] if len(places) == 1 else places})"
    if len(over) == 2 and not lead and a.axes[0] == b.axes[0] and len(rows) == len(columns) == 1:
        # Over time and samples: a product a step, then their sum. Merging the two axes would copy both arrays.
        first, second = (a, b) if axes == (*rows, *columns) else (b, a)
        time, inner = a.axes[0], next(name for name in over if name != a.axes[0])
        left = arranged(write, first, [time, axes[0], inner])
        right = arranged(write, second, [time, inner, axes[1]])
        return f"torch.bmm({left}, {right}).sum(0)"
    if len(over) == 2 and len(lead) == len(rows) == len(columns) == 1 and a.axes[0] == b.axes[0] in over:
        # The same for a stack of matrices: time and the axis that both have make one.
        time, inner = a.axes[0], next(name for name in over if name != a.axes[0])
        first, second = (a, b) if list(axes) == [*lead, *rows, *columns] else (b, a)
        if list(axes) in ([*lead, *rows, *columns], [*lead, *columns, *rows]):
            left = arranged(write, first, [time, *lead, axes[1], inner])
            right = arranged(write, second, [time, *lead, inner, axes[2]])
            sizes = ", ".join(write.size(a.type.axis(name).size) for name in (time, *lead))
            return f"torch.bmm({left}.flatten(0, 1), {right}.flatten(0, 1)).unflatten(0, ({sizes})).sum(0)"
    if [*lead, *columns, *rows] == list(axes):
        a, b, rows, columns = b, a, columns, rows
    order = [*lead, *rows, *columns]
    left = _matrix(write, a, [*lead], [rows, list(over)])
    right = _matrix(write, b, [*lead], [list(over), columns])
    text = f"{left} @ {right}"
    if len(lead) < 2 and not write.records:
        text = f"torch.{'bmm' if lead else 'mm'}({left}, {right})"
    if len(rows) != 1 or len(columns) != 1:
        text = f"({text}).reshape({write.shape(result, order)})"
    elif order != list(axes):
        text = f"({text})"
    return in_layout(write, text, order)


def _matrix(write: Writer, term: Term, lead: list[str], groups: list[list[str]]) -> str:
    """The term as a stack of matrices: each group of axes becomes one. One that lies transposed is merged as it lies."""
    if all(len(group) == 1 for group in groups):
        return arranged(write, term, [*lead, *groups[0], *groups[1]])
    if all(groups) and list(term.axes) == [*lead, *groups[1], *groups[0]]:
        return f"{_matrix(write, term, lead, groups[::-1])}.mT"
    text = arranged(write, term, [*lead, *groups[0], *groups[1]])
    sizes = [write.size(term.type.axis(name).size) for name in lead]
    for group in groups:
        size = Size.of(1)
        for name in group:
            size = size * term.type.axis(name).size
        sizes.append(write.size(size))
    return f"{text}.reshape({', '.join(sizes)})"


def _image(x: Term, *last: str) -> tuple[list[str], str]:
    """The image with `last` as its last axes; what lies before them."""
    rest = [name for name in x.axes if name not in last]
    return rest, in_order(x, x.axes, [*rest, *last])


def _flat(rest: list[str], text: str) -> tuple[str, str]:
    """torch wants exactly one axis before channel, height and width: the text, and what to append to the result."""
    match len(rest):
        case 0:
            return f"{text}.unsqueeze(0)", ".squeeze(0)"
        case 1:
            return text, ""
        case count:
            return f"{text}.flatten(0, {count - 1})", f".unflatten(0, {text}.shape[:{count}])"


def _padding(write: Writer, *axes: Axis) -> str:
    sizes = [write.fixed(axis.size) for axis in axes]
    if any(size is None or size % 2 == 0 for size in sizes):
        raise ValueError(f"the kernel {axes} has no odd size")
    return "(" + ", ".join(str((size or 0) // 2) for size in sizes) + ")"


@emit.register
def conv2d(op: linear.Conv2d, write: Writer, x: Term, kernel: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    image, after = _flat(rest, image)
    weight = in_order(kernel, kernel.axes, [op.out, op.channel, op.kernel_height, op.kernel_width])
    padding = _padding(write, kernel.type.axis(op.kernel_height), kernel.type.axis(op.kernel_width))
    text = f"torch.nn.functional.conv2d({image}, {weight}, padding={padding}){after}"
    return in_layout(write, text, [*rest, op.out, op.height, op.width])


@emit.register
def conv2d_kernel(op: linear.Conv2dKernel, write: Writer, x: Term, z: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    image, _ = _flat(rest, image)
    rest, cotangent = _image(z, op.out, op.height, op.width)
    cotangent, _ = _flat(rest, cotangent)
    axes = [z.type.axis(op.out), x.type.axis(op.channel), op.kernel_height, op.kernel_width]
    shape = ", ".join(write.size(axis.size) for axis in axes)
    padding = _padding(write, op.kernel_height, op.kernel_width)
    text = f"torch.nn.grad.conv2d_weight({image}, ({shape}), {cotangent}, padding={padding})"
    return in_layout(write, text, [axis.name for axis in axes])


@emit.register
def depthwise_conv2d(op: linear.DepthwiseConv2d, write: Writer, x: Term, kernel: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    image, after = _flat(rest, image)
    weight = in_order(kernel, kernel.axes, [op.channel, op.kernel_height, op.kernel_width])
    padding = _padding(write, kernel.type.axis(op.kernel_height), kernel.type.axis(op.kernel_width))
    groups = write.size(x.type.axis(op.channel).size)
    text = f"torch.nn.functional.conv2d({image}, {weight}.unsqueeze(1), padding={padding}, groups={groups}){after}"
    return in_layout(write, text, [*rest, op.channel, op.height, op.width])


@emit.register
def depthwise_conv2d_kernel(op: linear.DepthwiseConv2dKernel, write: Writer, x: Term, z: Term) -> str | Term:
    rest, image = _image(x, op.channel, op.height, op.width)
    image, _ = _flat(rest, image)
    rest, cotangent = _image(z, op.channel, op.height, op.width)
    cotangent, _ = _flat(rest, cotangent)
    channels = write.size(x.type.axis(op.channel).size)
    kernel = f"({channels}, 1, {write.size(op.kernel_height.size)}, {write.size(op.kernel_width.size)})"
    padding = _padding(write, op.kernel_height, op.kernel_width)
    text = (
        f"torch.nn.grad.conv2d_weight({image}, {kernel}, {cotangent}, padding={padding}, groups={channels}).squeeze(1)"
    )
    return in_layout(write, text, [op.channel, op.kernel_height.name, op.kernel_width.name])


@emit.register
def pool_matrix(op: linear.PoolMatrix, write: Writer) -> str | Term:
    text = f"{write.helper('pool_matrix')}({write.size(op.axis.size)}, {write.size(op.out.size)})"
    return in_layout(write, text, [op.out.name, op.axis.name])


@emit.register
def adaptive_average_pool2d(op: linear.AdaptiveAveragePool2d, write: Writer, x: Term) -> str | Term:
    rest, image = _image(x, op.height, op.width)
    out = f"({write.size(op.out_height.size)}, {write.size(op.out_width.size)})"
    match len(rest):
        case 0:
            image, after = f"{image}.unsqueeze(0)", ".squeeze(0)"
        case 1 | 2:
            after = ""
        case count:
            image, after = f"{image}.flatten(0, {count - 1})", f".unflatten(0, {image}.shape[:{count}])"
    text = f"torch.nn.functional.adaptive_avg_pool2d({image}, {out}){after}"
    return in_layout(write, text, [*rest, op.out_height.name, op.out_width.name])


@emit.register
def expm(op: linear.Expm, write: Writer, a: Term) -> str | Term:
    rest, matrix = _image(a, op.row, op.column)
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
    shape = write.shape(result, [*rest, op.column])
    text = f"torch.linalg.solve({left}, {right}.unsqueeze(-1)).squeeze(-1).expand({shape})"
    return in_layout(write, text, [*rest, op.column])
