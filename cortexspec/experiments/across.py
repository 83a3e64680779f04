"""What an experiment reads of another: `let surround = embedding.g`, of the same network with the same seed.

Such a value is known before the experiment runs. What an edit makes of it is written into the text as numbers, so that
the rest of the compiler sees an ordinary circuit; as a stimulus it is given frame by frame.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from cortexspec.analysis.apply_variant import Merged
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.experiments.statistics import quantile
from cortexspec.expressions import tree
from cortexspec.expressions.linear import children
from cortexspec.expressions.parse import parse_expression
from cortexspec.expressions.print import print_expression
from cortexspec.ir.op import Array
from cortexspec.ir.ops.random import draw_words
from cortexspec.lowering.readout import rebuilt
from cortexspec.schema import statement as written
from cortexspec.units import to_coherent


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A measure of another experiment: `embedding.g`, or `embedding.f[variant = isolated]`."""

    experiment: str
    measure: str
    variant: str = "base"


@dataclass(frozen=True, slots=True)
class Known:
    """An array with the names of its axes. Of a recording, the first `warm_up` frames come before what is measured."""

    array: Array
    axes: tuple[str, ...] = ()
    warm_up: int = 0

    @property
    def counted(self) -> Array:
        """Without the frames of the warm-up."""
        if "time" not in self.axes:
            return self.array
        return np.moveaxis(
            np.moveaxis(self.array, self.axes.index("time"), 0)[self.warm_up :], 0, self.axes.index("time")
        )


# What a name stands for; it is asked when it is needed, since the answer may take a run.
Lookup = Callable[[str], Known]


def lets_elsewhere(body: Sequence[written.Statement], experiments: Mapping[str, Any]) -> dict[str, Elsewhere]:
    """The lets of an experiment that are a measure of another one."""
    found: dict[str, Elsewhere] = {}
    for one in body:
        if isinstance(one, written.Declare) and one.kind == "let":
            for each in one.declarators:
                read = None if each.value is None else _elsewhere(each.value, experiments)
                if read is not None:
                    found[each.name] = read
    return found


def _elsewhere(node: tree.Expression, experiments: Mapping[str, Any]) -> Elsewhere | None:
    match node:
        case tree.Member(owner=tree.Name(name=owner), name=measure) if owner in experiments:
            return Elsewhere(owner, measure)
        case tree.Index(operand=operand, arguments=(tree.Argument(name="variant", value=tree.Name(name=variant)),)):
            found = _elsewhere(operand, experiments)
            return None if found is None else replace(found, variant=variant)
        case _:
            return None


def reads(node: tree.Expression, names: Mapping[str, Any]) -> set[str]:
    """The lets from elsewhere that an expression reads."""
    own = {node.name} & names.keys() if isinstance(node, tree.Name) else set[str]()
    return own.union(*(reads(child, names) for child in children(node)))


def statements_of(merged: Merged, variant: str) -> list[written.Statement]:
    """What the text of one cell is made of: the experiment's own statements, and those of the variants that it builds on."""
    variants = {one.name: one for one in merged.body if isinstance(one, written.Variant)}
    found = [one for one in merged.body if one.kind not in ("variant", "claim", "vary")]
    seen = set[str]()
    while variant in variants and variant not in seen:
        seen.add(variant)
        found += variants[variant].body
        variant = variants[variant].of
    return found


def read_by(merged: Merged, variant: str, names: Mapping[str, Elsewhere]) -> set[str]:
    """The lets from elsewhere that a cell's edits and stimuli read."""
    found = set[str]()
    for one in statements_of(merged, variant):
        if isinstance(one, written.Equation):
            found |= reads(one.right, names)
        elif isinstance(one, written.Stimulus):
            found |= reads(one.value, names)
    return found


def settled(merged: Merged, variant: str, names: Mapping[str, Elsewhere], lookup: Lookup, seed: int) -> Merged:
    """The experiment with numbers where the edits of a cell read what is known from elsewhere."""
    cell = {id(one) for one in statements_of(merged, variant)}

    def statement(one: written.Statement) -> written.Statement:
        if isinstance(one, written.Variant):
            return one.model_copy(update={"body": tuple(statement(each) for each in one.body)})
        if id(one) in cell and isinstance(one, written.Equation) and reads(one.right, names):
            return one.model_copy(update={"right": _numbers(one.right, names, lookup, seed)})
        return one

    return replace(merged, body=tuple(statement(one) for one in merged.body))


def _numbers(node: tree.Expression, names: Mapping[str, Elsewhere], lookup: Lookup, seed: int) -> tree.Expression:
    """The largest parts that read nothing else, as literals."""
    if not reads(node, names):
        return node
    if _is_known(node, names):
        known = evaluate(node, lookup, seed)
        if {"trial", "time"} & set(known.axes):
            text = print_expression(node)
            help = "take its mean, as in `mean(x, over = [trial, time])`, or let a stimulus drive an input with it"
            raise SpecError(
                [Diagnostic("CS501", f"`{text}` has a value for each trial and step", node.span, help=help)]
            )
        return parse_expression(_literal(known.array))
    return rebuilt(node, lambda child: _numbers(child, names, lookup, seed))


def _literal(array: Array) -> str:
    if np.ndim(array) == 0:
        return repr(float(array))
    return f"[{', '.join(_literal(one) for one in array)}]"


