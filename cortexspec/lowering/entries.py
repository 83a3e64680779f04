"""The entries that a circuit may name: the built-in ones with those that its spec's plugins bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from cortexspec import library
from cortexspec.analysis.model import Model
from cortexspec.contracts.measure import AnalysisEntry, MeasureEntry
from cortexspec.contracts.plugin import ConstraintEntry, DistributionEntry, FunctionEntry, PartEntry
from cortexspec.contracts.statistic import StatisticEntry
from cortexspec.library import ConnectionRule
from cortexspec.lowering import words

Entry = TypeVar("Entry", FunctionEntry, DistributionEntry, PartEntry, ConstraintEntry, ConnectionRule)


def functions(model: Model) -> Mapping[str, FunctionEntry]:
    return {
        **_with_brought(library.functions, model, FunctionEntry),
        **{name: entry.refusal() for name, entry in (*measures(model).items(), *statistics(model).items())},
        words.WORD: words.ENTRY,
    }


def measures(model: Model) -> Mapping[str, MeasureEntry | AnalysisEntry]:
    brought = {entry.name: entry for entry in model.entries if isinstance(entry, MeasureEntry | AnalysisEntry)}
    return {**library.measures, **brought}


def statistics(model: Model) -> Mapping[str, StatisticEntry]:
    return {entry.name: entry for entry in model.entries if isinstance(entry, StatisticEntry)}


def distributions(model: Model) -> Mapping[str, DistributionEntry]:
    return _with_brought(library.distributions, model, DistributionEntry)


def parts(model: Model) -> Mapping[str, PartEntry]:
    return _with_brought(library.parts, model, PartEntry)


def rules(model: Model) -> Mapping[str, ConnectionRule]:
    return _with_brought(library.connection_rules, model, ConnectionRule)


def constraints(model: Model) -> Mapping[str, ConstraintEntry]:
    return _with_brought(library.constraints, model, ConstraintEntry)


def _with_brought(known: Mapping[str, Entry], model: Model, kind: type[Entry]) -> Mapping[str, Entry]:
    brought = {entry.name: entry for entry in model.entries if isinstance(entry, kind)}
    return {**known, **brought} if brought else known
