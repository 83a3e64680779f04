"""Built-in functions with parameters. They say what text cannot: sizes taken from use, kernels over images, batch statistics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from cortexspec.contracts.operand import Operand
from cortexspec.contracts.plugin import PartContext, PartEntry, PartParameter
from cortexspec.contracts.translate import Shape
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, RuleError, Type, require_pure

Parameters = Mapping[str, Value]
Result = tuple[Operand, Mapping[str, Value]]
_NONE: Mapping[str, Value] = MappingProxyType({})


def _input_axes(path: str, x: Operand) -> tuple[Axis, ...]:
    """The written axes of x under names that last: an axis made inside an expression is named after the part."""
    axes: list[Axis] = []
    for axis in x.written:
        name = axis.name
        if "~" in name:
            stem = f"{path}.{name.partition('~')[0]}"
            name, number = stem, 2
            while any(name == other.name for other in axes):
                name, number = f"{stem}{number}", number + 1
        axes.append(Axis(name, axis.size, axis.role))
    return tuple(axes)


def _with_axes(build: Builder, x: Operand, axes: tuple[Axis, ...]) -> Value:
    return write.rename(build, x.value, {old: new.name for old, new in zip(x.axes, axes, strict=True)})


def _fan_in(axes: tuple[Axis, ...]) -> Size:
    total = Size.of(1)
    for axis in axes:
        total = total * axis.size
    return total


def _around(x: Operand) -> tuple[Axis, ...]:
    """Instance axes: each instance has parameters of its own; trials share them."""
    return tuple(axis for axis in x.around if axis.role == "plain")


# dense


def _dense_outputs(path: str, settings: Mapping[str, Any], inputs: tuple[Axis, ...]) -> tuple[Axis, ...]:
    """One axis called after the part, or those of a shape."""
    size = settings["size"]
    if isinstance(size, Shape):
        taken = {axis.name for axis in inputs}
        return tuple(Axis(f"{a.name}_out" if a.name in taken else a.name, a.size, a.role) for a in size.axes)
    if not isinstance(size, int) or size < 1:
        raise RuleError("CS501", "dense wants the number of its outputs, or `shape(x)`")
    return (Axis(path, Size.of(size)),)


def _dense_declare(path: str, x: Operand, settings: Mapping[str, Any]) -> tuple[PartParameter, ...]:
    inputs = _input_axes(path, x)
    outputs = _dense_outputs(path, settings, inputs)
    names = tuple(axis.name for axis in (*outputs, *inputs))
    around = _around(x)
    kernel = PartParameter("kernel", Type((*around, *outputs, *inputs)), names, "fan_in", _fan_in(inputs))
    if not settings.get("bias", True):
        return (kernel,)
    outer = tuple(axis.name for axis in outputs)
    return kernel, PartParameter("bias", Type((*around, *outputs)), outer, "fan_in", _fan_in(inputs))


def _dense_write(build: Builder, x: Operand, parameters: Parameters, context: PartContext) -> Result:
    require_pure(x.type, f"the dense part `{context.path}`")
    inputs = _input_axes(context.path, x)
    outputs = _dense_outputs(context.path, context.settings, inputs)
    value = _with_axes(build, x, inputs)
    product = write.contract(build, parameters["kernel"], value, [axis.name for axis in inputs])
    if "bias" in parameters:
        product = write.add(build, product, parameters["bias"])
    names = {
        axis.name: axis.name.removesuffix("_out") for axis in outputs if isinstance(context.settings["size"], Shape)
    }
    product = write.rename(build, product, names)
    return Operand(product, tuple(names.get(axis.name, axis.name) for axis in outputs)), _NONE


# conv2d, depthwise


def _image(x: Operand, what: str) -> tuple[str, str, str]:
    """Channel, height, width. Raises: RuleError unless x is an image."""
    if len(x.axes) != 3:
        raise RuleError("CS501", f"{what} wants an image [channel, height, width]", operand=0)
    require_pure(x.type, what)
    return x.axes[0], x.axes[1], x.axes[2]


def _window(path: str, settings: Mapping[str, Any], what: str) -> tuple[Axis, Axis]:
    size = settings.get("kernel", 3)
    if not isinstance(size, int) or size < 1 or size % 2 == 0:
        raise RuleError("CS501", f"{what} wants an odd kernel size, so that the image keeps its size")
    return Axis(f"{path}.row", Size.of(size)), Axis(f"{path}.column", Size.of(size))


def _channels(path: str, settings: Mapping[str, Any], channel: Axis) -> Axis:
    """The axis of the channels that come out: called after the size parameter that it is written with, or after the part."""
    channels = settings["channels"]
    if isinstance(channels, Shape) and len(channels.axes) == 1:
        (axis,) = channels.axes
        return replace(axis, name=f"{axis.name}_out") if axis.name == channel.name else axis
    if not isinstance(channels, int) or channels < 1:
        raise RuleError("CS501", "conv2d wants the number of its channels")
    return Axis(path, Size.of(channels))


def _conv_declare(path: str, x: Operand, settings: Mapping[str, Any]) -> tuple[PartParameter, ...]:
    _image(x, "conv2d")
    channel = _input_axes(path, x)[0]
    out, window = _channels(path, settings, channel), _window(path, settings, "conv2d")
    fan = _fan_in((channel, *window))
    axes = (out, channel, *window)
    kernel = PartParameter("kernel", Type(axes), tuple(axis.name for axis in axes), "fan_in", fan)
    if not settings.get("bias", True):
        return (kernel,)
    return kernel, PartParameter("bias", Type((out,)), (out.name,), "fan_in", fan)


def _conv_write(build: Builder, x: Operand, parameters: Parameters, context: PartContext) -> Result:
    _, height, width = _image(x, "conv2d")
    path, inner = context.path, _input_axes(context.path, x)[0]
    out = _channels(path, context.settings, inner).name
    image = write.rename(build, x.value, {x.axes[0]: inner.name})
    row, column = f"{path}.row", f"{path}.column"
    value = write.conv2d(build, image, parameters["kernel"], inner.name, height, width, out, row, column)
    if "bias" in parameters:
        value = write.add(build, value, parameters["bias"])
    name = inner.name if out == f"{inner.name}_out" else out
    return Operand(write.rename(build, value, {out: name}), (name, height, width)), _NONE


def _depthwise_declare(path: str, x: Operand, settings: Mapping[str, Any]) -> tuple[PartParameter, ...]:
    _image(x, "depthwise")
    channel, window = _input_axes(path, x)[0], _window(path, settings, "depthwise")
    fan, axes = _fan_in(window), (channel, *window)
    kernel = PartParameter("kernel", Type(axes), tuple(axis.name for axis in axes), "fan_in", fan)
    if not settings.get("bias", True):
        return (kernel,)
    return kernel, PartParameter("bias", Type((channel,)), (channel.name,), "fan_in", fan)


def _depthwise_write(build: Builder, x: Operand, parameters: Parameters, context: PartContext) -> Result:
    outer, height, width = _image(x, "depthwise")
    path, channel = context.path, _input_axes(context.path, x)[0].name
    image = write.rename(build, x.value, {outer: channel})
    value = write.depthwise_conv2d(
        build, image, parameters["kernel"], channel, height, width, f"{path}.row", f"{path}.column"
    )
    if "bias" in parameters:
        value = write.add(build, value, parameters["bias"])
    return Operand(write.rename(build, value, {channel: outer}), x.axes), _NONE


# batch_norm, dropout: the two parts that know whether the program trains


def _features(path: str, x: Operand) -> tuple[Axis, ...]:
    """The channels of an image; all axes of anything else."""
    axes = _input_axes(path, x)
    return axes[:1] if len(axes) == 3 else axes


def _norm_declare(path: str, x: Operand, settings: Mapping[str, Any]) -> tuple[PartParameter, ...]:
    features = _features(path, x)
    type_, names = Type((*_around(x), *features)), tuple(axis.name for axis in features)
    return (
        PartParameter("scale", type_, names, 1.0),
        PartParameter("shift", type_, names, 0.0),
        PartParameter("mean", type_, names, 0.0, trainable=False, running=True),
        PartParameter("var", type_, names, 1.0, trainable=False, running=True),
    )


def _norm_write(build: Builder, x: Operand, parameters: Parameters, context: PartContext) -> Result:
    """(x - mean)/sqrt(var + eps)*scale + shift, with the batch's mean and variance while training, else the running ones.

    The running variance takes the unbiased one of the batch. Source: Ioffe & Szegedy 2015, algorithms 1 and 2.
    """
    require_pure(x.type, f"the batch norm `{context.path}`")
    axes, features = _input_axes(context.path, x), _features(context.path, x)
    value = _with_axes(build, x, axes)
    mean, var = parameters["mean"], parameters["var"]
    running: dict[str, Value] = {}
    if context.training:
        kept = {axis.name for axis in (*_around(x), *features)}
        over = [axis for axis in value.type.axes if axis.name not in kept]
        mean = write.mean(build, value, over)
        var = write.mean(build, write.pow(build, write.sub(build, value, mean), 2), over)
        running = _running(build, parameters, {"mean": mean, "var": var}, over, float(context.settings["momentum"]))
    spread = write.sqrt(build, write.add(build, var, write.const(build, float(context.settings["eps"]))))
    scale = write.div(build, parameters["scale"], spread)
    value = write.add(build, write.mul(build, write.sub(build, value, mean), scale), parameters["shift"])
    value = write.rename(build, value, {new.name: old for old, new in zip(x.axes, axes, strict=True)})
    return Operand(value, x.axes), running


def _running(
    build: Builder, parameters: Parameters, batch: Mapping[str, Value], over: list[Axis], momentum: float
) -> dict[str, Value]:
    """old + momentum*(batch - old), with the variance corrected by n/(n - 1)."""
    count = write.const(build, 1.0)
    for axis in over:
        count = write.mul(build, count, write.size_of(build, axis))
    one = write.const(build, 1.0)
    fewer = write.maximum(build, write.sub(build, count, one), one)
    unbiased = write.mul(build, batch["var"], write.div(build, count, fewer))
    values = {"mean": batch["mean"], "var": unbiased}
    return {
        name: write.add(
            build, parameters[name], write.scale(build, write.sub(build, value, parameters[name]), momentum)
        )
        for name, value in values.items()
    }


def _dropout_write(build: Builder, x: Operand, parameters: Parameters, context: PartContext) -> Result:
    """Zero with probability `rate` while training, the rest scaled so that the mean stays; one mask a trial.

    Source: Srivastava et al. 2014, in the inverted form.
    """
    rate = float(context.settings["rate"])
    if not 0 <= rate < 1:
        raise RuleError("CS501", f"the rate of a dropout lies in [0, 1), it is {rate}")
    seed = context.keys.seed
    if not context.training or rate == 0 or seed is None:
        return x, _NONE
    own = tuple(axis for axis in (*_around(x), *_input_axes(context.path, x)))
    p = write.const(build, 1 - rate)
    kept = write.bernoulli(build, f"{context.path}.mask", own, p, seed, context.keys.trial, context.keys.step)
    mask = write.scale(build, write.cast(build, kept, "float"), 1 / (1 - rate))
    names = {new.name: old for old, new in zip(x.axes, _input_axes(context.path, x), strict=True)}
    return Operand(write.mul(build, x.value, write.rename(build, mask, names)), x.axes), _NONE


PARTS: tuple[PartEntry, ...] = (
    PartEntry(
        "dense", _dense_declare, _dense_write, {"size": None, "bias": True}, "an affine map of all axes of its input"
    ),
    PartEntry(
        "conv2d",
        _conv_declare,
        _conv_write,
        {"channels": None, "kernel": 3, "bias": True},
        "a convolution of an image, stride 1, zeros outside",
    ),
    PartEntry(
        "depthwise",
        _depthwise_declare,
        _depthwise_write,
        {"kernel": 3, "bias": True},
        "a convolution of each channel by itself",
    ),
    PartEntry(
        "batch_norm",
        _norm_declare,
        _norm_write,
        {"eps": 1e-5, "momentum": 0.1},
        "each feature to mean 0 and variance 1 over the batch, then scaled and shifted",
        ("mean", "var"),
    ),
    PartEntry(
        "dropout",
        lambda path, x, settings: (),
        _dropout_write,
        {"rate": 0.5},
        "features set to 0 by chance while training",
    ),
)
