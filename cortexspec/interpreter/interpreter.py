"""Runs a function of the IR: each line's meaning in turn. What a program means is what this gives."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.module import Function, Layout, Value
from cortexspec.ir.op import Array, Context, Tensor
from cortexspec.ir.ops.scan import evaluate_function
from cortexspec.ir.size import Size


def run(
    function: Function,
    inputs: Mapping[str, Array],
    sizes: Mapping[str, int] | None = None,
    layout: Layout | None = None,
    dtype: str = "float64",
) -> dict[str, Array]:
    """The outputs by public name. Arrays, in and out, have their axes in the layout's order.

    Sizes that are not given are taken from the inputs' shapes.
    Raises: SpecError CS501 for an input that is missing or of another shape.
    """
    layout = layout or Layout()
    context = Context(bind_sizes(function, inputs, sizes or {}, layout), layout, np.dtype(dtype))
    tensors = [tensor_of(value, inputs, context) for value in function.inputs]
    with np.errstate(all="ignore"):
        outputs = evaluate_function(function, tensors, context)
    return {name: tensor.array for name, tensor in zip(function.output_names, outputs, strict=True)}


def bind_sizes(
    function: Function, inputs: Mapping[str, Array], sizes: Mapping[str, int], layout: Layout
) -> dict[str, int]:
    """The given sizes, and those that are one symbol and can be read from the shape of an input."""
    bound = dict(sizes)
    for value in function.inputs:
        shape = np.shape(inputs[value.name]) if value.name in inputs else ()
        names = layout.sort(value.type.names)
        if len(shape) != len(names):
            continue
        for name, length in zip(names, shape, strict=True):
            size = value.type.axis(name).size
            if len(size.symbols) == 1 and size == Size.symbol(next(iter(size.symbols))):
                bound.setdefault(next(iter(size.symbols)), int(length))
    return bound


def tensor_of(value: Value, inputs: Mapping[str, Array], context: Context) -> Tensor:
    """The input's array as a named tensor. Raises SpecError CS501."""
    if value.name not in inputs:
        raise SpecError([Diagnostic("CS501", f"the input `{value.name}` is missing: {value.type}")])
    array = np.asarray(inputs[value.name], context.numpy_dtype(value.type))
    wanted = context.shape(value.type)
    if array.shape != wanted:
        axes = ", ".join(context.axes(value.type))
        raise SpecError(
            [Diagnostic("CS501", f"`{value.name}` [{axes}] has the shape {wanted}, it is given {array.shape}")]
        )
    return Tensor(array, context.axes(value.type))
