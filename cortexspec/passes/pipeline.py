"""The passes by name, the default order, and how a pipeline runs.

A pipeline is a tuple of steps: a name, or a name with options. A backend names its own (`Backend.pipeline`); an empty one means the
default. Each pass is a function from Module to Module that never changes what the module means, beyond rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any

from cortexspec.contracts.backend import CLEAN, PassStep
from cortexspec.diagnostics import Diagnostic, SpecError
from cortexspec.ir.module import APART, Function, Line, Module
from cortexspec.ir.verifier import check
from cortexspec.passes.batch_connections import batch_connections
from cortexspec.passes.batch_populations import batch_populations, has_single_neurons
from cortexspec.passes.checkpoint import checkpoint
from cortexspec.passes.choose_layout import choose_layout
from cortexspec.passes.extract_linear_part import Bounds, extract_linear_part
from cortexspec.passes.fold_constants import fold_constants
from cortexspec.passes.foresee import foresee
from cortexspec.passes.fuse_contractions import fuse_contractions
from cortexspec.passes.hoist import hoist
from cortexspec.passes.merge_axes import merge_axes
from cortexspec.passes.recurrences import recurrences
from cortexspec.passes.remove_dead import remove_dead
from cortexspec.passes.save_policy import save_policy
from cortexspec.passes.scale_carries import scale_carries
from cortexspec.passes.settle_rings import settle_rings
from cortexspec.passes.share_common import share_common
from cortexspec.passes.sigmoid_as_tanh import sigmoid_as_tanh
from cortexspec.passes.sizes_of_one import sizes_of_one, states_of_one
from cortexspec.passes.squeeze import squeeze
from cortexspec.passes.sum_parts import sum_parts
from cortexspec.passes.tidy_names import tidy_names

Pass = Callable[..., Module]


def each_function(rewrite: Callable[..., Function]) -> Pass:
    """A pass of the module from one that needs to see a function alone."""

    def run(module: Module, **options: Any) -> Module:
        return with_each_function(module, lambda function: rewrite(function, **options))

    return run


def with_each_function(module: Module, rewrite: Callable[[Function], Function]) -> Module:
    functions = {name: rewrite(function) for name, function in module.functions.items()}
    return replace(module, functions=MappingProxyType(functions))


def _batch(module: Module, keep_apart: bool = False) -> Module:
    """`keep_apart`: a function that this changes stays as well, under its name with `APART`, where its populations have one neuron each.

    Which of the two is faster depends on the number of samples, which an engine knows when it runs.
    """
    found: dict[str, Function] = {}
    for name, function in module.functions.items():
        found[name] = batch_populations(function, module.states)
        if keep_apart and has_single_neurons(function, module.states, module.sizes):
            found[name + APART] = replace(function, name=name + APART)
    return replace(module, functions=MappingProxyType(found))


def _extract(module: Module, **options: Any) -> Module:
    return with_each_function(module, lambda function: extract_linear_part(function, module.sizes, Bounds(**options)))


def _scale(module: Module) -> Module:
    return with_each_function(module, lambda function: scale_carries(function, module.sizes))


def _ones(module: Module) -> Module:
    module = replace(module, states=states_of_one(module.states, module.sizes))
    return with_each_function(module, lambda function: sizes_of_one(function, module.sizes))


def _recurrences(module: Module, **options: Any) -> Module:
    return with_each_function(module, lambda function: recurrences(function, module.sizes, **options))


def _foresee(module: Module, **options: Any) -> Module:
    return with_each_function(module, lambda function: foresee(function, module.sizes, **options))


def _save(module: Module, **options: Any) -> Module:
    return with_each_function(module, lambda function: save_policy(function, sizes=module.sizes, **options))


def _merge(module: Module) -> Module:
    return with_each_function(module, lambda function: merge_axes(function, module.layout))


def _checkpoint(module: Module, segment: int | Sequence[int], functions: Iterable[str] = ("rollout", "loss")) -> Module:
    chosen = {form for name in functions for form in (name, name + APART)}
    return with_each_function(module, lambda f: checkpoint(f, segment, module.sizes) if f.name in chosen else f)


PASSES: Mapping[str, Pass] = MappingProxyType(
    {
        "fold-constants": each_function(fold_constants),
        "share-common": each_function(share_common),
        "hoist": each_function(hoist),
        "remove-dead": each_function(remove_dead),
        "batch-populations": _batch,
        "batch-connections": each_function(batch_connections),
        "settle-rings": each_function(settle_rings),
        "squeeze": each_function(squeeze),
        "sum-parts": each_function(sum_parts),
        "extract-linear-part": _extract,
        "sigmoid-as-tanh": each_function(sigmoid_as_tanh),
        "scale-carries": _scale,
        "fuse-contractions": each_function(fuse_contractions),
        "merge-axes": _merge,
        "choose-layout": choose_layout,
        "tidy-names": tidy_names,
        "sizes-of-one": _ones,
        "recurrences": _recurrences,
        "foresee": _foresee,
        "checkpoint": _checkpoint,
        "save-policy": _save,
    }
)

# Populations first, while the lines of one neuron type are still alike, and what arrives at them; then what is linear in the
# states and rates; then one axis for [instance, neuron], so that its matrices are matrices; then products of one vector together;
# then what is drawn, when what is left of a loop is known.
DEFAULT: tuple[PassStep, ...] = (
    "batch-populations",
    "sigmoid-as-tanh",
    "fold-constants",
    "share-common",
    "settle-rings",
    "batch-connections",
    "extract-linear-part",
    *CLEAN,
    "scale-carries",
    *CLEAN,
    "merge-axes",
    *CLEAN,
    "fuse-contractions",
    *CLEAN,
    "foresee",
    "remove-dead",
    "choose-layout",
    "tidy-names",
)


def run_pipeline(module: Module, steps: Sequence[PassStep] = DEFAULT, verify: bool = True) -> Module:
    """Runs the passes in order; `verify` checks the module before the first and after each.

    Raises: SpecError CS701 for a pass that does not exist, CS6xx where a pass breaks a rule of the IR (its mistake, not the author's).
    """
    named = [named_step(step) for step in steps]
    sound: dict[int, Line] = {}
    if verify:
        check(module, sound=sound)
    for name, options in named:
        module = PASSES[name](module, **options)
        if verify:
            check(module, after=name, sound=sound)
    return module


def through(module: Module, name: str, steps: Sequence[PassStep]) -> Function:
    """One function of the module after these passes, by itself. Raises as `run_pipeline`."""
    if not steps:
        return module.function(name)
    alone = replace(module, functions=MappingProxyType({name: module.function(name)}))
    return run_pipeline(alone, steps).function(name)


def named_step(step: PassStep) -> tuple[str, Mapping[str, Any]]:
    """The name and the options of a step. Raises SpecError CS701."""
    name, options = (step, dict[str, Any]()) if isinstance(step, str) else step
    if name not in PASSES:
        near = get_close_matches(name, PASSES, 1)
        help_ = f"did you mean `{near[0]}`?" if near else f"passes: {', '.join(PASSES)}"
        raise SpecError([Diagnostic("CS701", f"no pass is called `{name}`", help=help_)])
    return name, options
