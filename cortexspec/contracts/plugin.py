"""What a plugin signs. Each kind of entry is a small immutable record; built-in entries in `library` are of the same kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cortexspec.contracts.operand import Operand
from cortexspec.ir.builder import Builder
from cortexspec.ir.module import Value
from cortexspec.ir.size import Size
from cortexspec.ir.types import Axis, Type


@dataclass(frozen=True, slots=True)
class FunctionEntry:
    """A function of the expression language (`sigmoid`, `mean`, `cat`).

    `write(build, arguments, settings)` writes its lines; types follow from the rules of the ops it uses, so a unit or axis
    mistake is a RuleError of an op. `arguments` are operands: values with the written order of their axes. The answer may be a
    bare Value, whose axes then keep the order that the arguments give them. Keyword arguments in `settings` and positional
    ones after the last of `arity`, by the names in `static`, must be known at compile time: numbers, text, truth values,
    tuples of them, or a `Shape`. A reduction lists "over" and "by" in `settings` and is given "over" as axis names. One that
    `draws` is given `site` and `keys` in `settings` besides: the name of its draw, and what the draw is keyed by. Settings in
    `values` are operands, which need not be known before a run.
    """

    name: str
    write: Callable[[Builder, Sequence[Operand], Mapping[str, Any]], Operand | Value]
    arity: tuple[int, int | None] = (1, 1)
    settings: tuple[str, ...] = ()
    static: tuple[str, ...] = ()
    doc: str = ""
    draws: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartParameter:
    """A parameter or running buffer that a built-in part declares once it knows its input. `axes`: their written order."""

    name: str
    type: Type
    axes: tuple[str, ...] = ()
    start: float | str = 0.0  # a number, or the name of a distribution ("fan_in")
    fan_in: Size = Size.of(0)  # how many inputs one output has, in size symbols
    trainable: bool = True
    running: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """What a draw is keyed by. Wiring and parameters know no trial, states no step."""

    seed: Value | None = None
    trial: Value | None = None
    step: Value | None = None


@dataclass(frozen=True, slots=True)
class PartContext:
    """The part's dotted path, its settings, whether this program trains, and what its draws are keyed by."""

    path: str
    settings: Mapping[str, Any]
    training: bool = False
    keys: Keys = Keys()


@dataclass(frozen=True, slots=True)
class PartEntry:
    """A built-in function with parameters (`dense`, `conv2d`, `batch_norm`, `dropout`).

    `declare(path, x, settings)` gives its parameters; `write(build, x, parameters, context)` gives the output and the
    new values of running buffers by name. Only `batch_norm` and `dropout` read `context.training`. `settings` are the names
    of its arguments, in order, with their defaults (None: must be given), `running` the names of its running buffers.
    """

    name: str
    declare: Callable[[str, Operand, Mapping[str, Any]], tuple[PartParameter, ...]]
    write: Callable[[Builder, Operand, Mapping[str, Value], PartContext], tuple[Operand, Mapping[str, Value]]]
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    doc: str = ""
    running: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DistributionEntry:
    """`write(build, site, axes, arguments, settings, keys)` draws one value an element along `axes`.

    `arguments` are operands whose axes are among `axes`, or `Drawn` distributions; `settings` the keyword ones. The site
    is the dotted name of what is drawn with its ordinal.
    """

    name: str
    write: Callable[[Builder, str, Sequence[Axis], Sequence[Any], Mapping[str, Operand], Keys], Value]
    arity: tuple[int, int | None] = (0, None)
    settings: tuple[str, ...] = ()
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
    """What an entry point of group `cortexspec.plugins` gives: texts of `.cortex` items, and entries by kind.

    A `Path` among `texts` is a file to read, whose name its mistakes bear; a `str` is the text itself. Entries are a
    FunctionEntry, PartEntry, DistributionEntry, ConstraintEntry, MeasureEntry, AnalysisEntry, StatisticEntry, DatasetEntry, DataFileEntry
    or ConnectionRule each.
    """

    name: str
    texts: tuple[str | Path, ...] = ()
    entries: tuple[Any, ...] = ()
