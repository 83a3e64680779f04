"""What a plugin signs. Each kind of entry is a small immutable record; built-in entries in `library` are of the same kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.types import Type


@dataclass(frozen=True, slots=True)
class FunctionEntry:
    """A function of the expression language (`sigmoid`, `mean`, `cat`).

    `write(build, arguments, settings)` writes its lines; types follow from the rules of the ops it uses, so a unit or axis
    mistake is a RuleError of an op. `arguments` are values; `settings` are the keyword arguments that must be known at compile time.
    """

    name: str
    write: Callable[[Builder, Sequence[Value], Mapping[str, Any]], Value]
    arity: tuple[int, int | None] = (1, 1)
    settings: tuple[str, ...] = ()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class PartParameter:
    """A parameter or running buffer that a built-in part declares once it knows its input's type."""

    name: str
    type: Type
    start: float | str = 0.0  # a number, or the name of a distribution ("fan_in")
    fan_in: int = 0
    trainable: bool = True
    running: bool = False


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A built-in function with parameters (`dense`, `conv2d`, `batch_norm`, `dropout`).

    `declare(path, input type, settings)` gives its parameters; `write(build, x, parameters, settings, training)` gives the output and the
    new values of running buffers by name. Only `batch_norm` and `dropout` read `training`.
    """

    name: str
    declare: Callable[[str, Type, Mapping[str, Any]], tuple[PartParameter, ...]]
    write: Callable[..., tuple[Value, Mapping[str, Value]]]
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    doc: str = ""


@dataclass(frozen=True, slots=True)
class DistributionEntry:
    """`write(build, site, axes, arguments, keys)` draws one value an element; `keys` are seed, trial, step values."""

    name: str
    write: Callable[..., Value]
    arity: tuple[int, int | None] = (0, None)
    doc: str = ""


@dataclass(frozen=True, slots=True)
class ConstraintEntry:
    """`in C` (projection) and `in C(by = f)` (reparametrisation): each written in IR."""

    name: str
    project: Callable[[Builder, Value, Mapping[str, Any]], Value]
    constrain: Callable[[Builder, Value, Mapping[str, Any]], Value] | None = None
    unconstrain: Callable[[Builder, Value, Mapping[str, Any]], Value] | None = None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Plugin:
    """What an entry point of group `cortexspec.plugins` gives: texts of `.cortex` items, and entries by kind."""

    name: str
    texts: tuple[str, ...] = ()
    entries: tuple[Any, ...] = ()
