"""Contractions, convolutions, pooling and dense linear algebra."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from string import ascii_letters
from typing import Any, ClassVar

import numpy as np

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.op import Array, Context, Op, Tensor, in_layout, op, transpose
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import (
    Axis,
    RuleError,
    Type,
    require_alike,
    require_axis,
    require_dtype,
    require_free,
    require_pure,
    require_size,
    union_axes,
)


def einsum(operands: Sequence[Tensor], axes: Sequence[str]) -> Array:
    """The sum of products over every axis that is not in `axes`."""
    letters: dict[str, str] = {}
    for tensor in operands:
        for name in tensor.axes:
            letters.setdefault(name, ascii_letters[len(letters)])
    inputs = ",".join("".join(letters[name] for name in tensor.axes) for tensor in operands)
    output = "".join(letters[name] for name in axes)
    # Looking for an order of products and for BLAS costs more than a small sum.
    large = sum(t.array.size for t in operands) > 2000
    return np.asarray(np.einsum(f"{inputs}->{output}", *(t.array for t in operands), optimize=large))


@op
@dataclass(frozen=True, slots=True)
class Contract(Op):
    """The sum over the axes `over` of a*b; other axes that both have are aligned. Units multiply.

    `W @ x` is a contraction over the source axis; an outer product has no `over` axis in common.
    """

    name: ClassVar[str] = "linear.contract"
    over: tuple[str, ...]

    def rule(self, a: Type, b: Type) -> tuple[Type, ...]:
        dtype = require_alike("a contraction", (a, b), "float")
        for name in self.over:
            require_axis(a, name, "a contraction")
            require_axis(b, name, "a contraction", operand=1)
        axes = [axis for axis in union_axes(a, b) if axis.name not in self.over]
        return (Type(tuple(axes), dtype, a.unit * b.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        axes = context.axes(results[0])
        return (Tensor(einsum(operands, axes), axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (a, b) = cotangents, operands
        if cotangent is None:
            return None, None
        return _flow(build, cotangent, b, a), _flow(build, cotangent, a, b)


def _flow(build: Builder, cotangent: Value, other: Value, operand: Value) -> Value:
    over = [axis.name for axis in union_axes(cotangent.type, other.type) if not operand.type.has(axis.name)]
    return write.contract(build, cotangent, other, over)


@op
@dataclass(frozen=True, slots=True)
class SparseProduct(Op):
    """A matrix times x, of which each row has the few places in a table that are not zero: y = sum over `over` of weight*x[index].

    A row with fewer places than the table has room for is filled up with weights of 0. Units multiply.
    Shapes: weight and index [row, over], x [axis, A]; gives [row, A] with y[r, a] = sum_k weight[r, k]*x[index[r, k], a].
    """

    name: ClassVar[str] = "linear.sparse_product"
    over: str
    axis: str

    def rule(self, weight: Type, index: Type, x: Type) -> tuple[Type, ...]:
        require_alike("a sparse product", (weight, x), "float")
        require_dtype(index, "an index", "int", operand=1)
        require_axis(weight, self.over, "a sparse product")
        require_axis(index, self.over, "a sparse product", operand=1)
        require_axis(x, self.axis, "a sparse product", operand=2)
        if len(weight.axes) != 2 or Type(weight.axes) != Type(index.axes):
            raise RuleError("CS501", f"weights {weight} and their places {index} are a table [row, place]", operand=1)
        rows, rest = weight.without([self.over]), x.without([self.axis])
        return (Type(require_free(rest, rows, "a sparse product"), "float", weight.unit * x.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        weight, index, x = operands
        (row,) = (name for name in weight.axes if name != self.over)
        rest = [name for name in x.axes if name != self.axis]
        values = transpose(weight.array, weight.axes, [row, self.over])
        places = transpose(index.array, index.axes, [row, self.over])
        source = transpose(x.array, x.axes, [self.axis, *rest])
        starts = np.arange(len(values) + 1) * values.shape[1]
        shape = (len(values), len(source))
        csr_matrix = import_module("scipy.sparse").csr_matrix
        matrix = csr_matrix((values.reshape(-1), places.reshape(-1), starts), shape)
        array = (matrix @ source.reshape(len(source), -1)).reshape(len(values), *source.shape[1:])
        return (in_layout(array, [row, *rest], results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (weight, index, x) = cotangents, operands
        if cotangent is None:
            return None, None, None
        rest = [axis.name for axis in x.type.without([self.axis])]
        read = write.gather(build, x, index, self.axis)
        flow = write.mul(build, weight, cotangent)
        both = [axis.name for axis in index.type.axes]
        return (
            write.contract(build, cotangent, read, rest),
            None,
            write.scatter_add(build, flow, index, x.type.axis(self.axis), both),
        )


def _window(kernel: int, what: str) -> int:
    if kernel % 2 == 0:
        raise RuleError("CS501", f"{what} keeps the image's size only for an odd kernel, not for one of {kernel}")
    return kernel // 2


def _require_odd(kernel: Type, names: Sequence[str], what: str) -> None:
    for name in names:
        size = require_axis(kernel, name, what, operand=1).size.fixed
        if size is not None:
            _window(size, what)


def _windows(x: Tensor, height: str, width: str, rows: int, columns: int) -> Tensor:
    """Every window around each place, zeros outside: axes [..., height, width, *row, *column]."""
    rest = [name for name in x.axes if name not in (height, width)]
    image = transpose(x.array, x.axes, [*rest, height, width])
    margin = [(0, 0)] * len(rest) + [(_window(rows, "conv2d"),) * 2, (_window(columns, "conv2d"),) * 2]
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, margin), (rows, columns), axis=(-2, -1))
    return Tensor(windows, (*rest, height, width, "*row", "*column"))


@op
@dataclass(frozen=True, slots=True)
class Conv2d(Op):
    """Cross-correlation of images with learned kernels, stride 1, zeros outside, the image keeps its size.

    Shapes: x [channel, height, width, ...], kernel [out, channel, kernel_height, kernel_width] with odd kernel axes;
    gives [out, height, width, ...]. `channel`, `height`, `width` name axes of x, the rest axes of the kernel.
    """

    name: ClassVar[str] = "linear.conv2d"
    channel: str
    height: str
    width: str
    out: str
    kernel_height: str
    kernel_width: str

    def rule(self, x: Type, kernel: Type) -> tuple[Type, ...]:
        require_alike("conv2d", (x, kernel), "float")
        for name in (self.channel, self.height, self.width):
            require_axis(x, name, "conv2d")
        wanted = {self.out, self.channel, self.kernel_height, self.kernel_width}
        for name in sorted(wanted):
            require_axis(kernel, name, "conv2d", operand=1)
        if extra := sorted(kernel.names - wanted):
            raise RuleError("CS501", f"a kernel of conv2d has no axis `{extra[0]}`", operand=1)
        _require_odd(kernel, (self.kernel_height, self.kernel_width), "conv2d")
        union_axes(x.with_axes([x.axis(self.channel)]), kernel.with_axes([kernel.axis(self.channel)]))
        rest = x.without([self.channel])
        return (Type(require_free(rest, (kernel.axis(self.out),), "conv2d"), "float", x.unit * kernel.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        x, kernel = operands
        sizes = dict(zip(kernel.axes, kernel.array.shape, strict=True))
        new = {self.kernel_height: "*row", self.kernel_width: "*column"}
        kernel = Tensor(kernel.array, tuple(new.get(name, name) for name in kernel.axes))
        windows = _windows(x, self.height, self.width, sizes[self.kernel_height], sizes[self.kernel_width])
        axes = context.axes(results[0])
        return (Tensor(einsum((windows, kernel), axes), axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x, kernel) = cotangents, operands
        if cotangent is None:
            return None, None
        turned = write.flip(build, write.flip(build, kernel, self.kernel_height), self.kernel_width)
        back = Conv2d(self.out, self.height, self.width, self.channel, self.kernel_height, self.kernel_width)
        dkernel = Conv2dKernel(
            self.channel,
            self.height,
            self.width,
            self.out,
            kernel.type.axis(self.kernel_height),
            kernel.type.axis(self.kernel_width),
        )
        return build.one(back, cotangent, turned), build.one(dkernel, x, cotangent)


@op
@dataclass(frozen=True, slots=True)
class Conv2dKernel(Op):
    """The adjoint of conv2d in its kernel: images x correlated with cotangents z of the output, summed over other axes.

    Shapes: x [channel, height, width, ...], z [out, height, width, ...];
    gives [out, channel, kernel_height, kernel_width].
    """

    name: ClassVar[str] = "linear.conv2d_kernel"
    channel: str
    height: str
    width: str
    out: str
    kernel_height: Axis
    kernel_width: Axis

    def rule(self, x: Type, z: Type) -> tuple[Type, ...]:
        require_alike("conv2d", (x, z), "float")
        channel, out = require_axis(x, self.channel, "conv2d"), require_axis(z, self.out, "conv2d", operand=1)
        if Type(x.without([self.channel])) != Type(z.without([self.out])):
            raise RuleError("CS501", f"images {x} and cotangents {z} differ in more than their channels", operand=1)
        return (Type((channel, out, self.kernel_height, self.kernel_width), "float", x.unit * z.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        x, z = operands
        rows, columns = (axis.size.evaluate(context.sizes) for axis in (self.kernel_height, self.kernel_width))
        windows = _windows(x, self.height, self.width, rows, columns)
        names = (self.channel, self.out, "*row", "*column")
        array = einsum((windows, z), names)
        named = (self.channel, self.out, self.kernel_height.name, self.kernel_width.name)
        return (in_layout(array, named, results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x, z) = cotangents, operands
        if cotangent is None:
            return None, None
        rows, columns = self.kernel_height.name, self.kernel_width.name
        turned = write.flip(build, write.flip(build, cotangent, rows), columns)
        dx = build.one(Conv2d(self.out, self.height, self.width, self.channel, rows, columns), z, turned)
        dz = build.one(Conv2d(self.channel, self.height, self.width, self.out, rows, columns), x, cotangent)
        return dx, dz


@op
@dataclass(frozen=True, slots=True)
class DepthwiseConv2d(Op):
    """conv2d with one kernel a channel: each channel sees itself alone.

    Shapes: x [channel, height, width, ...], kernel [channel, kernel_height, kernel_width]; gives the axes of x.
    """

    name: ClassVar[str] = "linear.depthwise_conv2d"
    channel: str
    height: str
    width: str
    kernel_height: str
    kernel_width: str

    def rule(self, x: Type, kernel: Type) -> tuple[Type, ...]:
        require_alike("depthwise_conv2d", (x, kernel), "float")
        for name in (self.channel, self.height, self.width):
            require_axis(x, name, "depthwise_conv2d")
        wanted = {self.channel, self.kernel_height, self.kernel_width}
        for name in sorted(wanted):
            require_axis(kernel, name, "depthwise_conv2d", operand=1)
        if extra := sorted(kernel.names - wanted):
            raise RuleError("CS501", f"a kernel of depthwise_conv2d has no axis `{extra[0]}`", operand=1)
        _require_odd(kernel, (self.kernel_height, self.kernel_width), "depthwise_conv2d")
        union_axes(x.with_axes([x.axis(self.channel)]), kernel.with_axes([kernel.axis(self.channel)]))
        return (x.with_unit(x.unit * kernel.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        x, kernel = operands
        sizes = dict(zip(kernel.axes, kernel.array.shape, strict=True))
        new = {self.kernel_height: "*row", self.kernel_width: "*column"}
        kernel = Tensor(kernel.array, tuple(new.get(name, name) for name in kernel.axes))
        windows = _windows(x, self.height, self.width, sizes[self.kernel_height], sizes[self.kernel_width])
        return (Tensor(einsum((windows, kernel), x.axes), x.axes),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x, kernel) = cotangents, operands
        if cotangent is None:
            return None, None
        turned = write.flip(build, write.flip(build, kernel, self.kernel_height), self.kernel_width)
        dkernel = DepthwiseConv2dKernel(
            self.channel,
            self.height,
            self.width,
            kernel.type.axis(self.kernel_height),
            kernel.type.axis(self.kernel_width),
        )
        return build.one(self, cotangent, turned), build.one(dkernel, x, cotangent)


@op
@dataclass(frozen=True, slots=True)
class DepthwiseConv2dKernel(Op):
    """The adjoint of depthwise_conv2d in its kernel.

    Shapes: x and z [channel, height, width, ...]; gives [channel, kernel_height, kernel_width].
    """

    name: ClassVar[str] = "linear.depthwise_conv2d_kernel"
    channel: str
    height: str
    width: str
    kernel_height: Axis
    kernel_width: Axis

    def rule(self, x: Type, z: Type) -> tuple[Type, ...]:
        require_alike("depthwise_conv2d", (x, z), "float")
        channel = require_axis(x, self.channel, "depthwise_conv2d")
        if x.axes != z.axes:
            raise RuleError("CS501", f"images {x} and cotangents {z} have different axes", operand=1)
        return (Type((channel, self.kernel_height, self.kernel_width), "float", x.unit * z.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        x, z = operands
        rows, columns = (axis.size.evaluate(context.sizes) for axis in (self.kernel_height, self.kernel_width))
        windows = _windows(x, self.height, self.width, rows, columns)
        array = einsum((windows, z), (self.channel, "*row", "*column"))
        named = (self.channel, self.kernel_height.name, self.kernel_width.name)
        return (in_layout(array, named, results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x, z) = cotangents, operands
        if cotangent is None:
            return None, None
        rows, columns = self.kernel_height.name, self.kernel_width.name
        turned = write.flip(build, write.flip(build, cotangent, rows), columns)
        conv = DepthwiseConv2d(self.channel, self.height, self.width, rows, columns)
        return build.one(conv, z, turned), build.one(conv, x, cotangent)


def window_bounds(size: int, out: int) -> list[tuple[int, int]]:
    """Start and stop of each window, as PyTorch has it: floor(i*size/out) to ceil((i + 1)*size/out)."""
    return [(i * size // out, -((i + 1) * size // -out)) for i in range(out)]


@op
@dataclass(frozen=True, slots=True)
class PoolMatrix(Op):
    """The matrix [out, axis] whose row i averages window i of `axis`: one over its length inside, 0 outside."""

    name: ClassVar[str] = "linear.pool_matrix"
    saved: ClassVar[bool] = False
    axis: Axis
    out: Axis

    def rule(self) -> tuple[Type, ...]:
        return (Type(require_free((self.axis,), (self.out,), "pooling")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        size, out = self.axis.size.evaluate(context.sizes), self.out.size.evaluate(context.sizes)
        matrix = np.zeros((out, size), context.dtype)
        for row, (start, stop) in zip(matrix, window_bounds(size, out), strict=True):
            row[start:stop] = 1 / (stop - start)
        return (in_layout(matrix, (self.out.name, self.axis.name), results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        return ()


@op
@dataclass(frozen=True, slots=True)
class AdaptiveAveragePool2d(Op):
    """Means over out_height by out_width windows of an image; they overlap where sizes do not divide.

    Shapes: x [height, width, ...]; gives [out_height, out_width, ...].
    """

    name: ClassVar[str] = "linear.adaptive_average_pool2d"
    height: str
    width: str
    out_height: Axis
    out_width: Axis

    def rule(self, x: Type) -> tuple[Type, ...]:
        require_alike("adaptive_average_pool2d", (x,), "float")
        for name in (self.height, self.width):
            require_axis(x, name, "adaptive_average_pool2d")
        rest = x.without([self.height, self.width])
        return (x.with_axes(require_free(rest, (self.out_height, self.out_width), "adaptive_average_pool2d")),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (x,) = operands
        rest = [name for name in x.axes if name not in (self.height, self.width)]
        image = transpose(x.array, x.axes, [*rest, self.height, self.width])
        sizes = [axis.size.evaluate(context.sizes) for axis in (self.out_height, self.out_width)]
        rows, columns = (window_bounds(image.shape[place], out) for place, out in zip((-2, -1), sizes, strict=True))
        pooled = np.empty((*image.shape[:-2], *sizes), image.dtype)
        for i, (top, bottom) in enumerate(rows):
            for j, (left, right) in enumerate(columns):
                pooled[..., i, j] = image[..., top:bottom, left:right].mean(axis=(-2, -1))
        return (in_layout(pooled, [*rest, self.out_height.name, self.out_width.name], results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (x,) = cotangents, operands
        if cotangent is None:
            return (None,)
        for name, out in ((self.height, self.out_height), (self.width, self.out_width)):
            axis = x.type.axis(name)
            # Pooling 28 rows to 28 rows may keep the name of the axis: the matrix needs two.
            if name == out.name:
                fresh = build.axis(name, out.size)
                cotangent = write.rename(build, cotangent, {out.name: fresh.name})
                out = fresh
            matrix = build.one(PoolMatrix(axis, out))
            cotangent = write.contract(build, cotangent, matrix, [out.name])
        return (cotangent,)


def _scipy_linalg() -> Any:
    """A slow import that few programs need."""
    return import_module("scipy.linalg")


def _square(a: Type, row: str, column: str, what: str) -> None:
    rows, columns = require_axis(a, row, what), require_axis(a, column, what)
    require_size(columns.size, rows.size, f"axis `{column}` of a square matrix")


@op
@dataclass(frozen=True, slots=True)
class Expm(Op):
    """The matrix exponential over the axes `row` and `column`, of pure numbers."""

    name: ClassVar[str] = "linear.expm"
    row: str
    column: str

    def rule(self, a: Type) -> tuple[Type, ...]:
        require_alike("expm", (a,), "float")
        require_pure(a, "expm")
        _square(a, self.row, self.column, "expm")
        return (a,)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        (a,) = operands
        rest = [name for name in a.axes if name not in (self.row, self.column)]
        order = [*rest, self.row, self.column]
        array = np.asarray(_scipy_linalg().expm(np.ascontiguousarray(transpose(a.array, a.axes, order))), a.array.dtype)
        return (in_layout(array, order, results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        """The derivative at the transpose of A in the direction of the cotangent.

        Source: Al-Mohy and Higham 2009, doi:10.1137/080716426.
        """
        (cotangent,), (a,) = cotangents, operands
        if cotangent is None:
            return (None,)
        turned = write.rename(build, a, {self.row: self.column, self.column: self.row})
        flow = write.fit(build, cotangent, a.type.axes)
        return (write.expm_frechet(build, turned, flow, self.row, self.column),)


@op
@dataclass(frozen=True, slots=True)
class ExpmFrechet(Op):
    """How expm(A) changes with A in the direction E: L(A, E), the upper right block of expm([[A, E], [0, A]]).

    Shapes: A and E [row, column, B], A of pure numbers; L is like E.
    Source: Al-Mohy and Higham 2009, doi:10.1137/080716426, equation 1.2.
    """

    name: ClassVar[str] = "linear.expm_frechet"
    row: str
    column: str

    def rule(self, a: Type, e: Type) -> tuple[Type, ...]:
        require_alike(self.name, (a, e), "float")
        require_pure(a, "expm")
        _square(a, self.row, self.column, "expm")
        _square(e, self.row, self.column, "expm")
        return (e.with_axes(union_axes(a, e)),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        size = dict(zip(context.axes(results[0]), context.shape(results[0]), strict=True))
        order = [*(name for name in size if name not in (self.row, self.column)), self.row, self.column]
        a, e = (np.broadcast_to(_spread(x, order), [size[name] for name in order]) for x in operands)
        n = a.shape[-1]
        zeros = np.zeros_like(a)
        # The derivative is linear in E: of the size of A nothing is lost in the one matrix for the other.
        factor = float(np.abs(e).max(initial=0.0)) or 1.0
        whole = np.block([[a, e / factor], [zeros, a]])
        block = np.asarray(_scipy_linalg().expm(whole))[..., :n, n:] * factor
        return (in_layout(block.astype(a.dtype), order, results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        """In E the derivative at the transpose of A; in A the two diagonal blocks of the derivative at [[A', 0], [E', A']]."""
        (cotangent,), (a, e) = cotangents, operands
        if cotangent is None:
            return None, None
        flow = write.fit(build, cotangent, results[0].type.axes)
        turn = {self.row: self.column, self.column: self.row}
        turned = write.rename(build, a, turn)
        in_e = write.fit(build, write.expm_frechet(build, turned, flow, self.row, self.column), e.type.axes)
        rows, columns = a.type.axis(self.row), a.type.axis(self.column)
        tall, wide = build.axis(self.row, rows.size * 2), build.axis(self.column, columns.size * 2)

        def blocks(*four: Value) -> Value:
            pairs = [write.concat(build, four[i : i + 2], [self.column] * 2, wide) for i in (0, 2)]
            return write.concat(build, pairs, [self.row] * 2, tall)

        direction = write.div(build, write.rename(build, e, turn), write.const(build, 1.0, e.type.unit))
        zeros, nothing = write.zeros(build, a.type), write.zeros(build, flow.type)
        at = blocks(turned, zeros, direction, turned)
        # The derivative of the upper right block of the exponential of [[A, E], [0, A]], turned.
        change = write.expm_frechet(build, at, blocks(nothing, flow, nothing, nothing), tall.name, wide.name)
        halves: list[Value] = []
        for start in (Size.of(0), rows.size):
            half = write.slice_(build, change, tall.name, start, start + rows.size, rows)
            halves.append(write.slice_(build, half, wide.name, start, start + columns.size, columns))
        in_a = write.mul(build, write.add(build, *halves), write.const(build, 1.0, e.type.unit))
        return write.fit(build, in_a, a.type.axes), in_e


def _spread(x: Tensor, order: Sequence[str]) -> Array:
    """The array with its axes in this order, and a place for each that it lacks."""
    have = [name for name in order if name in x.axes]
    array = transpose(x.array, x.axes, have)
    return array[tuple(slice(None) if name in have else np.newaxis for name in order)]


@op
@dataclass(frozen=True, slots=True)
class Solve(Op):
    """x with sum over `column` of a[row, column]*x[column] = b[row]. Units divide."""

    name: ClassVar[str] = "linear.solve"
    row: str
    column: str

    def rule(self, a: Type, b: Type) -> tuple[Type, ...]:
        require_alike("solve", (a, b), "float")
        _square(a, self.row, self.column, "solve")
        require_axis(b, self.row, "solve", operand=1)
        if b.has(self.column):
            raise RuleError("CS501", f"the right side of solve has the axis `{self.column}` of its solution", operand=1)
        axes = [axis for axis in union_axes(a, b) if axis.name != self.row]
        return (Type(tuple(axes), "float", b.unit / a.unit),)

    def evaluate(self, operands: Sequence[Tensor], results: Sequence[Type], context: Context) -> tuple[Tensor, ...]:
        a, b = operands
        rest = [name for name in context.axes(results[0]) if name != self.column]

        def spread(tensor: Tensor, last: Sequence[str]) -> Array:
            have = [name for name in rest if name in tensor.axes]
            array = transpose(tensor.array, tensor.axes, [*have, *last])
            return array[(*(slice(None) if name in have else np.newaxis for name in rest), ...)]

        x = np.linalg.solve(spread(a, (self.row, self.column)), spread(b, (self.row,))[..., np.newaxis])[..., 0]
        return (in_layout(x, [*rest, self.column], results[0], context),)

    def pullback(
        self, build: Builder, cotangents: Sequence[Value | None], operands: Sequence[Value], results: Sequence[Value]
    ) -> Sequence[Value | None]:
        (cotangent,), (a, b), (x,) = cotangents, operands, results
        if cotangent is None:
            return None, None
        db = build.one(Solve(self.column, self.row), a, cotangent)
        da = write.neg(build, write.mul(build, db, x))
        return write.fit(build, da, a.type.axes), write.fit(build, db, b.type.axes)
