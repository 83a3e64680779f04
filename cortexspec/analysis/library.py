"""What a spec may name besides its own items: built-in entries, those of plugins, and templates of used files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from cortexspec import library
from cortexspec.contracts.plugin import (
    ConstraintEntry,
    DistributionEntry,
    FunctionEntry,
    PartEntry,
)
from cortexspec.ir.types import Type
from cortexspec.library import ConnectionRule
from cortexspec.schema.spec import Template

# Slopes that stand in for a spike's, with the number of arguments each takes.
SURROGATES: Mapping[str, int] = MappingProxyType({"fast_sigmoid": 1, "triangle": 1, "boxcar": 1, "arctan": 1, "sigmoid": 1})

# Solvers of fixed step, which are passes, and the adaptive ones that backends bring.
FIXED_STEP = ("euler", "heun", "midpoint", "rk4", "exponential_euler", "exact", "euler_maruyama")
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "tsit5", "heun_adaptive", "radau", "bdf", "lsoda", "kvaerno5")

# What the fields of a data set are in an experiment besides the circuit's own inputs; each has the trials in front.
DATA_FIELDS: Mapping[str, Mapping[str, Type]] = MappingProxyType({"images": MappingProxyType({"label": Type((), "int")})})


def _none() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Library:
    """`missing_plugins` are those that a spec uses and that nobody installed: what might be theirs is not judged."""

    functions: Mapping[str, FunctionEntry] = field(default_factory=lambda: {**library.functions, **library.signatures})
    distributions: Mapping[str, DistributionEntry] = field(default_factory=lambda: library.distributions)
    parts: Mapping[str, PartEntry] = field(default_factory=lambda: library.parts)
    constraints: Mapping[str, ConstraintEntry] = field(default_factory=lambda: library.constraints)
    rules: Mapping[str, ConnectionRule] = field(default_factory=lambda: library.connection_rules)
    templates: Mapping[str, Template] = field(default_factory=_none)
    missing_plugins: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()

    def with_templates(self, templates: Mapping[str, Template]) -> Library:
        return replace(self, templates=MappingProxyType({**self.templates, **templates}))