def _is_known(node: tree.Expression, names: Mapping[str, Elsewhere]) -> bool:
    """Whether an expression reads numbers and lets from elsewhere alone, by functions that are known here."""
    match node:
        case tree.Name(name=name):
            return name in names
        case tree.Number():
            return True
        case tree.Unary(operator="-", operand=operand):
            return _is_known(operand, names)
        case tree.Binary(operator=operator):
            return operator in _BINARY and _is_known(node.left, names) and _is_known(node.right, names)
        case tree.Call(function=tree.Name(name=name)) if name in _REDUCED or name in _ELEMENTWISE or name == "shuffled":
            return all(one.value is not None and _is_known(one.value, names) for one in node.arguments if not one.name)
        case _:
            return False


_BINARY: Mapping[str, Callable[[Array, Array], Array]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide, "^": np.power,
}  # fmt: skip
_ELEMENTWISE: Mapping[str, Callable[[Array], Array]] = {"abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "log": np.log}
_REDUCED: Mapping[str, Callable[..., Array]] = {
    "mean": np.mean, "median": partial(quantile, share=0.5), "std": np.std, "sum": np.sum, "max": np.max, "min": np.min,
}  # fmt: skip


def evaluate(node: tree.Expression, lookup: Lookup, seed: int) -> Known:
    """What an expression of numbers and lets from elsewhere is worth. Raises: SpecError CS700 for what is not known here."""
    match node:
        case tree.Number(unit=unit):
            return Known(np.asarray(to_coherent(node.value, unit) if unit else node.value))
        case tree.Name(name=name):
            return lookup(name)
        case tree.Unary(operator="-", operand=operand):
            known = evaluate(operand, lookup, seed)
            return replace(known, array=-known.array)
        case tree.Binary(operator=operator) if operator in _BINARY:
            return _combined(_BINARY[operator], evaluate(node.left, lookup, seed), evaluate(node.right, lookup, seed))
        case tree.Call(function=tree.Name(name=name)) if name in _REDUCED or name in _ELEMENTWISE or name == "shuffled":
            (inner,) = (evaluate(one.value, lookup, seed) for one in node.arguments if not one.name and one.value)
            if name in _ELEMENTWISE:
                return replace(inner, array=_ELEMENTWISE[name](inner.array))
            over = _axes(node, inner)
            if name != "shuffled":
                places = tuple(inner.axes.index(axis) for axis in over)
                return Known(_REDUCED[name](inner.counted, axis=places), tuple(a for a in inner.axes if a not in over))
            return _shuffled(inner, over, _word(node, "together", "false") == "true", seed, print_expression(node))
        case _:
            text = print_expression(node)
            raise SpecError([Diagnostic("CS700", f"`{text}` of another experiment is not supported yet", node.span)])


def _combined(operation: Callable[[Array, Array], Array], left: Known, right: Known) -> Known:
    """Elementwise; an axis that one of them lacks is spread."""
    axes = tuple(dict.fromkeys((*left.axes, *right.axes)))

    def arranged(known: Known) -> Array:
        shape = [known.array.shape[known.axes.index(axis)] if axis in known.axes else 1 for axis in axes]
        order = [known.axes.index(axis) for axis in axes if axis in known.axes]
        return known.array.transpose(order).reshape(shape)

    return Known(operation(arranged(left), arranged(right)), axes, max(left.warm_up, right.warm_up))


def _axes(node: tree.Call, known: Known) -> tuple[str, ...]:
    """The axes after `over`; without it all of them. Raises: SpecError CS501 for one that is not there."""
    value = next((one.value for one in node.arguments if one.name == "over"), None)
    if value is None:
        return known.axes
    names = tuple(print_expression(one) for one in (value.items if isinstance(value, tree.ListOf) else (value,)))
    for name in names:
        if name not in known.axes:
            help = f"its axes are {', '.join(known.axes) or 'none'}"
            raise SpecError([Diagnostic("CS501", f"there is no axis `{name}` here", value.span, help=help)])
    return names


def _word(node: tree.Call, name: str, default: str) -> str:
    return next((print_expression(one.value) for one in node.arguments if one.name == name and one.value), default)


def _shuffled(known: Known, over: tuple[str, ...], together: bool, seed: int, site: str) -> Known:
    """Permuted along one axis, each series by itself, or with `together` all that differ in axes of their own alike.

    Trials are permuted each by itself along time. The frames of the warm-up stay where they are.
    """
    (axis,) = over
    front = [name for name in known.axes if name != axis and (name == "trial" or not together)]
    behind = [name for name in known.axes if name != axis and name not in front]
    order = [known.axes.index(name) for name in (*front, axis, *behind)]
    array = known.array.transpose(order).copy()
    begun = known.warm_up if axis == "time" else 0
    shape = (*array.shape[: len(front)], array.shape[len(front)] - begun)
    high, low = draw_words(f"{site}#0", np.array(seed), [], int(np.prod(shape)))
    numbers = ((high.astype(np.uint64) << np.uint64(32)) | low).reshape(shape)
    places = np.argsort(numbers, axis=-1).reshape(*shape, *[1] * len(behind))
    counted = array[(*[slice(None)] * len(front), slice(begun, None))]
    counted[...] = np.take_along_axis(counted, places, axis=len(front))
    return replace(known, array=array.transpose(np.argsort(order)))
