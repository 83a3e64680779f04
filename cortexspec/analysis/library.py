"""What a spec may name besides its own items: built-in entries, those of plugins, and templates of used files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from cortexspec import library
from cortexspec.contracts.data_file import DataFileEntry, DataReader
from cortexspec.contracts.dataset import DatasetEntry, DatasetSignature
from cortexspec.contracts.measure import AnalysisEntry, MeasureEntry
from cortexspec.contracts.plugin import (
    ConstraintEntry,
    DistributionEntry,
    FunctionEntry,
    PartEntry,
)
from cortexspec.contracts.statistic import StatisticEntry
from cortexspec.library import ConnectionRule
from cortexspec.schema.spec import Template

# Slopes that stand in for a spike's, with the number of arguments each takes.
SURROGATES: Mapping[str, int] = MappingProxyType(
    {"fast_sigmoid": 1, "triangle": 1, "boxcar": 1, "arctan": 1, "sigmoid": 1}
)

# Solvers of fixed step, which are passes, and the adaptive ones that backends bring.
FIXED_STEP = ("euler", "heun", "midpoint", "rk4", "exponential_euler", "exact", "euler_maruyama")
ADAPTIVE = ("dopri5", "dopri8", "bosh3", "tsit5", "heun_adaptive", "radau", "bdf", "lsoda", "kvaerno5")


def _none() -> Mapping[str, Any]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Brought:
    """What an installed plugin brings to a spec that uses it: the items of its texts, and entries by kind.

    `version` is its distribution's, on which results depend besides the text.
    """

    plugin: str
    items: tuple[Template, ...] = ()
    entries: tuple[Any, ...] = ()
    version: str = ""


# The field of the library that each kind of entry goes to.
_PLACES: Mapping[type, str] = MappingProxyType(
    {
        FunctionEntry: "functions",
        DistributionEntry: "distributions",
        PartEntry: "parts",
        ConstraintEntry: "constraints",
        ConnectionRule: "rules",
        DatasetEntry: "datasets",
        DataFileEntry: "data_files",
        MeasureEntry: "measures",
        AnalysisEntry: "measures",
        StatisticEntry: "statistics",
    }
)
ENTRY_KINDS = tuple(_PLACES)


def _functions() -> Mapping[str, FunctionEntry]:
    measures = {name: entry.signature() for name, entry in library.measures.items()}
    return {**library.functions, **library.signatures, **measures}


@dataclass(frozen=True)
class Library:
    """`missing_plugins` are those that a spec uses and that nobody installed: what might be theirs is not judged."""

    functions: Mapping[str, FunctionEntry] = field(default_factory=_functions)
    distributions: Mapping[str, DistributionEntry] = field(default_factory=lambda: library.distributions)
    parts: Mapping[str, PartEntry] = field(default_factory=lambda: library.parts)
    constraints: Mapping[str, ConstraintEntry] = field(default_factory=lambda: library.constraints)
    rules: Mapping[str, ConnectionRule] = field(default_factory=lambda: library.connection_rules)
    templates: Mapping[str, Template] = field(default_factory=_none)
    missing_plugins: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    datasets: Mapping[str, DatasetSignature] = field(default_factory=lambda: library.datasets)
    data_files: Mapping[str, DataFileEntry] = field(default_factory=lambda: library.data_files)
    # Their signatures are among the functions.
    measures: Mapping[str, MeasureEntry | AnalysisEntry] = field(default_factory=lambda: library.measures)
    data: DataReader | None = None  # of the files that `data(...)` names; None where a spec has no folder
    # Their signatures are among the functions of a measure alone; anywhere else they are refused.
    statistics: Mapping[str, StatisticEntry] = field(default_factory=_none)
    entries: tuple[Any, ...] = ()  # those of plugins, which are among the others too

    def with_entries(self, entries: Sequence[Any]) -> Library:
        """With those of plugins."""
        found: dict[str, dict[str, Any]] = {}
        for entry in entries:
            place = _PLACES[type(entry)]
            found.setdefault(place, dict(getattr(self, place)))[entry.name] = entry
            if isinstance(entry, MeasureEntry | AnalysisEntry):
                found.setdefault("functions", dict(self.functions))[entry.name] = entry.signature()
            elif isinstance(entry, StatisticEntry):
                found.setdefault("functions", dict(self.functions))[entry.name] = entry.refusal()
        return replace(self, **found, entries=(*self.entries, *entries))

    def with_templates(self, templates: Mapping[str, Template]) -> Library:
        return replace(self, templates=MappingProxyType({**self.templates, **templates}))
