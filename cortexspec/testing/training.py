"""A small module that trains: a regression with a projected weight, a running statistic, a scalar beside the loss."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from cortexspec.contracts.backend import Bound, Recipe
from cortexspec.ir.builder import Builder, Names
from cortexspec.ir.module import Buffer, Function, Layout, Module, Param, Value
from cortexspec.ir.op import Array
from cortexspec.ir.ops import write
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type

IN, OUT = Axis("in", Size.of(4)), Axis("out", Size.of(3))
SAMPLE = Axis("sample", Size.symbol("sample"), "sample")
W, B, FIXED = Value("net.W", Type((OUT, IN))), Value("net.b'", Type((OUT,))), Value("net.g", Type((OUT,)))
MEAN = Value("net.norm.mean", Type((OUT,)))
X, LABEL = Value("x", Type((IN, SAMPLE))), Value("label", Type((OUT, SAMPLE)))

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "adam": Recipe("adam", {"lr": 0.05}),
        "adam, decayed": Recipe("adam", {"lr": 0.05, "weight_decay": 0.1, "beta1": 0.8, "beta2": 0.95, "eps": 1e-3}),
        "adamw": Recipe("adamw", {"lr": 0.05}),
        "adamax": Recipe("adamax", {"lr": 0.05, "eps": 1e-3}),
        "sgd": Recipe("sgd", {"lr": 0.1}),
        "sgd, momentum": Recipe("sgd", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
        "sgd, nesterov": Recipe("sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": 1.0}),
        "rmsprop": Recipe("rmsprop", {"lr": 0.01}),
        "rmsprop, momentum": Recipe("rmsprop", {"lr": 0.01, "momentum": 0.5, "eps": 1e-3, "weight_decay": 0.01}),
        "clipped": Recipe("adam", {"lr": 0.05}, clip=0.3),
        "scheduled": Recipe("adam", {"lr": 0.1}, learning_rates=tuple(np.cos(np.linspace(0, 1.5, 20)))),
        "in part": Recipe("sgd", {"lr": 0.1, "momentum": 0.9}, trainable=("net.b'",)),
    }
)


def bound(seed: int = 0) -> Bound:
    rng = np.random.default_rng(seed)
    module = Module(
        "regression",
        params=(Param(W, W.type, True), Param(B, B.type, True), Param(FIXED, FIXED.type, False)),
        buffers=(Buffer(MEAN, "running"),),
        functions=MappingProxyType({"loss": _loss(), "project": _project()}),
        layout=Layout(("out", "in", "sample")),
    )
    params = {"net.W": rng.uniform(0, 1, (3, 4)), "net.b'": rng.normal(size=3), "net.g": np.array([0.5, 1.0, 2.0])}
    return Bound(module, {}, params, {"net.norm.mean": np.zeros(3)})


def batches(count: int, samples: int = 5, seed: int = 1) -> list[dict[str, Array]]:
    rng = np.random.default_rng(seed)
    return [{"x": rng.normal(size=(4, samples)), "label": rng.normal(size=(3, samples))} for _ in range(count)]


def _builder(*values: Value) -> Builder:
    names = Names()
    for value in values:
        names.take_value(value)
    return Builder(names)


def _loss() -> Function:
    inputs = (W, B, FIXED, MEAN, X, LABEL)
    b = _builder(*inputs)
    y = write.tanh(b, write.add(b, write.contract(b, W, X, ["in"]), B))
    centred = write.sub(b, write.mul(b, y, FIXED), MEAN)
    error = write.sub(b, centred, LABEL)
    loss = write.mean(b, write.mul(b, error, error), ["out", "sample"])
    now = write.mean(b, y, ["sample"])
    mean = write.add(b, write.scale(b, MEAN, 0.9), write.scale(b, now, 0.1))
    largest = write.max_(b, write.abs(b, error), ["out", "sample"])
    return b.function("loss", inputs, (loss, mean, largest), ("loss", "net.norm.mean", "largest_error"))


def _project() -> Function:
    b = _builder(W)
    positive = write.maximum(b, W, write.const(b, 0.0))
    return b.function("project", (W,), (positive,), ("net.W",))
